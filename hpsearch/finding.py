"""Finds runs: by name, by path, the newest, or all of a folder."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from hpsearch.errors import UserError, nearest
from hpsearch.fields import RUN_NAME
from hpsearch.store import ACTS, CONFIG, RECORD, RunFolder


def find_run(runs: Path, name: str | None) -> RunFolder:
    """Return a run by its name under `runs` or its path; without a name, the newest.

    Raises:
        UserError: there is no such run.
    """
    candidates = [] if name is None else [RunFolder(Path(name))]
    if name is not None and re.fullmatch(RUN_NAME.pattern, name):
        candidates.insert(0, RunFolder(runs / name))
    for folder in candidates:
        if folder.exists():
            return folder
    known = sorted(all_runs(runs), key=_age)
    if name is None:
        if not known:
            raise UserError(f"{_no_runs(runs)}; begin with: hpsearch run CONFIG")
        return known[-1]
    for folder in known:  # a folder that was renamed to what no run can be called
        if folder.name == name:
            return folder
    names = [folder.name for folder in known]
    meant = nearest(name, names)
    hint = f"Did you mean '{meant}'? " if meant else ""
    if not names:
        raise UserError(f"there is no run '{name}': {_no_runs(runs)}")
    older = f" and {len(names) - 10} older" if len(names) > 10 else ""
    listed = f"Runs: {', '.join(names[-10:])}{older}."
    found = next(filter(None, (_instead(folder.path) for folder in candidates)), "")
    raise UserError(f"there is no run '{name}' in {runs}{found}\n{hint}{listed}")


def _instead(path: Path) -> str:
    """Say what stands at a path where there is no run; nothing if nothing does."""
    try:
        if path.is_symlink():
            return f": {path} is a link, and a run is named by its folder, {path.resolve()}"
        if path.is_dir():
            return f": {path} is a folder without a {CONFIG}"
        return f": {path} is a file, and a run is a folder" if path.exists() else ""
    except (OSError, ValueError):
        return ""


def all_runs(runs: Path) -> Iterator[RunFolder]:
    """Yield every run in a folder, in no order."""
    paths: list[Path] = []
    with contextlib.suppress(OSError):
        paths = list(runs.iterdir())
    for path in paths:
        with contextlib.suppress(OSError):  # one that cannot be read hides no other
            if RunFolder(path).exists():
                yield RunFolder(path)


def _no_runs(runs: Path) -> str:
    what = "there is no run in" if runs.is_dir() else "there is no folder"
    return (
        f"{what} {runs.absolute()} (runs are written where hpsearch is started: go there, or give "
        "--runs-dir)"
    )


def _age(folder: RunFolder) -> tuple[int, str]:
    try:
        name = ACTS if folder.has_acts() else RECORD
        return (folder.path / name).stat().st_mtime_ns, folder.name
    except OSError:
        return 0, folder.name
