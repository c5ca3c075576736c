"""What is not as it was when a run was made: its config, data, code and versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.config import Config
from hpsearch.errors import DataError, UserError
from hpsearch.objectives.mlp import MLP
from hpsearch.provenance import versions
from hpsearch.store import RunFolder
from hpsearch.yamlfile import dump


def changed_sources(config: Config, provenance: dict[str, Any]) -> list[str]:
    """Return the files that results depend on and that are others than when the run began."""
    before = provenance.get("sources", {})
    now = config.sources()
    return [name for name, content in now.items() if before.get(name, content) != content]


def changes_since(config: Config, folder: RunFolder) -> list[str]:
    """Return what of data, code and versions is not as it was when a run last ran, in words.

    config: The run's, whose data need not have been read.
    Raises:
        UserError: the data are gone.
    """
    provenance = folder.provenance()
    before, now = provenance.get("sources", {}), _sources_now(config)
    found = [f"{name} changed" for name in now if before.get(name, now[name]) != now[name]]
    found += [f"{name} is not there any more" for name in before if name not in now]
    last = (provenance.get("sessions") or [{}])[-1]
    old, new = last.get("versions") or {}, versions()
    found += [
        f"{name} {old[name]} -> {new[name]}"
        for name in AFFECTING
        if old.get(name) is not None and old[name] != new[name]
    ]
    return found


def _sources_now(config: Config) -> dict[str, str]:
    """Return the SHA-256 of every file that results depend on, as it is now."""
    if isinstance(config.objective, MLP):
        try:
            objective = replace(config.objective, data=config.objective.data.fingerprinted())
        except DataError as error:
            raise UserError(str(error)) from None
        return replace(config, objective=objective).sources()
    return config.sources()


AFFECTING = ("hpsearch", "python", "numpy")
"""Whose versions may change a result."""


def changed_since_parent(config: Config, folder: RunFolder) -> list[str]:
    """Return the files that are others than when the run that this one comes from began."""
    if not config.parent:
        return []
    sources = RunFolder(folder.path.parent / config.parent).provenance().get("sources", {})
    before = {Path(name).name: content for name, content in sources.items()}
    now = {Path(name).name: content for name, content in config.sources().items()}
    return [name for name, content in now.items() if before.get(name, content) != content]


def differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Yield `place: old -> new` for every part in which two plain values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            inner = f"{place}.{key}".lstrip(".")
            if inner == "data.sha256" and old.get(key) != new.get(key):
                yield "the data file has changed since the run began"
            elif inner == "warm_start" and old.get(key) != new.get(key):
                yield "it began with other trials of an earlier run, or with none (--warm-start)"
            elif inner == "objective.numbers" and old.get(key) != new.get(key):
                yield "this version of hpsearch computes other numbers than the one it began with"
            elif inner == "method.trials" and old.get(key) != new.get(key):
                yield (
                    f"budget.trials: {_short(old.get(key))} -> {_short(new.get(key))}, which this "
                    "method goes by from the start, so that it cannot change later"
                )
            elif inner != "order" or old.get("parameters") == new.get("parameters"):
                yield from differences(old.get(key), new.get(key), inner)
    elif old != new:
        yield f"{place}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = "not there" if value is None else dump(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
