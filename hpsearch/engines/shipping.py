"""What workers need of this machine's files: where it is, and how it gets to who has no such disk.

A file is known by its SHA-256. A worker that finds all of them under the same paths uses them where
they are. Any other one is sent, once per machine, those that it has not kept from before, and puts
them together under a folder of its cache as they are here, one above the other: so every relative
path between them holds there too.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpsearch.data import cache_root
from hpsearch.errors import UserError
from hpsearch.objectives import Objective
from hpsearch.objectives.command import Command
from hpsearch.objectives.mlp import MLP
from hpsearch.objectives.python import PythonFunction

PIECE = 8 << 20
"""Bytes that are sent at a time."""
MOST_FILES, MOST_BYTES = 2000, 64 << 20
"""How much code is sent without being named; more is a folder of other things."""
UNUSED = 30 * 24 * 3600
"""Seconds after which what nobody used is removed from a worker's cache."""


@dataclass(frozen=True)
class Parcel:
    """A file that workers need."""

    path: str
    """Where it is here."""
    sha256: str
    executable: bool = False


@dataclass(frozen=True)
class Shipment:
    """All files that workers need, and the folders that must be there."""

    parcels: tuple[Parcel, ...]
    folders: tuple[str, ...]

    @property
    def key(self) -> str:
        """What tells this shipment from any other."""
        text = json.dumps([[p.path, p.sha256, p.executable] for p in self.parcels])
        return hashlib.sha256(f"{text}{self.folders}".encode()).hexdigest()[:32]

    @property
    def root(self) -> str:
        """The innermost folder that everything is in."""
        folders = [*self.folders, *(os.path.dirname(parcel.path) for parcel in self.parcels)]
        return os.path.commonpath(folders) if folders else "/"

    def path_of(self, sha256: str) -> Path:
        """Return where a file with these bytes is here."""
        return next(Path(each.path) for each in self.parcels if each.sha256 == sha256)


NOTHING = Shipment((), ())


def shipment_of(objective: Objective, named: Iterable[str]) -> Shipment:
    """Return what workers need to run the trials of an objective.

    named: Patterns of more files, from the config's folder on: run.files.
    Raises:
        UserError: a pattern fits no file, or a file cannot be read.
    """
    home = objective.folder().resolve()
    paths: dict[str, str] = {}  # -> SHA-256, where it is known
    folders = {str(home)}
    if isinstance(objective, MLP):
        known = dict(objective.data.sha256)
        for file in objective.data.files():
            if not objective.data.is_shipped(file):
                paths[str(objective.data.path_of(file).absolute())] = known.get(file.name, "")
    elif isinstance(objective, PythonFunction | Command):
        base = Path(objective.base)
        folders.add(str(base))
        beside = [Path(os.path.normpath(base / name)) for name in objective.sources()]
        found = [path for folder in {base, *(p.parent for p in beside)} for path in code_in(folder)]
        paths |= dict.fromkeys(map(str, [*beside, *found]), "")
    for pattern in named:
        fitting = [path for path in _matching(home, pattern) if path.is_file()]
        if not fitting:
            raise UserError(f"run.files: no file fits {pattern!r} in {home}")
        paths |= {path: paths.get(path, "") for path in map(str, fitting)}
    try:
        parcels = [
            Parcel(path, sha256 or _sha256(path), bool(os.stat(path).st_mode & stat.S_IXUSR))
            for path, sha256 in sorted(paths.items())
        ]
    except OSError as error:
        raise UserError(f"{error.filename} cannot be sent to workers: {error.strerror}") from None
    return Shipment(tuple(parcels), tuple(sorted(folders)))


def _matching(home: Path, pattern: str) -> list[Path]:
    """Return what a pattern or a path fits; a folder stands for all that is in it."""
    try:
        found = [home / pattern] if Path(pattern).is_absolute() else list(home.glob(pattern))
    except ValueError:  # no pattern at all
        found = []
    inside = [path for each in found if each.is_dir() for path in each.rglob("*")]
    return [Path(os.path.normpath(path)) for path in (*found, *inside)]


def code_in(folder: Path) -> list[Path]:
    """Return the Python files in a folder; none where there is too much of it to be one program."""
    found: list[Path] = []
    size = 0
    for place, names, files in os.walk(folder):
        names[:] = [
            name
            for name in names
            if not name.startswith((".", "__pycache__"))
            and name not in ("node_modules", "site-packages")
            and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
        ]
        for name in files:
            if name.endswith(".py"):
                path = Path(place, name)
                with suppress(OSError):
                    size += path.stat().st_size
                    found.append(path)
        if len(found) > MOST_FILES or size > MOST_BYTES:
            return []
    return found


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pieces(path: Path) -> Iterator[bytes]:
    """Yield a file in parts that fit a message; an empty one has one part."""
    with path.open("rb") as file:
        first = True
        while (piece := file.read(PIECE)) or first:
            first = False
            yield piece


# On a worker


def _cache() -> Path:
    return cache_root().with_name("hpsearch-workers")


def is_here(shipment: Shipment) -> bool:
    """Tell whether this machine has all of it under the same paths."""
    try:
        return all(os.path.isdir(folder) for folder in shipment.folders) and all(
            os.path.isfile(parcel.path) and _sha256(parcel.path) == parcel.sha256
            for parcel in shipment.parcels
        )
    except OSError:
        return False


def missing(shipment: Shipment) -> list[str]:
    """Return which files this machine must be sent, by their SHA-256."""
    kept = _cache() / "files"
    wanted = dict.fromkeys(parcel.sha256 for parcel in shipment.parcels)
    return [sha256 for sha256 in wanted if not (kept / sha256).is_file()]


def keep(sha256: str, sender: str, piece: bytes, *, first: bool, last: bool) -> bool:
    """Keep the next part of a file; tell, after the last, whether it came over whole.

    sender: Whose parts are put together; another one may send the same file at the same time.
    Raises:
        OSError: there is no room.
    """
    folder = _cache() / "files"
    if first:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_unused(folder)
    beside = folder / f".{sha256}-{sender}"
    with beside.open("wb" if first else "ab") as file:
        file.write(piece)
    if not last:
        return True
    if _sha256(str(beside)) != sha256:
        beside.unlink()
        return False
    beside.replace(folder / sha256)
    return True


def unpacked(shipment: Shipment) -> Path:
    """Return the folder that stands for the shipment's root here; made where it is not there yet.

    Raises:
        OSError: there is no room, or a file was not sent.
    """
    parent = _cache() / "trees"
    parent.mkdir(parents=True, exist_ok=True)
    _remove_unused(parent)
    final = parent / shipment.key
    if final.is_dir():
        os.utime(final)
        return final
    tree = Path(tempfile.mkdtemp(prefix=".", dir=parent))
    for folder in shipment.folders:
        (tree / os.path.relpath(folder, shipment.root)).mkdir(parents=True, exist_ok=True)
    for parcel in shipment.parcels:
        kept, path = _cache() / "files" / parcel.sha256, moved(parcel.path, shipment, tree)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, path)
        os.utime(kept)
        os.chmod(path, 0o755 if parcel.executable else 0o644)
    try:
        tree.rename(final)
    except OSError:  # another process was first
        shutil.rmtree(tree, ignore_errors=True)
        if not final.is_dir():
            raise
    return final


def moved(path: str, shipment: Shipment, tree: Path) -> str:
    """Return where something of the shipment is, under the folder that stands for its root."""
    return os.path.normpath(tree / os.path.relpath(path, shipment.root))


def relocated(kind: str, spec: Mapping[str, Any], shipment: Shipment, tree: Path) -> dict[str, Any]:
    """Return an objective's plain data with every absolute path in it as it is on this machine."""

    def new(path: str) -> str:
        return moved(path, shipment, tree) if os.path.isabs(path) else path

    if kind != "trainer":
        return {**spec, "home": new(spec["home"])}
    data = MLP.from_spec(spec).data
    here = replace(
        data,
        folder=new(data.folder),
        source=_renamed(data.source, new),
        label=_renamed(data.label, new) if data.label_kind() == "file" else data.label,
        sha256=tuple((new(name), sha256) for name, sha256 in data.sha256),
    )
    return {**spec, "data": MLP({}, here).spec()["data"]}


def _renamed(named: Any, new: Any) -> Any:
    if isinstance(named, tuple):
        return tuple((part, new(name)) for part, name in named)
    return None if named is None else new(named)


def scratch(run: str) -> Path:
    """Return the folder for what a run's trials leave on a machine without the run's disk."""
    parent = _cache() / "runs"
    parent.mkdir(parents=True, exist_ok=True)
    _remove_unused(parent)
    folder = parent / run
    folder.mkdir(exist_ok=True)
    os.utime(folder)
    return folder


def _remove_unused(folder: Path) -> None:
    for path in folder.iterdir():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > UNUSED:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
