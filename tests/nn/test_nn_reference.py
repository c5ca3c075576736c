"""The trainer against figures of PyTorch in float64, see tests/reference/make_reference.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nn_helpers import a_loss

from hpsearch.nn import model
from hpsearch.nn.layers import ACTIVATIONS, batch_norm, dropout
from hpsearch.nn.losses import Loss, cross_entropy
from hpsearch.nn.model import Network
from hpsearch.nn.optimizers import OPTIMIZERS, Optimizer
from hpsearch.nn.settings import Settings
from hpsearch.nn.train import Examples, Trainer

REFERENCE = json.loads(
    (Path(__file__).parent.parent / "reference" / "reference.json").read_text(encoding="utf-8")
)

Array = np.ndarray[Any, Any]


def arrays(values: dict[str, Any]) -> dict[str, Any]:
    return {name: np.array(value) for name, value in values.items()}


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def gradient(loss: Loss, outputs: Array, y: Array) -> Array:
    """What the training step starts its way back from, for outputs: (outputs, m)."""
    d = outputs.copy()
    loss.gradient(d, loss.targets(y[None], d.dtype)[0])()
    return d


def test_the_reference_names_its_origin() -> None:
    assert REFERENCE["origin"].startswith("PyTorch 2.")


@pytest.mark.parametrize("case", REFERENCE["batch_norm"])
def test_batch_norm_agrees_forward_and_backward(case: str) -> None:
    r = arrays(REFERENCE["batch_norm"][case])
    z, d, y = r["z"].copy(), np.empty_like(r["z"]), np.empty_like(r["z"])
    mean, variance, d_gamma, d_beta = np.empty((4, 4))
    forward, backward = batch_norm(
        z, r["gamma"], r["beta"], y, mean, variance, d, d_gamma, d_beta, float(r["epsilon"])
    )
    forward()
    close(y, r["y"])
    close(mean, r["z"].mean(axis=0))
    close(variance, r["z"].var(axis=0))
    d[...] = r["d_y"]  # only now: until then it is scratch
    backward()
    close(d, r["d_z"])
    close(d_gamma, r["d_gamma"])
    close(d_beta, r["d_beta"])


@pytest.mark.parametrize("case", REFERENCE["running_averages"])
def test_running_averages_agree_after_conversion_and_predict_the_same(case: str) -> None:
    """PyTorch averages the unbiased variance, from mean 0 and variance 1 on, uncorrected.

    Here, as the brief has it, the variance divides by m, and an average starts at zero and is
    corrected for that. So of PyTorch's variance after t steps βᵗ is what is left of its start, m /
    (m - 1) is undone, and both averages are divided by 1 - βᵗ.
    """
    r = REFERENCE["running_averages"][case]
    batches, beta = np.array(r["batches"]), r["beta"]
    steps, m, n = batches.shape
    settings = Settings(
        hidden_units=n, activation="tanh", dtype="float64",
        batch_norm_epsilon=r["epsilon"], batch_norm_average=beta,
    )  # fmt: skip
    net = Network(n, settings, n, np.random.default_rng(0))
    for w in net.views.weights:
        w[...] = np.eye(n)  # the examples are the pre-activations, and the activations the outputs
    net.views.gammas[0][:], net.views.biases[0][:] = r["gamma"], r["shift"]
    batch = net.training_passes([m], a_loss("cross_entropy"))[m]
    for x in batches:
        batch.x[...] = x
        for step in batch.forward:
            step()
        net.average(net.statistics[None])
    correction = 1 - beta**steps
    mean, variance = net.averages.reshape(2, n) / correction
    close(mean, np.array(r["running_mean"]) / correction)
    left_of_start = beta**steps
    unbiased = (np.array(r["running_var"]) - left_of_start) / correction
    close(variance, unbiased * (m - 1) / m)
    ((_, outputs),) = net.outputs(np.array(r["unseen"]))
    close(outputs.T, r["unseen_tanh_of_normed"])


@pytest.mark.parametrize("case", ["plain", "one_hot", "smoothed", "weighted", "weighted_smoothed"])
def test_softmax_cross_entropy_agrees_with_its_gradient(case: str) -> None:
    """Class weights need a conversion: here they have mean 1 over the training set and the sum is
    divided by m; PyTorch divides the sum by the weights of the batch.
    """
    r = arrays(REFERENCE["softmax_cross_entropy"])
    expected = REFERENCE["softmax_cross_entropy"][case]
    logits, labels, weights = np.ascontiguousarray(r["logits"].T), r["labels"], r["weights"]
    settings: dict[str, Any] = {}
    factor = 1.0
    if "smoothed" in case:
        settings["label_smoothing"] = float(r["smoothing"])
    if "weighted" in case:
        settings["class_weights"] = tuple(weights)
        factor = 1 / weights[r["training_labels"]].mean()
    if case == "weighted":
        factor *= weights[labels].sum() / len(labels)
    loss = a_loss("cross_entropy", r["training_labels"], **settings)
    y = loss.check(np.eye(3)[labels] if case == "one_hot" else labels, "checked")
    close(gradient(loss, logits, y).T, np.array(expected["d_logits"]) * factor)
    if case in ("plain", "one_hot"):
        close(cross_entropy(logits, labels).mean(), expected["loss"])
        close(cross_entropy(logits, np.eye(3)[labels]).mean(), expected["loss"])
    # The loss reported has neither weights nor smoothing, so that it compares between settings.
    figures = loss.measure([(logits, y)])
    close(figures["loss"], REFERENCE["softmax_cross_entropy"]["plain"]["loss"])


def test_the_squared_error_agrees_with_its_gradient() -> None:
    r = arrays(REFERENCE["mse"])
    loss, outputs = a_loss("mse"), r["outputs"][None]
    close(gradient(loss, outputs, r["y"])[0], r["d_outputs"])
    figures = loss.measure([(outputs, r["y"])])
    close(figures["loss"], r["loss"])
    close(figures["rmse"], r["loss"] ** 0.5)
    close(figures["mae"], r["mae"])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_agrees_forward_and_backward(name: str) -> None:
    r = REFERENCE["activations"]
    a, d = np.array(r["z"]), np.array(r["d_a"])
    forward, backward = ACTIVATIONS[name](a, d)
    forward()
    close(a, r[name]["a"])
    backward()
    close(d, r[name]["d_z"])


def test_dropout_by_given_masks_agrees_forward_and_backward() -> None:
    r = arrays(REFERENCE["dropout"])
    a, d, kept = r["a"], r["d_kept"], np.empty_like(r["a"])
    mask = r["on"] / r["keep_prob"]
    forward, backward = dropout(a, kept, d, mask, lambda: None)
    forward()
    close(kept, r["kept"])
    backward()
    close(d, r["d_a"])


def test_the_reference_has_every_optimizer_and_clips_some_gradients_but_not_all() -> None:
    r = REFERENCE["optimizers"]
    assert {case["settings"]["optimizer"] for case in r["cases"]} == set(OPTIMIZERS)
    (limit,) = {case["settings"]["clip_norm"] for case in r["cases"]} - {None}
    assert min(r["norms"]) < limit < max(r["norms"])


@pytest.mark.parametrize(
    "case",
    REFERENCE["optimizers"]["cases"],
    ids=lambda case: "-".join(str(value) for value in case["settings"].values()),
)
def test_five_steps_of_every_optimizer_agree(case: dict[str, Any]) -> None:
    r = REFERENCE["optimizers"]
    settings = Settings(dtype="float64", **r["settings"], **case["settings"])
    w, gradient = np.array(r["start"]), np.empty(7)
    optimizer = Optimizer(settings, w, gradient, weights=7)
    constants = optimizer.constants(settings.learning_rate, 5)
    for given, row, expected in zip(r["gradients"], constants, case["steps"], strict=True):
        gradient[:], optimizer.current[:] = given, row
        for step in optimizer.steps:
            step()
        close(w, expected)


@pytest.mark.parametrize("name", REFERENCE["networks"])
def test_three_steps_of_a_whole_network_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    r = REFERENCE["networks"][name]
    examples = Examples(np.array(r["x"]), np.array(r["y"]))
    settings = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in r["settings"].items()
    }
    if "masks" in r:
        given_masks = [np.array(mask) for step in r["masks"] for mask in step]
        monkeypatch.setattr(
            model, "draw_mask",
            lambda mask, *_: lambda: np.copyto(mask, given_masks.pop(0)),
        )  # fmt: skip
    trainer = Trainer(
        Settings(batch_size=len(examples.y), dtype="float64", **settings),
        examples,
        classes=3,
        rng=np.random.default_rng(0),
        loss="mse" if name == "regression" else "cross_entropy",
    )
    if "masks" in r:  # masks are drawn by row: the examples must come in the reference's order
        monkeypatch.setattr(trainer, "_rng", InOrder())
    views = trainer.network.views
    for kind in ("weights", "biases", "gammas"):
        for view, value in zip(getattr(views, kind), r["start"][kind], strict=True):
            view[...] = value
    for _ in range(3):
        trainer.run_epoch()  # a batch of all examples: one step, whatever their order
    for kind in ("weights", "biases", "gammas"):
        for view, value in zip(getattr(views, kind), r["end"][kind], strict=True):
            close(view, value)
    ((_, outputs),) = trainer.network.outputs(examples.x)
    close(outputs.T, r["test_outputs"])
    close(trainer.evaluate(trainer.checked(examples, "test"))["loss"], r["test_loss"])


class InOrder:
    """In place of a Generator: examples come in the order in which they are."""

    def permutation(self, n: int) -> Array:
        return np.arange(n)
