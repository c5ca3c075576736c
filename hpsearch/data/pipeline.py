"""From a DataSource to the splits that a training sees, once per machine where they are large."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.data import cache
from hpsearch.data.assemble import read
from hpsearch.data.categories import drop_unseen
from hpsearch.data.dataset import Dataset
from hpsearch.data.encoding import Encoding, encoding_of
from hpsearch.data.examples import Examples, Split, make_split
from hpsearch.data.readers import ending
from hpsearch.data.shares import PARTS, Rows, fold, refuse_unknown_classes, share_out
from hpsearch.data.source import DataSource, Stamps

FORMAT = 3
"""Of what is in the cache; to be raised when other numbers come from the same source."""


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
    key = cache_key(source)
    found = _from_cache(source, key)
    if found is not None:
        return found
    vouched = source.check()
    rng = stream(source.seed, "split")
    dataset, rows = _read_and_part(source, rng)
    dataset, notes = drop_unseen(dataset, rows, folds=bool(source.folds))
    notes = (*_notes(source, dataset), *notes)
    every = [rows]
    if source.folds:
        every = fold(dataset, rows, source.folds, rng, stratify=source.stratify)

    def keep_all(keeper: cache.Keeper) -> tuple[tuple[Split, ...], Stamps]:
        splits = tuple(
            make_split(dataset, each, keeper, f"{k}-", notes) for k, each in enumerate(every)
        )
        return splits, source.check(vouched, "while it was read")

    size = sum(len(part) for each in every for part in each) * len(dataset.features) * 4
    if size <= cache.LARGE:
        return keep_all(cache.Memory())[0]
    try:
        return _in_cache(key, keep_all)
    except OSError as error:
        why = f"{error.strerror or error}"
    notes = (
        *notes,
        f"every process keeps the data in its own memory ({size / 2**20:,.0f} MiB), since the"
        f" cache {_cache_name()} cannot be written: {why}. HPSEARCH_CACHE can name another folder",
    )
    return keep_all(cache.Memory())[0]


def _read_and_part(source: DataSource, rng: np.random.Generator) -> tuple[Dataset, Rows]:
    dataset = read(source)
    refuse_unknown_classes(dataset, folds=bool(source.folds))
    return dataset, share_out(dataset, dict(source.fractions), rng, stratify=source.stratify)


def prepare_final(
    source: DataSource,
    stream: Callable[[int, str], np.random.Generator],
    *,
    include_dev: bool,
) -> tuple[Split, Encoding]:
    """Prepare the data of one last training, and what new examples need to be given to it.

    include_dev: Whether train and dev are one training part, which also decides what is normalised
        by; dev is then empty. Without it the split is that of `prepare`, value for value.
    Raises:
        DataError: As `prepare`.
    """
    vouched = source.check()
    dataset, rows = _read_and_part(source, stream(source.seed, "split"))
    if include_dev:
        rows = Rows(np.concatenate([rows.train, rows.dev]), rows.dev[:0], rows.test)
    dataset, notes = drop_unseen(dataset, rows)
    split = make_split(dataset, rows, cache.Memory(), notes=notes)
    encoding = encoding_of(source, dataset, rows)
    source.check(vouched, "while it was read")
    return split, encoding


def _cache_name() -> str:
    try:
        return str(cache.cache_root())
    except RuntimeError:  # no home folder
        return "in ~/.cache"


def cache_key(source: DataSource) -> str:
    """Return the name of the folder in the cache: a hash of all that decides the numbers."""
    ends = sorted((file.part, file.key, ending(file.name)) for file in source.files())
    decides = [FORMAT, source.identity(), ends]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]


def _in_cache(
    key: str, keep_all: Callable[[cache.Keeper], tuple[tuple[Split, ...], Stamps]]
) -> tuple[Split, ...]:
    """Write the arrays to the cache, for all processes; OSError when there is no room."""
    folder = cache.Folder(key)
    try:
        splits, stamps = keep_all(folder)
        for k, each in enumerate(splits):
            folder.keep(f"{k}-mean", each.mean.shape, each.mean.dtype, [each.mean])
            folder.keep(f"{k}-std", each.std.shape, each.std.dtype, [each.std])
        first = splits[0]
        folder.finish(
            {
                "stamps": stamps,
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
    found = cache.open_folder(key)
    if found is None:
        return None
    folder, about = found
    try:
        stamps = {sha256: list(stamps) for sha256, stamps in about["stamps"].items()}
        splits = tuple(_mapped(folder, k, about) for k in range(source.folds or 1))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # damaged on the disk
        cache.discard(folder)
        return None
    source.check(stamps)
    return splits


def _mapped(folder: Path, k: int, about: Mapping[str, Any]) -> Split:
    """Map split number k; any of the errors that `_from_cache` catches when it is damaged."""

    def array(name: str) -> Any:
        return cache.map_array(folder / f"{k}-{name}.npy")

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
