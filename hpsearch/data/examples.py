"""From rows of a Dataset to what a training sees: three parts, normalised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.cache import Keeper, Memory
from hpsearch.data.categories import drop_unseen
from hpsearch.data.dataset import Dataset
from hpsearch.data.normalise import fit, fit_target, normalise_target
from hpsearch.data.shares import PARTS, Rows, notes_on, share_out


class Examples(NamedTuple):
    """Inputs and what is to be learned of each.

    x: (m, n) float32, C-contiguous, perhaps mapped from the disk and read-only.
    y: (m,) int64 classes; for regression float32, in standard deviations from the mean.
    """

    x: NDArray[np.float32]
    y: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Split:
    """Three parts that share no example, normalised.

    train, dev, test: dev or test is empty only where it was given no share.
    mean, std: (n,) float64, of the training examples before normalising. A raw example becomes
        `(x - mean) / std`. In an image all pixels of a channel have the same. A column that is
        constant in train has an infinite std, and so becomes 0 in all parts: weights that nothing
        was learned for must not meet a value of dev or test.
    features, classes, image: as in Dataset.
    target: mean and standard deviation of the training targets, for regression: a prediction z
        means `z * std + mean`. None for classes.
    notes: sentences worth knowing.
    """

    train: Examples
    dev: Examples
    test: Examples
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    features: tuple[str, ...]
    classes: tuple[str, ...]
    image: tuple[int, int, int] | None = None
    target: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def make_split(
    dataset: Dataset, rows: Rows, keeper: Keeper, name: str = "", notes: tuple[str, ...] = ()
) -> Split:
    """Normalise the parts by the training examples, and give the arrays to the keeper.

    Args:
        dataset: As read.
        rows: Which example is in which part.
        keeper: Where the arrays go.
        name: Begins the names of the arrays.
        notes: What is already worth knowing.
    Raises:
        DataError: As `normalise.fit` and `Normaliser.blocks`.
        OSError: The keeper has no room.
    """
    normaliser = fit(dataset, rows.train, np.concatenate(rows))
    target = None if dataset.classes else fit_target(dataset, rows.train)
    parts: dict[str, Examples] = {}
    for part, chosen in zip(PARTS, rows, strict=True):
        x = keeper.keep(
            f"{name}{part}-x",
            (len(chosen), len(dataset.features)),
            np.float32,
            normaliser.blocks(chosen, part),
        )
        y = dataset.y[chosen]
        if target is not None:
            y = normalise_target(dataset, chosen, target, part)
        parts[part] = Examples(x, keeper.keep(f"{name}{part}-y", y.shape, y.dtype, [y]))
    inputs = normaliser.inputs
    return Split(
        **parts,
        mean=inputs.mean,
        std=inputs.std,
        features=dataset.features,
        classes=dataset.classes,
        image=dataset.image,
        target=None if target is None else (float(target.mean[0]), float(target.std[0])),
        notes=(
            *notes,
            *notes_on(dataset, rows),
            *normaliser.notes(),
        ),
    )


def split(
    dataset: Dataset,
    shares: Mapping[str, float],
    rng: np.random.Generator,
    *,
    stratify: bool = True,
) -> Split:
    """Part the examples at random, as `share_out`, and normalise them, in memory."""
    rows = share_out(dataset, shares, rng, stratify=stratify)
    left, notes = drop_unseen(dataset, rows)
    return make_split(left, rows, Memory(), notes=notes)
