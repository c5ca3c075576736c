"""From the files of a DataSource to one Dataset."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hpsearch.data import arrays, columns
from hpsearch.data.arrays import Arrays
from hpsearch.data.columns import Table, Wanted
from hpsearch.data.dataset import Dataset
from hpsearch.data.files import format_of, unreadable
from hpsearch.data.readers import READERS
from hpsearch.data.shipped import DATASETS
from hpsearch.data.source import DataSource
from hpsearch.errors import DataError


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
            found = _contents(source.path_of(file), wanted, file.key)
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
    """Make one data set of what the files hold, by part and key: all tables, or all arrays."""
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
    if dataset.groups:
        raise DataError(
            f"image: column {dataset.groups[0].name!r} holds categories, which are no pixels; put"
            " it under ignore, or remove `image`",
            key="image",
        )
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
