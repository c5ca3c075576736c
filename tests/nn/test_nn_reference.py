"""The trainer against figures of PyTorch in float64, see reference/make_reference.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.nn.layers import batch_norm
from hpsearch.nn.losses import cross_entropy, softmax_cross_entropy_gradient
from hpsearch.nn.optimizers import OPTIMIZERS, Optimizer
from hpsearch.nn.settings import Settings
from hpsearch.nn.train import Examples, Trainer

REFERENCE = json.loads(
    (Path(__file__).parent / "reference" / "reference.json").read_text(encoding="utf-8")
)


def arrays(values: dict[str, Any]) -> dict[str, Any]:
    return {name: np.array(value) for name, value in values.items()}


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def test_the_reference_names_its_origin() -> None:
    assert REFERENCE["origin"].startswith("PyTorch 2.")


def test_batch_norm_agrees_forward_and_backward() -> None:
    r = arrays(REFERENCE["batch_norm"])
    z, d, y = r["z"].copy(), r["d_y"].copy(), np.empty_like(r["z"])
    mean, variance, d_gamma, d_beta = np.empty((4, 4))
    forward, backward = batch_norm(z, r["gamma"], r["beta"], y, mean, variance, d, d_gamma, d_beta)
    forward()
    close(y, r["y"])
    close(mean, r["z"].mean(axis=0))
    close(variance, r["z"].var(axis=0))
    backward()
    close(d, r["d_z"])
    close(d_gamma, r["d_gamma"])
    close(d_beta, r["d_beta"])


def test_softmax_cross_entropy_agrees_with_its_gradient() -> None:
    r = arrays(REFERENCE["softmax_cross_entropy"])
    logits, labels = np.ascontiguousarray(r["logits"].T), r["labels"]
    close(cross_entropy(logits, labels).mean(), r["loss"])
    m = len(labels)
    softmax_cross_entropy_gradient(logits, labels * m + np.arange(m))()
    close(logits.T, r["d_logits"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_five_steps_of_every_optimizer_agree(name: str) -> None:
    r = REFERENCE["optimizers"]
    settings = Settings(optimizer=name, dtype="float64", **r["settings"])
    w, gradient = np.array(r["start"]), np.empty(7)
    optimizer = Optimizer(settings, w, gradient, weights=7)
    constants = optimizer.constants(settings.learning_rate, 5)
    for given, row, expected in zip(r["gradients"], constants, r["steps"][name], strict=True):
        gradient[:], optimizer.current[:] = given, row
        for step in optimizer.steps:
            step()
        close(w, expected)


def test_three_steps_of_a_whole_network_agree() -> None:
    r = REFERENCE["network"]
    examples = Examples(np.array(r["x"]), np.array(r["y"]))
    settings = Settings(hidden_units=(4, 3), batch_size=8, dtype="float64", **r["settings"])
    trainer = Trainer(settings, examples, 3, np.random.default_rng(0))
    views = trainer.network.views
    for kind in ("weights", "biases", "gammas"):
        for view, value in zip(getattr(views, kind), r["start"][kind], strict=True):
            view[...] = value
    for _ in r["losses_before_each_step"]:
        trainer.run_epoch()  # a batch of all examples: one step, whatever their order
    for kind in ("weights", "biases", "gammas"):
        for view, value in zip(getattr(views, kind), r["end"][kind], strict=True):
            close(view, value)
    close(trainer.network.probabilities(examples.x), r["test_probabilities"])
    close(trainer.evaluate(examples)[0], r["test_loss"])
