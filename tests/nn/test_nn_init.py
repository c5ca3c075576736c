from __future__ import annotations

import math

import numpy as np
import pytest

from hpsearch.nn.init import INITIALIZERS

DEVIATIONS = {  # for n_in = 200
    "he": math.sqrt(2 / 200),
    "xavier": math.sqrt(1 / 200),
    "normal": 0.01,
    "zeros": 0.0,
}


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_weights_have_mean_zero_and_the_initializers_deviation(name: str, scale: float) -> None:
    w = INITIALIZERS[name](np.random.default_rng(0), 200, 300, scale)
    assert w.shape == (200, 300)
    deviation = scale * DEVIATIONS[name]
    # 5 standard errors of 60,000 draws: fails by chance once in 2e6 seeds, and this one is fixed
    assert abs(w.mean()) <= 5 * deviation / math.sqrt(w.size)
    assert abs(w.std() - deviation) <= 5 * deviation / math.sqrt(2 * w.size)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_weights_are_float64_and_repeat_with_the_seed(name: str) -> None:
    draw = INITIALIZERS[name]
    w = draw(np.random.default_rng(3), 5, 4, 1.0)
    assert w.dtype == np.float64
    np.testing.assert_array_equal(w, draw(np.random.default_rng(3), 5, 4, 1.0))
