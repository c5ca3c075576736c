"""A Keras network learns which of three spiral arms a point is in."""

import importlib.util
import os
from collections.abc import Iterator

import numpy as np

installed = [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)]
os.environ.setdefault("KERAS_BACKEND", installed[0])

import keras  # noqa: E402  (the backend is chosen before the import)


def spirals(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return count points (count, 2) and the number of the arm that each is in."""
    rng = np.random.default_rng(seed)
    arm = np.arange(count) % 3
    radius = rng.uniform(0.1, 1, count)
    angle = 4 * radius + arm * 2 * np.pi / 3 + rng.normal(0, 0.35, count)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return points.astype("float32"), arm


def train(
    learning_rate: float, dropout: float, units: list[int], seed: int, budget: int
) -> Iterator[dict[str, float]]:
    """Train for `budget` epochs and yield what Keras's history has of each."""
    keras.utils.set_random_seed(seed)
    hidden = [[keras.layers.Dense(n, "relu"), keras.layers.Dropout(dropout)] for n in units]
    model = keras.Sequential([layer for pair in hidden for layer in pair])
    model.add(keras.layers.Dense(3, "softmax"))
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    data, unseen = spirals(600, seed=1), spirals(300, seed=2)
    history = model.fit(*data, validation_data=unseen, epochs=budget, verbose=0).history
    for values in zip(*history.values(), strict=True):
        yield dict(zip(history, values, strict=True))
