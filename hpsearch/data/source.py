"""All that fixes what a training sees, in plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from hpsearch.data.files import find, fingerprint, format_of, stamp
from hpsearch.data.readers import READERS, ending
from hpsearch.data.shipped import DATASETS
from hpsearch.errors import DataError

Named = str | tuple[tuple[str, str], ...]
"""One name for all, or (part, name) of some of train, dev and test."""


class File(NamedTuple):
    """A file that the data are in: of which part (empty: of all), and under which key it is."""

    part: str
    key: str
    name: str


@dataclass(frozen=True)
class DataSource:
    """All that fixes what a training sees; made of plain values."""

    source: Named
    """A shipped data set's name, or paths relative to `folder`."""
    folder: str
    label: Named | None
    """A column's name, or the files with the labels."""
    fractions: tuple[tuple[str, float], ...]
    """What train, dev and test get of the file that is shared out: shares, or counts (int). Parts
    that have a file of their own are not in it; empty when all have."""
    seed: int
    """Decides which example goes where."""
    sha256: tuple[tuple[str, str], ...] = ()
    """Of each file's bytes, by name, so that a file that changed under a run is noticed."""
    categorical: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    missing: str = "refuse"
    stratify: bool = True
    folds: int | None = None
    image: tuple[int, ...] | None = None
    regression: bool = False
    """Whether the label is a number to predict rather than a class."""

    def parts(self) -> tuple[tuple[str, str], ...]:
        """Return (part, name) of each file of examples; the part is empty when it is for all."""
        return (("", self.source),) if isinstance(self.source, str) else self.source

    def label_kind(self) -> str:
        """Return what `label` names: a `column`, a `file`, or `nothing`."""
        name = self.parts()[0][1]
        if isinstance(self.source, str) and name in DATASETS:
            return "nothing"
        end = ending(name)
        return "column" if end is None else READERS[end].label

    def files(self) -> tuple[File, ...]:
        """Return every file that the data are in.

        Raises:
            DataError: the files with the labels are not named as the sources are.
        """
        files = [File(part, "source", name) for part, name in self.parts()]
        self._check_label()
        if self.label_kind() == "file":
            label = (("", self.label),) if isinstance(self.label, str) else self.label or ()
            files += [File(part, "label", name) for part, name in label]
        return tuple(files)

    def _check_label(self) -> None:
        kind, name = self.label_kind(), self.parts()[0][1]
        label = self.label
        for part, other in self.parts()[1:]:
            end = ending(other)
            if end is not None and READERS[end].label != kind:
                raise DataError(
                    f"the files of all parts must be of one kind, but train is {name} and {part}"
                    f" is {other}",
                    key="source",
                )
        if kind == "nothing" and label is not None:
            if name in DATASETS:
                known = DATASETS[name].label
                raise DataError(
                    f"{name} is a shipped data set and knows its label"
                    f"{f' ({known})' if known else ''}. Remove `label: {label}`",
                    key="label",
                )
            raise DataError(
                f"{name}: an .npz file has no columns to name: its array y is the label."
                " Remove `label`",
                key="label",
            )
        if kind == "column" and isinstance(label, tuple):
            raise DataError(
                "the label is a column, which has one name in all files, as in"
                f" `label: {dict(label)['train']}`",
                key="label",
            )
        if kind != "file":
            return
        one_each = ", ".join(f"{part}: y.npy" for part, _ in self.parts())
        example = "y.npy" if isinstance(self.source, str) else f"{{{one_each}}}"
        if label is None:
            raise DataError(
                f"{name}: which file holds the labels? Name it, as in `label: {example}`",
                key="label",
            )
        given = {""} if isinstance(label, str) else set(dict(label))
        if given != {part for part, _ in self.parts()}:
            raise DataError(
                f"the labels need a file for each file under source, as in `label: {example}`",
                key="label",
            )

    def fingerprinted(self) -> DataSource:
        """Return the same with the SHA-256 of every file as it is now."""
        hashes = {}
        for file in self.files():
            if not self._is_shipped(file):
                format_of(self.path_of(file), file.key)
            hashes[file.name] = self._fingerprint(file)
        return replace(self, sha256=tuple(hashes.items()))

    def identity(self) -> dict[str, Any]:
        """Return, as plain data, what decides which numbers are made: bytes rather than paths."""
        kind = self.label_kind()
        usual = {
            "categorical": [],
            "ignore": [],
            "missing": "refuse",
            "stratify": True,
            "folds": None,
            "image": None,
        }
        own = {
            **asdict(self),
            "categorical": list(self.categorical),
            "ignore": list(self.ignore),
            "image": None if self.image is None else list(self.image),
        }
        return {
            "sha256": self._joint_sha256(),
            "label": self.label if kind == "column" else None,
            "split": dict(self.fractions),
            "seed": self.seed,
            **{key: own[key] for key, value in usual.items() if own[key] != value},
        }

    def section(self, seen: Callable[[Path], str]) -> dict[str, Any]:
        """Return the section `data` of a config that gives the same numbers.

        seen: Writes a path as the config should.
        """

        def moved(named: Named | None) -> Any:
            if isinstance(named, tuple):
                return {part: moved(name) for part, name in named}
            if named is None or Path(named).is_absolute():
                return named
            return seen(Path(self.folder) / named)

        shipped = isinstance(self.source, str) and self.source in DATASETS
        label = moved(self.label) if self.label_kind() == "file" else self.label
        identity = self.identity()
        split = {part: share for part, share in self.fractions if share or part == "test"}
        return {
            "source": self.source if shipped else moved(self.source),
            **({} if label is None else {"label": label}),
            **({"split": split} if split else {}),
            "seed": self.seed,
            **{
                key: identity[key]
                for key in identity
                if key not in ("sha256", "label", "split", "seed")
            },
        }

    def about(self) -> str:
        """Say where the examples come from."""
        return ", ".join(f"{part} {name}".strip() for part, name in self.parts())

    def _joint_sha256(self) -> str:
        """Return one hash: of the only file, or of all hashes with what each file is for."""
        hashes = dict(self.sha256)
        if len(self.sha256) < 2 and isinstance(self.source, str):
            return next(iter(hashes.values()), "")
        lines = [f"{f.part} {f.key} {hashes.get(f.name, '')}" for f in sorted(self.files())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def _is_shipped(self, file: File) -> bool:
        return not file.part and file.key == "source" and file.name in DATASETS

    def path_of(self, file: File) -> Path:
        """Return where a file is that is not a shipped set; DataError unless it is there."""
        return find(file.name, Path(self.folder), file.key, shipped=not file.part)

    def _fingerprint(self, file: File) -> str:
        if self._is_shipped(file):
            return DATASETS[file.name].sha256()
        return fingerprint(self.path_of(file), file.key)

    def check(self, known: Mapping[str, list[Any]] | None = None) -> None:
        """Raise DataError when a file is another one than when the run began.

        known: stamps of files whose bytes were hashed before, by SHA-256.
        """
        hashes = dict(self.sha256)
        for file in self.files():
            sha256 = hashes.get(file.name)
            if known and not self._is_shipped(file):
                with suppress(OSError):
                    now = stamp(self.path_of(file))
                    if now is not None and list(now) in known.get(str(sha256), []):
                        continue
            if self._fingerprint(file) != sha256:
                raise DataError(f"{file.name} changed after the run began")

    def stamps(self) -> dict[str, list[Any]]:
        """Return the stamps that `check` knows a file by."""
        found: dict[str, list[Any]] = {}
        hashes = dict(self.sha256)
        for file in self.files():
            now = None if self._is_shipped(file) else stamp(self.path_of(file))
            if now is not None:
                found.setdefault(hashes[file.name], []).append(list(now))
        return found
