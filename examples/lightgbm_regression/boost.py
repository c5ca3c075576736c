"""Boosted trees learn a function with curves, a product and five inputs that mean nothing."""

from collections.abc import Iterator
from pathlib import Path

import lightgbm
import numpy as np


def examples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ten inputs in [0, 1] and the target, whose noise has standard deviation 1.

    Source: Friedman 1991, Multivariate adaptive regression splines, equation 61.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(count, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    return x, y + 10 * x[:, 3] + 5 * x[:, 4] + rng.normal(size=count)


def boost(seed: int, budget: int, trial_dir: Path, **parameters: float) -> Iterator[dict]:
    """Add `budget` trees and yield the error after each; parameters go to LightGBM as they are."""
    parameters |= {"objective": "regression", "metric": "rmse", "seed": seed}
    parameters |= {"num_threads": 1, "deterministic": True, "verbosity": -1}
    train = lightgbm.Dataset(*examples(600, seed=1))
    dev = train.create_valid(*examples(600, seed=2))
    curves: dict = {}
    model = lightgbm.train(
        parameters,
        train,
        num_boost_round=budget,
        valid_sets=[train, dev],
        valid_names=["train", "dev"],
        callbacks=[lightgbm.record_evaluation(curves)],
    )
    model.save_model(trial_dir / "model.txt")
    for train_rmse, dev_rmse in zip(curves["train"]["rmse"], curves["dev"]["rmse"], strict=True):
        yield {"train_rmse": train_rmse, "dev_rmse": dev_rmse}
