from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from hpsearch.nn.optimizers import CHUNK, OPTIMIZERS, Optimizer
from hpsearch.nn.settings import Settings

Array = np.ndarray[Any, Any]

RATE, BETA1, BETA2, EPSILON = 0.01, 0.8, 0.95, 1e-6


def textbook(name: str, w: Array, gradients: list[Array]) -> Iterator[Array]:
    """The formulas as written in any book, one array operation after the other."""
    v, s = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        v = BETA1 * v + (1 - BETA1) * g
        s = BETA2 * s + (1 - BETA2) * g**2
        if name == "gradient_descent":
            w = w - RATE * g
        elif name == "momentum":
            w = w - RATE * v
        elif name == "rmsprop":
            w = w - RATE * g / (np.sqrt(s) + EPSILON)
        else:
            assert name == "adam"
            corrected = np.sqrt(s / (1 - BETA2**t))
            w = w - RATE * v / (1 - BETA1**t) / (corrected + EPSILON)
        yield w


def settings(name: str, **changes: Any) -> Settings:
    hyper = {"learning_rate": RATE, "momentum": BETA1, "beta2": BETA2, "epsilon": EPSILON}
    return Settings(optimizer=name, **hyper | changes)


def minimise(
    name: str, w: Array, slope: Callable[[Array], Array], steps: int, **changes: Any
) -> None:
    """Take `steps` steps on w in place; `slope` gives its gradient."""
    chosen, gradient = settings(name, **changes), np.empty_like(w)
    optimizer = Optimizer(chosen, w, gradient, weights=len(w))
    for row in optimizer.constants(chosen.learning_rate, steps):
        gradient[:], optimizer.current[:] = slope(w), row
        for step in optimizer.steps:
            step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_halves_a_bowls_loss(name: str) -> None:
    curvature, w = np.array([1.0, 3.0, 10.0]), np.array([1.0, -1.0, 0.5])
    before = (curvature * w**2).sum()
    minimise(name, w, lambda w: 2 * curvature * w, 200)
    assert (curvature * w**2).sum() < before / 2


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_equals_the_textbook_in_every_chunk(
    name: str, dtype: str, tolerance: float
) -> None:
    rng, n = np.random.default_rng(0), CHUNK + 1000
    start = rng.standard_normal(n).astype(dtype)
    gradients = [rng.standard_normal(n).astype(dtype) for _ in range(6)]
    w, gradient = start.copy(), np.empty_like(start)
    optimizer = Optimizer(settings(name), w, gradient, weights=n)
    rows = [*optimizer.constants(RATE, 4), *optimizer.constants(RATE, 2)]  # as two epochs
    expected = textbook(name, start.astype(np.float64), [g.astype(np.float64) for g in gradients])
    for given, row, right in zip(gradients, rows, expected, strict=True):
        gradient[:], optimizer.current[:] = given, row
        for step in optimizer.steps:
            step()
        np.testing.assert_allclose(w, right, rtol=tolerance, atol=tolerance)
    assert w.dtype == optimizer.moments.dtype == optimizer.current.dtype == dtype


@pytest.mark.parametrize("weights", [10, CHUNK, CHUNK + 10])
def test_l2_adds_its_share_of_each_weight_to_the_gradient_and_nothing_to_the_rest(
    weights: int,
) -> None:
    start, decay = np.random.default_rng(0).standard_normal(CHUNK + 20), 0.3
    w, gradient = start.copy(), np.zeros_like(start)
    optimizer = Optimizer(settings("gradient_descent"), w, gradient, weights, decay)
    optimizer.current[:] = optimizer.constants(RATE, 1)[0]
    for step in optimizer.steps:
        step()
    np.testing.assert_allclose(w[:weights], start[:weights] * (1 - RATE * decay), rtol=1e-14)
    np.testing.assert_array_equal(w[weights:], start[weights:])


def test_adams_first_step_has_the_size_of_the_learning_rate() -> None:
    w = np.zeros(3)
    minimise("adam", w, lambda _: np.array([1e3, -1.0, 1e-3]), 1)
    np.testing.assert_allclose(w, [-RATE, RATE, -RATE], rtol=2e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_flush_removes_what_becomes_denormal_and_nothing_else(name: str, dtype: str) -> None:
    n, tiny = CHUNK + 5, np.finfo(dtype).tiny
    optimizer = Optimizer(settings(name), np.zeros(n, dtype), np.zeros(n, dtype), weights=n)
    optimizer.moments[:] = 1e-20
    optimizer.moments[:, -1] = -1e-20
    optimizer.moments[:, 1] = tiny / 4
    optimizer.moments[:, -2] = -tiny / 4
    optimizer.flush()
    for moment in optimizer.moments:
        assert moment[1] == moment[-2] == 0
        assert np.count_nonzero(moment) == n - 2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_averaging_at_all_is_allowed(name: str) -> None:
    w = np.ones(2)
    minimise(name, w, lambda w: 2 * w, 3, momentum=0.0, beta2=0.0)
    assert (np.abs(w) < 1).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [3, CHUNK + 10])
def test_a_gradient_is_shortened_to_clip_norm_where_it_is_longer(n: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    for limit in (0.5, 1e6):
        start, g = rng.standard_normal((2, n)).astype(dtype)
        w, gradient = start.copy(), g.copy()
        chosen = settings("gradient_descent", clip_norm=limit)
        optimizer = Optimizer(chosen, w, gradient, weights=0)
        optimizer.current[:] = optimizer.constants(RATE, 1)[0]
        for step in optimizer.steps:
            step()
        norm = np.linalg.norm(g.astype(np.float64))
        expected = g * min(1, limit / norm)
        tolerance = 1e-4 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(gradient, expected, rtol=tolerance)
        np.testing.assert_allclose(w, start - RATE * expected, rtol=1e-6, atol=1e-6)
        if limit > norm:
            np.testing.assert_array_equal(gradient, g)  # bit for bit as without


def test_a_gradient_of_zero_is_left_at_zero_by_clip_norm() -> None:
    w = np.ones(3)
    minimise("gradient_descent", w, np.zeros_like, 2, clip_norm=1.0)
    assert (w == 1).all()


def test_a_gradient_that_is_not_finite_is_not_made_finite_by_clip_norm() -> None:
    """Clipping is for long gradients; a diverged training must still be seen as one."""
    for value in (np.nan, np.inf):
        w = np.ones(3)
        with np.errstate(all="ignore"):
            minimise(
                "gradient_descent", w, lambda _, value=value: np.array([1, value, 1]), 1,
                clip_norm=1.0,
            )  # fmt: skip
        assert not np.isfinite(w).all()


def test_clip_norm_is_of_the_gradient_before_l2_is_added() -> None:
    start = np.array([3.0, -4.0])
    w, gradient = start.copy(), np.array([30.0, 40.0])
    optimizer = Optimizer(settings("gradient_descent", clip_norm=5.0), w, gradient, 2, decay=0.5)
    optimizer.current[:] = optimizer.constants(RATE, 1)[0]
    for step in optimizer.steps:
        step()
    np.testing.assert_allclose(w, start - RATE * (np.array([3.0, 4.0]) + 0.5 * start), rtol=1e-12)
