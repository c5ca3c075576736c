from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nn_helpers import a_loss, differences, relative

from hpsearch.nn.losses import LOSSES, Loss, cross_entropy, softmax, sparse

Array = np.ndarray[Any, Any]

columns = arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(1, 5)),
                 elements=st.floats(-1e4, 1e4))  # fmt: skip


def gradient(loss: Loss, outputs: Array, y: Array) -> Array:
    """What the training step starts its way back from, for outputs: (outputs, m)."""
    d = outputs.copy()
    loss.gradient(d, loss.targets(y[None], d.dtype)[0])()
    return d


@given(logits=columns, shift=st.floats(-1e4, 1e4))
def test_softmax_is_a_distribution_that_no_shift_changes(logits: Array, shift: float) -> None:
    probabilities = softmax(logits)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(softmax(logits + shift), probabilities, rtol=1e-9, atol=1e-12)


@given(logits=columns, data=st.data())
def test_the_gradient_is_probability_minus_one_hot_over_m(
    logits: Array, data: st.DataObject
) -> None:
    classes, m = logits.shape
    labels = data.draw(arrays(np.int64, m, elements=st.integers(0, classes - 1)))
    expected = (softmax(logits) - (np.arange(classes)[:, None] == labels)) / m
    result = gradient(a_loss("cross_entropy", classes=classes), logits, labels)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-15)


def test_the_gradient_agrees_with_centred_differences_of_the_mean_loss() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((4, 3)), np.array([0, 3, 1])
    expected = differences(lambda: cross_entropy(logits, labels).mean(), logits)
    assert relative(gradient(a_loss("cross_entropy", classes=4), logits, labels), expected) <= 1e-7


@pytest.mark.parametrize("class_weights", ["none", "balanced", (1.0, 0.2, 5.0, 2.0)])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_weighted_and_smoothed_gradients_agree_with_differences_of_their_formula(
    class_weights: Any, smoothing: float
) -> None:
    """The mean over m of weight · -Σ target log p; weights have mean 1 over the training set."""
    rng = np.random.default_rng(1)
    logits, labels = rng.standard_normal((4, 5)), np.array([0, 3, 1, 1, 2])
    training = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 3])
    counts = np.array([5, 3, 1, 2])
    weights = {"none": np.ones(4), "balanced": 1 / counts}.get(
        class_weights if isinstance(class_weights, str) else "", np.array(class_weights)
    )
    weights = weights / weights[training].mean()
    targets = np.full((4, 5), smoothing / 4)
    targets[labels, np.arange(5)] += 1 - smoothing

    def formula() -> float:
        logarithms = logits - np.log(np.exp(logits).sum(axis=0))
        return float(-(weights[labels] * (targets * logarithms).sum(axis=0)).mean())

    loss = a_loss(
        "cross_entropy", training, 4, class_weights=class_weights, label_smoothing=smoothing
    )
    assert relative(gradient(loss, logits, labels), differences(formula, logits)) <= 1e-7


def test_the_squared_errors_gradient_agrees_with_centred_differences() -> None:
    rng, loss = np.random.default_rng(2), a_loss("mse")
    outputs, y = rng.standard_normal((1, 7)), rng.standard_normal(7)
    expected = differences(lambda: loss.measure([(outputs, y)])["loss"], outputs)
    assert relative(gradient(loss, outputs, y), expected) <= 1e-7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_extreme_logits_stay_finite_and_keep_their_dtype(dtype: type, class_weights: str) -> None:
    logits, labels = np.array([[1e30, 0], [-1e30, 1e4]], dtype), np.array([1, 0])
    losses = cross_entropy(logits, labels)
    loss = a_loss("cross_entropy", classes=2, class_weights=class_weights)
    result = gradient(loss, logits, labels)
    assert losses.dtype == softmax(logits).dtype == result.dtype == dtype
    np.testing.assert_allclose(losses, [2e30, 1e4], rtol=1e-6)
    np.testing.assert_array_equal(softmax(logits), [[1, 0], [0, 1]])
    np.testing.assert_array_equal(result, [[0.5, -0.5], [-0.5, 0.5]])


@pytest.mark.parametrize("name", LOSSES)
def test_targets_are_one_table_per_step_in_the_dtype_of_training(name: str) -> None:
    y = np.arange(12).reshape(3, 4) % 3
    loss = a_loss(name)
    y = y.astype(np.float64) if name == "mse" else y
    for dtype in (np.dtype("float32"), np.dtype("float64")):
        targets = loss.targets(y, dtype)
        assert targets.shape == (3, loss.outputs, 4)
        assert targets.dtype == dtype
        for row, table in zip(y, targets, strict=True):
            np.testing.assert_array_equal(table, loss.targets(row[None], dtype)[0])


def test_smoothing_spreads_its_share_evenly_over_all_classes() -> None:
    loss = a_loss("cross_entropy", classes=4, label_smoothing=0.2)
    (targets,) = loss.targets(np.array([[1, 3]]), np.dtype("float64"))
    expected = [[0.05, 0.05], [0.85, 0.05], [0.05, 0.05], [0.05, 0.85]]
    np.testing.assert_allclose(targets, np.array(expected) / 2, rtol=1e-12)


def example_weights(y: Array, classes: int, class_weights: Any) -> Array:
    """Each example's weight as it shows in the targets: their sum over the classes, times m."""
    loss = a_loss("cross_entropy", y, classes, class_weights=class_weights)
    result: Array = loss.targets(y[None], np.dtype("float64"))[0].sum(axis=0) * len(y)
    return result


@given(y=arrays(np.int64, st.integers(1, 40), elements=st.integers(0, 3)))
def test_balanced_weights_give_every_class_that_occurs_the_same_total_and_mean_1(
    y: Array,
) -> None:
    weights = example_weights(y, 4, "balanced")
    totals = np.bincount(y, weights, minlength=4)
    occurs = np.bincount(y, minlength=4) > 0
    np.testing.assert_allclose(totals[occurs], len(y) / occurs.sum(), rtol=1e-12)
    assert weights.mean() == pytest.approx(1, rel=1e-12)


def test_balanced_weights_are_the_list_of_inverse_frequencies() -> None:
    y = np.array([0] * 6 + [1] * 3 + [2])
    listed = example_weights(y, 3, (1 / 6, 1 / 3, 1.0))
    np.testing.assert_allclose(example_weights(y, 3, "balanced"), listed, rtol=1e-12)
    np.testing.assert_allclose(listed[[0, 6, 9]], [10 / 18, 10 / 9, 10 / 3], rtol=1e-12)


@given(
    weights=st.tuples(*[st.floats(1e-3, 1e3)] * 3),
    y=arrays(np.int64, st.integers(1, 20), elements=st.integers(0, 2)),
    factor=st.floats(0.01, 100),
)
def test_only_the_ratio_of_class_weights_counts(
    weights: tuple[float, ...], y: Array, factor: float
) -> None:
    result = example_weights(y, 3, weights)
    assert result.mean() == pytest.approx(1, rel=1e-9)
    np.testing.assert_allclose(result / result[0], np.array(weights)[y] / weights[y[0]], rtol=1e-9)
    scaled = tuple(weight * factor for weight in weights)
    np.testing.assert_allclose(example_weights(y, 3, scaled), result, rtol=1e-9)


def test_a_wrong_number_of_class_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="lists 2 weights, but there are 3 classes"):
        a_loss("cross_entropy", class_weights=(1.0, 2.0))


def logits_for(answers: Array, classes: int) -> Array:
    return 5 * (np.arange(classes)[:, None] == answers).astype(np.float64)


def test_figures_of_classes_are_those_worked_out_by_hand() -> None:
    labels, answers = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    figures = a_loss("cross_entropy").measure([(logits_for(answers, 3), labels)])
    assert figures["accuracy"] == 4 / 6
    assert figures["error"] == 2 / 6
    # class 0: 2·2/(3+2), class 1: 2·1/(2+2), class 2: 2·1/(1+2)
    assert figures["macro_f1"] == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3, rel=1e-12)
    right, wrong = math.exp(5) / (math.exp(5) + 2), 1 / (math.exp(5) + 2)
    expected = -(4 * math.log(right) + 2 * math.log(wrong)) / 6
    assert figures["loss"] == pytest.approx(expected, rel=1e-12)


def test_a_class_that_never_occurs_counts_in_f1_only_if_it_is_predicted() -> None:
    labels = np.array([0, 0, 1, 1])
    never = a_loss("cross_entropy", classes=4).measure([(logits_for(labels, 4), labels)])
    assert never["macro_f1"] == never["accuracy"] == 1
    answers = np.array([0, 0, 1, 3])  # class 2 neither occurs nor is predicted, class 3 is
    once = a_loss("cross_entropy", classes=4).measure([(logits_for(answers, 4), labels)])
    assert once["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3, rel=1e-12)


def test_f1_tells_what_the_error_hides_when_one_class_is_rare() -> None:
    labels = np.array([0] * 19 + [1])
    figures = a_loss("cross_entropy", classes=2).measure([(logits_for(0 * labels, 2), labels)])
    assert figures["error"] == 0.05
    assert figures["macro_f1"] == pytest.approx((38 / 39 + 0) / 2)


@given(
    logits=arrays(np.float64, (3, 20), elements=st.floats(-10, 10)),
    labels=arrays(np.int64, 20, elements=st.integers(0, 2)),
    cut=st.integers(1, 19),
)
def test_figures_do_not_depend_on_the_blocks(logits: Array, labels: Array, cut: int) -> None:
    loss = a_loss("cross_entropy")
    whole = loss.measure([(logits, labels)])
    parts = [(logits[:, :cut], labels[:cut]), (logits[:, cut:], labels[cut:])]
    assert loss.measure(parts) == pytest.approx(whole, rel=1e-12)
    y = labels * 0.7
    line = a_loss("mse")
    whole = line.measure([(logits[:1], y)])
    parts = [(logits[:1, :cut], y[:cut]), (logits[:1, cut:], y[cut:])]
    assert line.measure(parts) == pytest.approx(whole, rel=1e-12)


def test_figures_of_regression_are_those_worked_out_by_hand() -> None:
    outputs, y = np.array([[1.0, 2.0, 5.0, 4.0]]), np.array([1.0, 3.0, 3.0, 5.0])
    figures = a_loss("mse").measure([(outputs, y)])
    assert figures["loss"] == pytest.approx((0 + 1 + 4 + 1) / 4)
    assert figures["rmse"] == pytest.approx(math.sqrt(1.5))
    assert figures["mae"] == pytest.approx((0 + 1 + 2 + 1) / 4)
    assert figures["r2"] == pytest.approx(1 - 6 / 8)  # the squares around the mean of 3 sum to 8


def test_outputs_that_are_used_again_for_the_next_block_are_measured_before() -> None:
    loss, y, space = a_loss("mse"), np.array([1.0, 2.0, 3.0, 4.0]), np.empty((1, 2))

    def blocks() -> Any:
        for part in (y[:2], y[2:]):
            space[0] = part + 1
            yield space, part

    assert loss.measure(blocks()) == pytest.approx({"loss": 1, "rmse": 1, "mae": 1, "r2": 0.2})


@given(c=st.floats(-1e6, 1e6), m=st.integers(1, 50), off=st.sampled_from([0.0, 0.5]))
def test_r2_of_a_constant_target_is_0_or_1_when_all_is_right(c: float, m: int, off: float) -> None:
    """Also where the mean of m times the same number rounds to another one."""
    y = np.full(m, c)
    figures = a_loss("mse").measure([(y[None] + off, y)])
    assert figures["r2"] == float(off == 0)


def test_one_hot_labels_are_the_same_as_integers() -> None:
    labels = np.array([2, 0, 1, 1])
    logits = np.random.default_rng(0).standard_normal((3, 4))
    one_hot = np.eye(3)[labels]
    np.testing.assert_array_equal(sparse(one_hot), labels)
    np.testing.assert_array_equal(cross_entropy(logits, one_hot), cross_entropy(logits, labels))
    loss = a_loss("cross_entropy", one_hot)
    np.testing.assert_array_equal(loss.check(one_hot, "dev"), labels)
    for dtype in (bool, np.uint8, np.float32):
        np.testing.assert_array_equal(sparse(one_hot.astype(dtype)), labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0.0, 1.0]), "labels must be whole numbers, got float64"),
        (np.array(["a", "b"]), "labels must be whole numbers, got <U1"),
        (np.array([[0.5, 0.5, 0.0]]), "a single 1 in every row"),
        (np.array([[1, 1, 0]]), "a single 1 in every row"),
        (np.zeros((2, 3)), "a single 1 in every row"),
        (np.array([0, 3]), r"labels of the training set lie in \[0, 3\], but 3 classes"),
        (np.array([-1, 2]), r"labels of the training set lie in \[-1, 2\], but 3 classes"),
    ],
)
def test_labels_that_are_none_are_refused_in_words(labels: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        a_loss("cross_entropy", labels)


@pytest.mark.parametrize("y", [np.arange(3), np.eye(3), np.array([True, False])])
def test_regression_needs_one_real_number_per_example(y: Array) -> None:
    with pytest.raises(
        ValueError, match="the dev set needs one real number per example, all finite: got"
    ):
        a_loss("mse").check(y, "dev")
