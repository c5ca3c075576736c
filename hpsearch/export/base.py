"""What every export is given, and how its target comes into place as a whole."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from hpsearch.config import Config
from hpsearch.errors import MachineError, UserError
from hpsearch.runs import load_run
from hpsearch.standings import check_begun, how_it_ended, trials_of
from hpsearch.store import RunFolder
from hpsearch.trial import Result


@dataclass(frozen=True)
class Exported:
    """A run as exports see it."""

    config: Config
    results: list[Result]
    """The trials that count, by number, with their curves."""
    ended: str
    """How the run ended, or how far it has come, in words."""

    @property
    def metrics(self) -> list[str]:
        """Every metric that some trial reported."""
        return list(dict.fromkeys(name for each in self.results for name in each.metrics))


@dataclass(frozen=True)
class Exporter:
    """One way to write a run."""

    write: Callable[[Exported, Path, Path], None]
    """Called with the run, where to write, and where that will be in the end. Raises ImportError
    where a package is missing."""
    ending: str
    """What follows the run's name in the name of the target."""
    view: str | None = None
    """The command that shows it, with {place}."""
    files: str | None = None
    """The pattern of the files in it, where the target is a folder."""


def exported_of(folder: RunFolder) -> Exported:
    """Read a run, finished or not.

    Raises:
        UserError: it has no finished trial, or its config was changed.
        MachineError: the record is damaged.
    """
    config = load_run(folder, with_data=False)
    results = trials_of(config, folder.results())
    check_begun(folder, results)
    return Exported(config, results, how_it_ended(config, folder, results))


def export(run: Exported, to: str, exporter: Exporter, place: Path, *, force: bool) -> None:
    """Write a run for another tool; `place` is there as a whole or as it was before.

    to: What messages call the tool, and the extra that installs what it needs.
    force: Whether to replace what is at `place`.
    Raises:
        UserError: the place is taken or cannot be written, or a package is missing.
        MachineError: the disk failed.
    """
    _check_place(place, exporter, force=force)
    for left in place.parent.glob(f".{glob.escape(place.name)}.*.new"):  # by a killed command
        shutil.rmtree(left, ignore_errors=True)
    try:
        scratch = Path(tempfile.mkdtemp(".new", f".{place.name}.", place.parent))
    except OSError as error:
        raise MachineError(f"{place}: {error.strerror}") from None
    whole = scratch / place.name
    try:
        exporter.write(run, whole, place.absolute())
        if place.is_dir():
            shutil.rmtree(place)
        os.replace(whole, place)
    except ImportError as error:
        missing = (error.name or str(error)).partition(".")[0]
        raise UserError(f"--to {to} needs {missing}: pip install 'hpsearch[{to}]'") from None
    except OSError as error:
        raise MachineError(f"{place}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check_place(place: Path, exporter: Exporter, *, force: bool) -> None:
    if not place.parent.is_dir():
        raise UserError(f"{place}: there is no folder {place.parent}")
    if not os.access(place.parent, os.W_OK):
        raise UserError(f"{place}: the folder {place.parent} cannot be written")
    if place.is_dir() and exporter.files is None:
        raise UserError(f"{place} is a folder: name a file in it")
    if not os.path.lexists(place):
        return
    if not force:
        raise UserError(f"{place} exists already: name another place, or replace it with --force")
    if RunFolder(place.parent).exists():
        raise UserError(f"{place} belongs to a run and is not replaced: name another place")
    if exporter.files is not None and not _is_own(place, exporter.files):
        raise UserError(
            f"{place} has other files than {exporter.files} in it and is not replaced: name "
            "another place"
        )


def _is_own(place: Path, pattern: str) -> bool:
    """Tell whether a folder has nothing in it but what an export wrote."""
    if place.is_symlink() or not place.is_dir():
        return False
    return all(path.is_dir() or fnmatch(path.name, pattern) for path in place.rglob("*"))


def epochs_of(result: Result) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Yield, for each epoch from 1, about when it ended (seconds since 1970) and its metrics.

    Values that were not finite are left out. A trial that reported once has one epoch.
    """
    curve = result.curve or {name: [value] for name, value in result.metrics.items()}
    count = max(map(len, curve.values()), default=0)
    began = started_at(result)
    for epoch in range(1, count + 1):
        values: dict[str, Any] = {
            name: values[epoch - 1] for name, values in curve.items() if len(values) >= epoch
        }
        known = {name: value for name, value in values.items() if value is not None}
        yield epoch, began + result.seconds * epoch / count, known


def started_at(result: Result) -> float:
    """Return when a trial began, in seconds since 1970."""
    return datetime.fromisoformat(result.started).timestamp() if result.started else 0.0
