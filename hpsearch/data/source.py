"""All that fixes what a training sees, and how it is made from that."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hpsearch.data import arrays, cache, columns
from hpsearch.data.arrays import Arrays
from hpsearch.data.columns import Table, Wanted
from hpsearch.data.dataset import Dataset
from hpsearch.data.files import find, fingerprint, format_of, stamp, unreadable
from hpsearch.data.prepared import Examples, Split, prepared
from hpsearch.data.readers import READERS, ending
from hpsearch.data.shipped import DATASETS
from hpsearch.data.splitting import PARTS, folded, share_out
from hpsearch.errors import DataError

FORMAT = 1
"""Of what is in the cache; to be raised when other numbers come from the same source."""

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
                format_of(self._find(file), file.key)
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

    def _find(self, file: File) -> Path:
        return find(file.name, Path(self.folder), file.key, shipped=not file.part)

    def _fingerprint(self, file: File) -> str:
        if self._is_shipped(file):
            return DATASETS[file.name].sha256()
        return fingerprint(self._find(file), file.key)

    def check(self, known: Mapping[str, list[Any]] | None = None) -> None:
        """Raise DataError when a file is another one than when the run began.

        known: stamps of files whose bytes were hashed before, by SHA-256.
        """
        hashes = dict(self.sha256)
        for file in self.files():
            sha256 = hashes.get(file.name)
            if known and not self._is_shipped(file):
                with suppress(OSError):
                    now = stamp(self._find(file))
                    if now is not None and list(now) in known.get(str(sha256), []):
                        continue
            if self._fingerprint(file) != sha256:
                raise DataError(f"{file.name} changed after the run began")

    def stamps(self) -> dict[str, list[Any]]:
        """Return the stamps that `check` knows a file by."""
        found: dict[str, list[Any]] = {}
        hashes = dict(self.sha256)
        for file in self.files():
            now = None if self._is_shipped(file) else stamp(self._find(file))
            if now is not None:
                found.setdefault(hashes[file.name], []).append(list(now))
        return found


def read(source: DataSource) -> Dataset:
    """Read the examples of all parts.

    Raises:
        DataError: Anything that keeps the data from being used, with its place and the way out.
    """
    name = source.parts()[0][1]
    shipped = DATASETS.get(name) if isinstance(source.source, str) else None
    wanted = Wanted(
        shipped.label if shipped else source.label if isinstance(source.label, str) else None,
        source.categorical,
        source.ignore,
        fill=source.missing == "median",
        regression=source.regression,
    )
    by_part: dict[str, dict[str, Table | Arrays]] = {}
    for file in source.files():
        if shipped and shipped.drawn:
            x, y = shipped.drawn()
            found: Table | Arrays = Arrays(Path(name), x, y, Path(name))
        elif shipped:
            found = _contents(shipped.path, wanted, "source")
        else:
            found = _contents(source._find(file), wanted, file.key)
        by_part.setdefault(file.part, {})[file.key] = found
    dataset = _joint(by_part, wanted)
    if not isinstance(source.source, str):
        return _with_image(dataset, source.image)
    if shipped and shipped.image and len(dataset.features) == math.prod(shipped.image):
        dataset = replace(dataset, image=shipped.image)
    return _with_image(replace(dataset, parts=()), source.image)


def _contents(path: Path, wanted: Wanted, key: str) -> Table | Arrays:
    reader = READERS[format_of(path, key)]
    if key == "label" and reader.label != "file":
        raise DataError(
            f"{path}: the labels of an array are an array in a file of their own: .npy or IDX",
            key="label",
        )
    try:
        return reader.read(path, wanted)
    except OSError as error:
        raise unreadable(path, error, key) from None


def _joint(by_part: Mapping[str, Mapping[str, Table | Arrays]], wanted: Wanted) -> Dataset:
    """Make one data set of what the files hold, by part and key."""
    tables, others = [], []
    for part, found in by_part.items():
        content = found["source"]
        if isinstance(content, Table):
            tables.append((part, content))
            continue
        labels = found.get("label")
        if isinstance(labels, Arrays):
            content = replace(content, y=labels.x, labels_path=labels.path)
        others.append((part, content))
    if tables and others:
        raise DataError(
            f"{tables[0][0]} is a table and {others[0][0]} is an array; the files of all parts must"
            " be of one kind",
            key="source",
        )
    if tables:
        return columns.dataset_of(tables, wanted)
    for key in ("categorical", "ignore"):
        if getattr(wanted, key):
            raise DataError(
                f"{others[0][1].path}: an array has no columns to name. Remove `{key}`", key=key
            )
    return arrays.dataset_of(others, wanted)


def _with_image(dataset: Dataset, asked: tuple[int, ...] | None) -> Dataset:
    """Let each row be an image of the height, width and channels that the config gives."""
    if asked is None:
        return dataset
    height, width, channels = (*asked, 1)[:3]
    size = f"{height} x {width} x {channels}"
    if dataset.image is not None and dataset.image != (height, width, channels):
        raise DataError(
            f"image: {size}, but the examples are images of"
            f" {' x '.join(map(str, dataset.image))}. Remove `image`",
            key="image",
        )
    if height * width * channels != len(dataset.features):
        raise DataError(
            f"image: {size} are {height * width * channels} values, but an example has"
            f" {len(dataset.features)}",
            key="image",
        )
    return replace(dataset, image=(height, width, channels))


@lru_cache(maxsize=1)
def prepare(
    source: DataSource, stream: Callable[[int, str], np.random.Generator]
) -> tuple[Split, ...]:
    """Read, split and normalise a data set; once per process, and once per machine when large.

    Args:
        source: With the SHA-256 of its files, as `fingerprinted` returns it.
        stream: Gives the random stream of a seed and a purpose, as `hpsearch.seeds.stream`.
    Returns:
        One Split; with folds one for each, with the same test part and another dev part.
    Raises:
        DataError: The data cannot be used, or are others than when the run began.
    """
    key = _key(source)
    found = _from_cache(source, key)
    if found is not None:
        return found
    source.check()
    dataset = read(source)
    rng = stream(source.seed, "split")
    rows = share_out(dataset, dict(source.fractions), rng, stratify=source.stratify)
    every = [rows]
    if source.folds:
        every = folded(dataset, rows, source.folds, rng, stratify=source.stratify)
    notes = _notes(source, dataset)

    def all_kept(keeper: cache.Keeper) -> tuple[Split, ...]:
        return tuple(
            prepared(dataset, each, keeper, f"{k}-", notes) for k, each in enumerate(every)
        )

    size = sum(len(part) for each in every for part in each) * len(dataset.features) * 4
    if size <= cache.LARGE:
        return all_kept(cache.Memory())
    try:
        return _in_cache(source, key, all_kept)
    except OSError as error:
        why = f"{error.strerror or error}"
    notes = (
        *notes,
        f"every process keeps the data in its own memory ({size / 2**20:,.0f} MiB), since the"
        f" cache cannot be written: {why}",
    )
    return all_kept(cache.Memory())


def _key(source: DataSource) -> str:
    """Return the name of the folder in the cache: a hash of all that decides the numbers."""
    ends = sorted((file.part, file.key, ending(file.name)) for file in source.files())
    decides = [FORMAT, source.identity(), source.regression, ends]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]


def _in_cache(
    source: DataSource, key: str, all_kept: Callable[[cache.Keeper], tuple[Split, ...]]
) -> tuple[Split, ...]:
    """Write the arrays to the cache, for all processes; OSError when there is no room."""
    folder = cache.Folder(key)
    try:
        splits = all_kept(folder)
        for k, each in enumerate(splits):
            folder.keep(f"{k}-mean", each.mean.shape, each.mean.dtype, [each.mean])
            folder.keep(f"{k}-std", each.std.shape, each.std.dtype, [each.std])
        first = splits[0]
        folder.finish(
            {
                "stamps": source.stamps(),
                "features": first.features,
                "classes": first.classes,
                "image": first.image,
                "splits": [{"target": each.target, "notes": each.notes} for each in splits],
            }
        )
    except BaseException:
        folder.remove()
        raise
    return splits


def _from_cache(source: DataSource, key: str) -> tuple[Split, ...] | None:
    """Map the arrays that another process, or an earlier one, has written; None without any."""
    found = cache.opened(key)
    if found is None:
        return None
    folder, about = found
    source.check(about["stamps"])
    try:
        return tuple(_mapped(folder, k, about) for k in range(len(about["splits"])))
    except (OSError, ValueError):
        cache.discard(folder)
        return None


def _mapped(folder: Path, k: int, about: Mapping[str, Any]) -> Split:
    """Map split number k; OSError or ValueError when a file is not there whole."""

    def array(name: str) -> Any:
        return cache.mapped(folder / f"{k}-{name}.npy")

    own, image = about["splits"][k], about["image"]
    return Split(
        **{part: Examples(array(f"{part}-x"), array(f"{part}-y")) for part in PARTS},
        mean=array("mean"),
        std=array("std"),
        features=tuple(about["features"]),
        classes=tuple(about["classes"]),
        image=tuple(image) if image else None,
        target=tuple(own["target"]) if own["target"] else None,
        notes=tuple(own["notes"]),
    )


def _notes(source: DataSource, dataset: Dataset) -> tuple[str, ...]:
    """Say what is worth knowing of the files themselves."""
    notes = []
    hashes = dict(source.sha256)
    seen: dict[str, str] = {}
    for part, name in source.parts():
        if hashes[name] in seen:
            notes.append(
                f"{seen[hashes[name]]} and {part} are the same file, so {part} tells nothing of"
                " new examples"
            )
        seen.setdefault(hashes[name], part)
    if dataset.image is not None and dataset.image[2] > 4 >= dataset.image[0]:
        size = " x ".join(map(str, dataset.image))
        notes.append(f"images of height x width x channels {size}: are the channels really last?")
    return tuple(notes)
