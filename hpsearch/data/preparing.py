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
from hpsearch.data.dataset import Dataset
from hpsearch.data.prepared import Examples, Split, prepared
from hpsearch.data.readers import ending
from hpsearch.data.reading import read
from hpsearch.data.source import DataSource
from hpsearch.data.splitting import PARTS, folded, share_out

FORMAT = 1
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
