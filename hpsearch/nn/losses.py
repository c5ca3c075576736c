"""What a network is trained to lower and measured by; outputs are laid out (outputs, m).

A newcomer's loss is one class with what `Loss` names, and one line in `LOSSES`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from numpy import copyto, divide, exp, maximum, multiply, subtract

from hpsearch.nn.layers import Array, Step

if TYPE_CHECKING:
    from hpsearch.nn.settings import Settings

Figures = dict[str, float]
"""What a network is measured by on one set of examples: the loss first, then more, by name."""

Outputs = Iterable[tuple[Array, Array]]
"""The network's outputs, (outputs, rows), and the y of the same examples, block by block."""


class Loss(Protocol):
    """How outputs are compared with what they should be."""

    FIGURES: ClassVar[Mapping[str, str]]
    """What `measure` reports, and whether to minimize or maximize it; what people ask first."""

    IN_UNIT_OF_Y: ClassVar[tuple[str, ...]]
    """Those of the figures that are in the unit of y."""

    REGRESSION: ClassVar[bool]
    """Whether y are real numbers, not classes."""

    outputs: int
    """How many outputs the network needs."""

    judge: str
    """The figure that tells a better network, by a lower value."""

    def __init__(self, settings: Settings, y: Array, classes: int) -> None:
        """Prepare for the y of the training set; `classes` is 0 for regression."""

    def check(self, y: Array, name: str) -> Array:
        """Return y as the other methods take it; ValueError, which calls the set `name`."""

    def targets(self, y: Array, dtype: np.dtype[np.floating]) -> Array:
        """Return what `gradient` subtracts: (steps, outputs, m) for y: (steps, m)."""

    def gradient(self, outputs: Array, targets: Array) -> Step:
        """Return the step that replaces outputs by the derivative of the batch's mean loss.

        outputs, targets: (outputs, m); one batch of `targets`, read in each step.
        """

    def measure(self, blocks: Outputs) -> Figures:
        """Measure a network by its outputs on a whole set, without regularisation."""


def _exponential_shares(z: Array, row: Array, rows: Array, weights: Array) -> None:
    """Replace z: (classes, m) by exp(z) / (weights @ exp(z)).

    The shift by each example's maximum changes nothing but the range: exp cannot overflow.

    row, rows: (m,) and (classes, m), scratch.
    """
    maximum.reduce(z, axis=0, out=row)
    copyto(rows, row)
    subtract(z, rows, z)
    exp(z, z)
    weights.dot(z, row)
    copyto(rows, row)
    divide(z, rows, z)


def softmax(logits: Array) -> Array:
    """Turn logits: (classes, m) into probabilities of the same shape and dtype.

    Each column sums to 1. An infinite or NaN logit makes its whole column NaN.
    """
    probabilities = logits.copy()
    row, rows = np.empty_like(logits[0]), np.empty_like(logits)
    _exponential_shares(probabilities, row, rows, np.ones(len(logits), logits.dtype))
    return probabilities


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Return each example's loss, minus the logarithm of its label's probability.

    Args:
        logits: (classes, m). The logarithms of probabilities are logits too.
        labels: (m,) integers in [0, classes), or one-hot (m, classes).
    Returns:
        (m,) losses in the dtype of the logits; finite however small the probability.
    """
    shifted = logits - logits.max(axis=0)
    losses: Array = np.log(np.exp(shifted).sum(axis=0))
    losses -= shifted[sparse(labels), np.arange(len(labels))]
    return losses


def sparse(labels: Array) -> Array:
    """Return labels, (m,) integers or one-hot (m, classes), as (m,) int64.

    Raises:
        ValueError: two dimensions, but not a single 1 among zeros in every row.
    """
    if labels.ndim < 2:
        if labels.dtype.kind not in "biu":
            raise ValueError(f"labels must be whole numbers, got {labels.dtype}")
        return np.asarray(labels, np.int64)
    if not (((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()):
        raise ValueError("labels of two dimensions must be one-hot: a single 1 in every row")
    positions: Array = labels.argmax(axis=1)
    return positions


class CrossEntropy:
    """Softmax and cross-entropy over classes; with two classes it is logistic regression.

    Class weights multiply an example's loss by its class's weight; they are scaled to a mean of 1
    over the training examples, so that they do not rescale the learning rate. Label smoothing s
    moves a share s of each target from the label evenly to all classes. The loss that `measure`
    reports has neither, so that it compares between settings.

    Args:
        settings: `class_weights` and `label_smoothing`.
        y: (m,) labels of the training set, in [0, classes), or one-hot.
        classes: How many there are.
    Raises:
        ValueError: as `check`; a number of class weights that is not `classes`.
    Source: smoothing: Szegedy et al. 2016, arXiv:1512.00567, section 7.
    """

    FIGURES: ClassVar[Mapping[str, str]] = {
        "error": "minimize",
        "loss": "minimize",
        "accuracy": "maximize",
        "macro_f1": "maximize",
    }
    IN_UNIT_OF_Y: ClassVar[tuple[str, ...]] = ()
    REGRESSION: ClassVar[bool] = False
    judge = "error"

    def __init__(self, settings: Settings, y: Array, classes: int) -> None:
        self.outputs = classes
        self._smoothing = settings.label_smoothing
        counts = np.bincount(self.check(y, "training"), minlength=classes)
        self._weights = _class_weights(settings.class_weights, counts)

    def check(self, y: Array, name: str) -> Array:
        """Return the labels as integers."""
        labels = sparse(y)
        if y.ndim == 2 and y.shape[1] != self.outputs:
            raise ValueError(
                f"one-hot labels of the {name} set have {y.shape[1]} columns for {self.outputs} "
                "classes"
            )
        if labels.min(initial=0) < 0 or labels.max(initial=0) >= self.outputs:
            raise ValueError(
                f"labels of the {name} set lie in [{labels.min()}, {labels.max()}], "
                f"but {self.outputs} classes are numbered 0 to {self.outputs - 1}"
            )
        return labels

    def targets(self, y: Array, dtype: np.dtype[np.floating]) -> Array:
        """Return smoothed one-hot targets, times the class's weight, divided by m."""
        steps, m = y.shape
        even = self._smoothing / self.outputs / m
        label = even + (1 - self._smoothing) / m
        targets = np.full((steps, self.outputs, m), even, dtype)
        places = y * m + np.arange(m)
        places += np.arange(0, targets.size, self.outputs * m)[:, None]
        targets.reshape(-1)[places] = label
        if self._weights is not None:
            targets *= self._weights[y][:, None, :].astype(dtype)
        return targets

    def gradient(self, outputs: Array, targets: Array) -> Step:
        """Return the step: (probability - target) · weight / m."""
        classes, m = outputs.shape
        row, rows = np.empty(m, outputs.dtype), np.empty_like(outputs)
        if self._weights is not None:
            return _weighted_gradient(outputs, targets, row, rows)
        weights = np.full(classes, m, outputs.dtype)  # brings the division by m in for nothing

        def step() -> None:
            _exponential_shares(outputs, row, rows, weights)
            subtract(outputs, targets, outputs)

        return step

    def measure(self, blocks: Outputs) -> Figures:
        """Return loss, error, accuracy and macro_f1.

        macro_f1 is the mean over the classes, of those that occur or are predicted, of
        2 · right / (examples of the class + predictions of the class).
        """
        loss, examples = 0.0, 0
        right, labelled, predicted = np.zeros((3, self.outputs), np.int64)
        for logits, labels in blocks:
            loss += float(cross_entropy(logits, labels).sum(dtype=np.float64))
            answers = logits.argmax(axis=0)
            examples += len(labels)
            labelled += np.bincount(labels, minlength=self.outputs)
            predicted += np.bincount(answers, minlength=self.outputs)
            right += np.bincount(labels[answers == labels], minlength=self.outputs)
        seen = labelled + predicted > 0
        return {
            "loss": loss / examples,
            "error": (examples - int(right.sum())) / examples,
            "accuracy": int(right.sum()) / examples,
            "macro_f1": float((2 * right[seen] / (labelled + predicted)[seen]).mean()),
        }


def _class_weights(given: str | tuple[float, ...], counts: Array) -> Array | None:
    """Return each class's weight, (classes,) float64, or None when all are 1."""
    if given == "none":
        return None
    if isinstance(given, str):  # balanced: every class counts as much as any other
        weights = 1 / np.maximum(counts, 1)
    else:
        weights = np.array(given)
        if len(weights) != len(counts):
            raise ValueError(
                f"class_weights lists {len(weights)} weights, but there are {len(counts)} classes"
            )
    scaled: Array = weights * (counts.sum() / (weights @ counts))
    return scaled


def _weighted_gradient(outputs: Array, targets: Array, row: Array, rows: Array) -> Step:
    """As `CrossEntropy.gradient`: an example's targets sum to its weight / m."""
    ones = np.ones(len(outputs), outputs.dtype)

    def step() -> None:
        _exponential_shares(outputs, row, rows, ones)
        ones.dot(targets, row)
        copyto(rows, row)
        multiply(outputs, rows, outputs)
        subtract(outputs, targets, outputs)

    return step


class SquaredError:
    """The mean squared error of one real output, for regression.

    `measure` reports loss (the mean squared error), rmse (its root), mae (the mean absolute
    error) and r2 (1 - squared error / variance of y), in the unit of y.
    """

    FIGURES: ClassVar[Mapping[str, str]] = {
        "rmse": "minimize",
        "mae": "minimize",
        "r2": "maximize",
        "loss": "minimize",
    }
    IN_UNIT_OF_Y: ClassVar[tuple[str, ...]] = ("rmse", "mae")
    REGRESSION: ClassVar[bool] = True
    outputs = 1
    judge = "loss"

    def __init__(self, settings: Settings, y: Array, classes: int) -> None:
        del settings, classes  # nothing to tune, and no classes
        self.check(y, "training")

    def check(self, y: Array, name: str) -> Array:
        """Return y as it is: (m,) floats."""
        if y.ndim != 1 or y.dtype.kind != "f" or not np.isfinite(y).all():
            raise ValueError(
                f"the {name} set needs one real number per example, all finite: "
                f"got {y.dtype} of shape {y.shape}"
            )
        return y

    def targets(self, y: Array, dtype: np.dtype[np.floating]) -> Array:
        """Return 2 y / m, a single output for each example."""
        targets: Array = (y * (2 / y.shape[1])).astype(dtype)[:, None, :]
        return targets

    def gradient(self, outputs: Array, targets: Array) -> Step:
        """Return the step: 2 (output - y) / m."""
        factor = np.array(2 / outputs.shape[1], outputs.dtype)

        def step() -> None:
            multiply(outputs, factor, outputs)
            subtract(outputs, targets, outputs)

        return step

    def measure(self, blocks: Outputs) -> Figures:
        """Return loss, rmse, mae and r2; r2 of a constant y is 0, or 1 when all is right."""
        pairs = [(z[0].astype(np.float64), y) for z, y in blocks]  # z is used again
        outputs, y = (
            np.concatenate(parts).astype(np.float64) for parts in zip(*pairs, strict=True)
        )
        errors = outputs - y
        squared = float(np.mean(errors**2))
        variance = float(np.var(y)) if y.min() < y.max() else 0.0  # a mean may be rounded
        return {
            "loss": squared,
            "rmse": math.sqrt(squared),
            "mae": float(np.abs(errors).mean()),
            "r2": 1 - squared / variance if variance else float(squared == 0),
        }


LOSSES: dict[str, type[Loss]] = {
    "cross_entropy": CrossEntropy,
    "mse": SquaredError,
}
