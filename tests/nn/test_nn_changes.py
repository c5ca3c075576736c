"""Hyperparameters that change in the middle of a training."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.nn.changes import CHANGEABLE, FIXED, Changes
from hpsearch.nn.optimizers import Optimizer
from hpsearch.nn.settings import Settings
from hpsearch.nn.state import load_state, save_state
from hpsearch.nn.train import Examples, Trainer, train

RNG = np.random.default_rng(3)
X = RNG.normal(size=(90, 12)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)
DEV = Examples(X[:30], Y[:30])
SETTINGS = Settings(epochs=6, hidden_units=8, batch_size=16, learning_rate=0.01, layers=2)

OTHER: dict[str, Any] = {
    "learning_rate": 0.003,
    "momentum": 0.95,
    "beta2": 0.99,
    "epsilon": 1e-4,
    "batch_size": 32,
    "decay": "exponential",
    "decay_rate": 0.5,
    "decay_epochs": 1,
    "clip_norm": 0.1,
    "l2": 0.5,
    "keep_prob": 0.8,
    "label_smoothing": 0.1,
    "class_weights": "balanced",
    "horizontal_flip": True,
    "shift": 1,
    "epochs": 5,
}
"""Another value of each hyperparameter that may change."""
NEEDS = {"decay_rate": {"decay": "exponential"}, "decay_epochs": {"decay": "staircase"}}


def trainer(settings: Settings = SETTINGS, *planned: dict[str, Any], seed: int = 1) -> Trainer:
    rng = np.random.default_rng(seed)
    examples = Examples(X, Y)
    return Trainer(settings, examples, 3, rng, image=(3, 4, 1), changes=Changes(planned))


def run(one: Trainer) -> list[dict[str, float]]:
    return [dict(epoch.metrics) for epoch in train(one, DEV)]


def test_every_hyperparameter_can_change_or_says_why_not() -> None:
    names = {each.name for each in fields(Settings)}
    assert set(CHANGEABLE) | set(FIXED) == names
    assert not set(CHANGEABLE) & set(FIXED)
    assert set(OTHER) == set(CHANGEABLE)


@pytest.mark.parametrize("name", CHANGEABLE)
def test_a_change_takes_effect_in_the_next_epoch_and_in_none_before(name: str) -> None:
    settings = replace(SETTINGS, **NEEDS.get(name, {}))
    plain, changed = run(trainer(settings)), run(trainer(settings, {"after": 3, name: OTHER[name]}))
    assert changed[:3] == plain[:3]
    assert changed[3:] != plain[3:]


@pytest.mark.parametrize("name", CHANGEABLE)
def test_a_training_with_a_change_goes_on_from_any_epoch_bit_for_bit(
    name: str, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, **NEEDS.get(name, {}))
    planned = ({"after": 2, name: OTHER[name]}, {"after": 4, "learning_rate": 0.02})
    whole = trainer(settings, *planned)
    expected = run(whole)
    parts = trainer(settings, *planned)
    found = []
    for _ in expected:
        parts.run_epoch()
        found.append(dict(parts.figures(parts.checked(DEV, "dev")).metrics))
        save_state(tmp_path / "state", parts.state())
        parts = trainer(settings, *planned, seed=99)
        parts.restore(load_state(tmp_path / "state"))
    assert found == expected
    assert parts.at_end
    assert np.array_equal(parts.network.parameters, whole.network.parameters)


def test_going_back_undoes_a_change_bit_for_bit() -> None:
    one = trainer(SETTINGS, {"after": 2, "momentum": 0.5, "batch_size": 9, "keep_prob": 0.5})
    one.run_epoch()
    one.run_epoch()
    state = one.state()
    one.run_epoch()
    one.changes = Changes()
    one.restore(state)
    rest = [one.run_epoch() or one.state()["parameters"] for _ in range(2)]
    plain = trainer()
    expected = [plain.run_epoch() or plain.state()["parameters"] for _ in range(4)][2:]
    assert all(map(np.array_equal, rest, expected))


@pytest.mark.parametrize("optimizer", ["momentum", "rmsprop", "adam"])
def test_the_averages_stay_what_they_are_when_their_beta_changes(optimizer: str) -> None:
    settings = replace(SETTINGS, optimizer=optimizer, dtype="float64")
    rng = np.random.default_rng(0)
    w, gradient = np.zeros(5), np.empty(5)
    one = Optimizer(settings, w, gradient, weights=5)
    betas = {"momentum": (0.9,), "rmsprop": (0.999,), "adam": (0.9, 0.999)}[optimizer]
    after = {"momentum": (0.5,), "rmsprop": (0.9,), "adam": (0.5, 0.9)}[optimizer]
    for row in one.constants(0.1, 4):
        gradient[...] = rng.normal(size=5)
        one.current[:] = row
        for step in one.steps:
            step()
    averages = [(1 - beta) * moment for beta, moment in zip(betas, one.moments, strict=True)]
    one.change(replace(settings, momentum=0.5, beta2=0.9), 0.0)
    again = [(1 - beta) * moment for beta, moment in zip(after, one.moments, strict=True)]
    np.testing.assert_allclose(again, averages, rtol=1e-12)


def test_adam_stays_corrected_for_its_start_when_a_beta_changes() -> None:
    """Against the textbook's loop, with the product of all β in the place of βᵗ."""
    settings = replace(SETTINGS, dtype="float64")
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(9, 5))
    w, gradient = np.zeros(5), np.empty(5)
    one = Optimizer(settings, w, gradient, weights=5)
    expected, m, v, left1, left2 = np.zeros(5), np.zeros(5), np.zeros(5), 1.0, 1.0
    plan = [(3, 0.9, 0.999), (4, 0.5, 0.9999), (2, 0.95, 0.99)]
    steps = iter(gradients)
    for count, beta1, beta2 in plan:
        one.change(replace(settings, momentum=beta1, beta2=beta2), 0.0)
        for row in one.constants(0.1, count):
            g = next(steps)
            gradient[...] = g
            one.current[:] = row
            for step in one.steps:
                step()
            m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
            left1, left2 = left1 * beta1, left2 * beta2
            expected -= 0.1 * (m / (1 - left1)) / (np.sqrt(v / (1 - left2)) + settings.epsilon)
    np.testing.assert_allclose(w, expected, rtol=1e-9)


def test_a_change_to_the_same_values_changes_no_bit() -> None:
    same = {name: getattr(SETTINGS, name) for name in ("momentum", "beta2", "batch_size")}
    assert run(trainer(SETTINGS, {"after": 3, **same})) == run(trainer())


def test_epochs_can_end_a_training_sooner_or_later_and_decay_goes_by_the_plan() -> None:
    cosine = replace(SETTINGS, decay="cosine")
    assert run(trainer(cosine, {"after": 4, "epochs": 4})) == run(trainer(cosine))[:4]
    longer = run(trainer(SETTINGS, {"after": 6, "epochs": 8}))
    assert longer == run(trainer(replace(SETTINGS, epochs=8)))
    changes = Changes([{"after": 6, "epochs": 8}, {"after": 7, "epochs": 7}])
    assert changes.length(SETTINGS) == 7
