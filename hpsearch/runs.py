"""A run: its folder seen with its config. Opens one, and tells whether it is a config's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

from hpsearch.changed import changed_since_parent, differences
from hpsearch.config import Config, load_config, traps
from hpsearch.errors import MachineError, UserError
from hpsearch.fields import RUN_NAME, plain_name
from hpsearch.provenance import describe
from hpsearch.store import CONFIG, PROVENANCE, RunFolder
from hpsearch.trial import Result


def load_run(folder: RunFolder, name: str | None = None, *, with_data: bool = True) -> Config:
    """Read the config of a run, which finds its data where the original did.

    name: The run's name instead of its folder's.

    with_data: False to leave the data unread: a report needs none.

    Raises:
        UserError: the data are gone, the config was damaged, or the run is no search.
    """
    if folder.has_acts():
        raise UserError(
            f"the run {folder.name} is one model that was trained by hand, and no search\n"
            f"Its story: hpsearch report {folder.name}. As a config that can be run: "
            f"hpsearch panda {folder.name} --write FILE"
        )
    return _load(folder, name, with_data=with_data)


def load_by_hand(folder: RunFolder, *, with_data: bool = True) -> Config:
    """Read the config of a run in which one model is trained by hand; as `load_run`."""
    if not folder.has_acts():
        raise UserError(
            f"the run {folder.name} is a search, and no model that is trained by hand\n"
            f"Its best setting, by hand from its first epoch: hpsearch panda CONFIG "
            f"--from {folder.name}"
        )
    return _load(folder, with_data=with_data)


def _load(folder: RunFolder, name: str | None = None, *, with_data: bool = True) -> Config:
    if name is None and not re.fullmatch(RUN_NAME.pattern, folder.name):
        meant = folder.path.with_name(plain_name(folder.name, also=".-") or "another-name")
        raise UserError(
            f"{folder.path} has no name that a run can have, which is {RUN_NAME.words}\n"
            f"Rename the folder: mv {quote(str(folder.path))} {quote(str(meant))}"
        )
    provenance = folder.provenance()
    where = Path(provenance["config"]["folder"]) if provenance else folder.path
    config = load_config(folder.path / CONFIG, name or folder.name, where, with_data=with_data)
    recorded = provenance["identity"].get("parameters") if provenance else None
    if name is None and recorded not in (None, config.identity()["parameters"]):
        changes = differences(recorded, config.identity()["parameters"], "parameters")
        listed = "\n".join(f"    {change}" for change in changes)
        raise UserError(
            f"{folder.path / CONFIG} was changed after its trials ran:\n{listed}\n"
            "Put it back as it was, or run the changed file under another name."
        )
    return replace(config, earlier=folder.earlier()) if name is None else config


def open_config(path: Path, name: str | None = None) -> Config:
    """Read a config file; one that lies in its run's folder finds its data where the run did.

    Raises:
        UserError: anything wrong with the file or its data, with the place.
    """
    itself = RunFolder(path.absolute().parent)
    if path.name == CONFIG and (itself.has_record() or itself.has_acts()):
        return load_run(itself, name)
    return load_config(path, name)


def folder_for(config: Config, runs: Path, path: Path | None = None) -> RunFolder:
    """Return the folder that a search of a config writes, which need not exist yet.

    runs: The folder that holds the runs.
    path: The config's file; one that lies in its own run's folder is searched there.
    """
    if path is not None and path.name == CONFIG:
        itself = RunFolder(path.absolute().parent)
        if itself.exists() and itself.name == config.name:
            return itself
    return RunFolder(runs / config.name)


def remarks(config: Config, folder: RunFolder, jobs: int) -> Iterator[str]:
    """Yield notes and warnings on a search that is about to begin."""
    for note in config.objective.notes():
        yield f"note: {note}"
    key, most = config.strategy.at_once() or ("", jobs)
    if jobs > most:
        yield (
            f"note: method.{key} is {most}, so {most} of the {jobs} jobs are used; "
            f"method: {{name: {config.method}, {key}: {jobs}}} uses them all, and each trial "
            "then sees fewer results"
        )
    for name, text in traps(config):
        yield f"warning: {name}: {text}" if name else f"warning: {text}"
    for source in changed_since_parent(config, folder):
        yield (
            f"warning: {source} has changed since the run {config.parent}, so scores will differ"
        )


def open_folder(config: Config, folder: RunFolder) -> dict[str, Any]:
    """Make the folder this config's, which it may be already; return its provenance."""
    provenance = folder.provenance()
    if not folder.exists():
        provenance = describe(config)
        if config.earlier:
            folder.write_earlier(config.earlier)
        folder.write_provenance(provenance)
        folder.write(CONFIG, config.document.raw)  # last: a folder with a config is a run
    elif (folder.path / CONFIG).read_bytes() != config.document.raw:
        provenance["config"] = describe(config)["config"]
        folder.write(CONFIG, config.document.raw)
    return provenance


def check_folder(config: Config, folder: RunFolder) -> None:
    """Make sure that a folder is this config's, or new.

    Raises:
        UserError: it is another config's.
        MachineError: that cannot be told.
    """
    if not folder.exists():
        return
    provenance = folder.provenance()
    if "identity" not in provenance:
        raise MachineError(
            f"{folder.path / PROVENANCE} is missing or damaged, so it cannot be told whether the "
            "run belongs to this config; restore it, or choose another name with --name"
        )
    changes = list(differences(provenance["identity"], config.identity()))
    if changes:
        listed = "\n".join(f"    {change}" for change in changes[:10])
        more = f"\n    and {len(changes) - 10} more" if len(changes) > 10 else ""
        raise UserError(
            f"{folder.path} holds a run of a different config:\n{listed}{more}\n"
            "Choose another name with --name, or delete that folder if you no longer need it."
        )


def check_record(config: Config, folder: RunFolder, results: Sequence[Result]) -> None:
    """Raise MachineError when the record holds the trials of another config."""
    for result in results:
        seed = config.training_seed(result.trial)
        if result.seed != seed or not _fits(config, result):
            raise MachineError(
                f"{folder.path}: trial {result.trial} of the record belongs to another config; "
                "nothing was changed"
            )


def _fits(config: Config, result: Result) -> bool:
    """Tell whether a trial has the parameters that a setting of a config's space has."""
    space = config.space
    if not space.clauses or len(result.unit) != len(space.axes):
        return result.params.keys() == space.axes.keys()
    return result.params.keys() == space.params(result.unit).keys()
