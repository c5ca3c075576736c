"""Small sets drawn by a few lines of NumPy: two features, so that they can be plotted.

Rounded to four decimals, so that a last bit that differs between machines changes nothing. NumPy
may change the numbers of `default_rng` in a new version; the SHA-256 of what is drawn tells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Generated = tuple[NDArray[np.float64], NDArray[np.int64]]
"""x (m, 2) and y (m,), the classes 0..C-1."""


def spirals() -> Generated:
    """Draw three arms wound around each other: 200 examples each."""
    rng = np.random.default_rng(1)
    y = np.repeat(np.arange(3), 200)
    along = np.tile(np.linspace(0.05, 1, 200), 3)
    angle = 4 * along + 2 * np.pi / 3 * y + rng.normal(0, 0.2, 600)
    return _rounded(along * np.sin(angle), along * np.cos(angle), y)


def blobs() -> Generated:
    """Draw three round clouds that touch: 200 examples each."""
    rng = np.random.default_rng(2)
    y = np.repeat(np.arange(3), 200)
    centre = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])[y]
    noise = rng.normal(0, 1, (600, 2))
    return _rounded(centre[:, 0] + noise[:, 0], centre[:, 1] + noise[:, 1], y)


def moons() -> Generated:
    """Draw two half circles that reach into each other: 300 examples each."""
    rng = np.random.default_rng(3)
    y = np.repeat(np.arange(2), 300)
    angle = np.tile(np.linspace(0, np.pi, 300), 2)
    noise = rng.normal(0, 0.2, (2, 600))
    upper = y == 0
    return _rounded(
        np.where(upper, np.cos(angle), 1 - np.cos(angle)) + noise[0],
        np.where(upper, np.sin(angle), 0.5 - np.sin(angle)) + noise[1],
        y,
    )


def circles() -> Generated:
    """Draw one circle inside another: 300 examples each."""
    rng = np.random.default_rng(4)
    y = np.repeat(np.arange(2), 300)
    angle = np.tile(np.linspace(0, 2 * np.pi, 300, endpoint=False), 2)
    radius = np.where(y == 0, 1.0, 0.5) + rng.normal(0, 0.12, 600)
    return _rounded(radius * np.cos(angle), radius * np.sin(angle), y)


def _rounded(
    first: NDArray[np.float64], second: NDArray[np.float64], y: NDArray[np.int64]
) -> Generated:
    return np.column_stack([first, second]).round(4), y
