"""All that fixes what a training sees, in plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from hpsearch.data.files import find, fingerprint, format_of, stamp, unreadable
from hpsearch.data.readers import READERS, ending
from hpsearch.data.shipped import DATASETS
from hpsearch.errors import DataError

Named = str | tuple[tuple[str, str], ...]
"""One name for all, or (part, name) of some of train, dev and test."""


Stamps = dict[str, list[Any]]
"""The stamps of files whose bytes were hashed, by SHA-256."""
BYTES = {"source", "folder", "sha256"}
"""Fields that say where the bytes are, rather than what is made of them."""
PLACED = {"sha256", "label", "split", "seed", "regression"}
"""Keys of an identity that `section` does not take from it as they are."""


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

    def __post_init__(self) -> None:
        """Give lists of columns one order, so that how they are written is no difference."""
        for name in ("categorical", "ignore"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))

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
                written = f": {label}" if isinstance(label, str) else ""
                raise DataError(
                    f"{name} is a shipped data set and knows its label"
                    f"{f' ({known})' if known else ''}. Remove `label{written}`",
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
            if not self.is_shipped(file):
                format_of(self.path_of(file), file.key)
            hashes[file.name] = self._fingerprint(file)
        return replace(self, sha256=tuple(hashes.items()))

    def identity(self) -> dict[str, Any]:
        """Return, as plain data, what decides which numbers are made: bytes rather than paths."""
        named = {"label", "fractions", "seed", *BYTES}  # written below, whether usual or not
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {
            "sha256": self._joint_sha256(),
            "label": self.label if self.label_kind() == "column" else None,
            "split": dict(self.fractions),
            "seed": self.seed,
            **{
                name: list(value) if isinstance(value, tuple) else value
                for name, (value, usual) in values.items()
                if name not in named and value != usual
            },
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
            **{key: value for key, value in identity.items() if key not in PLACED},
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

    def is_shipped(self, file: File) -> bool:
        """Tell whether a file is a data set that comes with hpsearch."""
        return not file.part and file.key == "source" and file.name in DATASETS

    def path_of(self, file: File) -> Path:
        """Return where a file is that is not a shipped set; DataError unless it is there."""
        return find(file.name, Path(self.folder), file.key, shipped=not file.part)

    def _fingerprint(self, file: File) -> str:
        if self.is_shipped(file):
            return DATASETS[file.name].sha256()
        return fingerprint(self.path_of(file), file.key)

    def check(self, known: Stamps | None = None, when: str = "after the run began") -> Stamps:
        """Raise DataError when a file is another one than when the run began.

        known: What an earlier check returned: a file with one of these stamps is not read again.
        when: Ends the message: when a file that is another one must have changed.
        Returns: The stamps of the files; those that changed in the last seconds have none.
        """
        stamps: Stamps = {}
        for file in self.files():
            sha256 = dict(self.sha256).get(file.name, "")
            now = None if self.is_shipped(file) else self._stamp(file)
            vouched = now is not None and now in (known or {}).get(sha256, [])
            # Hashed after the stamp was taken, or the stamp would vouch for older bytes.
            if not vouched and self._fingerprint(file) != sha256:
                raise DataError(f"{file.name} changed {when}")
            if now is not None:
                stamps.setdefault(sha256, []).append(now)
        return stamps

    def _stamp(self, file: File) -> list[Any] | None:
        path = self.path_of(file)
        try:
            now = stamp(path)
        except OSError as error:
            raise unreadable(path, error, file.key) from None
        return None if now is None else list(now)
