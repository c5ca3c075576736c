"""Dropout in a whole training; the layer itself is in test_nn_layers.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nn_helpers import DEV, TRAIN, a_loss, after, clouds, epochs, trainer

from hpsearch.nn import model
from hpsearch.nn.layers import ACTIVATIONS, Step, draw_mask
from hpsearch.nn.settings import Settings

Array = np.ndarray[Any, Any]


@pytest.fixture
def masks(monkeypatch: pytest.MonkeyPatch) -> list[Array]:
    """Every mask of the trainings in this test, as (keep_prob, a copy) in the order drawn."""
    drawn: list[Any] = []

    def recording(mask: Array, *rest: Any) -> Step:
        draw = draw_mask(mask, *rest)
        keep_prob = next(value for value in rest if isinstance(value, float))

        def step() -> None:
            draw()
            drawn.append((keep_prob, mask.copy()))

        return step

    monkeypatch.setattr(model, "draw_mask", recording)
    return drawn


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_network_learns_under_dropout(activation: str, batch_norm: bool) -> None:
    history = epochs(
        activation=activation, batch_norm=batch_norm, keep_prob=0.7, hidden_units=16, layers=2,
        learning_rate=0.02, epochs=30,
    )  # fmt: skip
    assert history[-1].dev["error"] <= 0.05


def test_each_layer_has_its_own_share(masks: list[Any]) -> None:
    runner = trainer(layers=3, hidden_units=50, keep_prob=(0.9, 1.0, 0.4), batch_size=20)
    after(runner, 4)
    assert [keep_prob for keep_prob, _ in masks] == [0.9, 0.4] * 20  # of 1, none is drawn
    for wanted in (0.9, 0.4):
        shares = [(mask != 0).mean() for keep_prob, mask in masks if keep_prob == wanted]
        error = np.sqrt(wanted * (1 - wanted) / (20 * 20 * 50))
        assert abs(np.mean(shares) - wanted) <= 5 * error  # 5 standard errors, a fixed seed


def test_every_step_and_every_layer_draws_a_new_mask(masks: list[Any]) -> None:
    after(trainer(layers=2, hidden_units=30, keep_prob=0.5, batch_size=20), 2)
    assert len(masks) == 20
    patterns = {mask.tobytes() for _, mask in masks}
    assert len(patterns) == 20


def test_one_number_is_the_same_as_a_list_of_it() -> None:
    one = trainer(layers=2, keep_prob=0.6)
    listed = trainer(layers=2, keep_prob=(0.6, 0.6))
    np.testing.assert_array_equal(after(one, 3), after(listed, 3))


def test_keep_prob_1_is_no_dropout_bit_for_bit() -> None:
    without, kept = trainer(layers=2), trainer(layers=2, keep_prob=(1.0, 1.0))
    np.testing.assert_array_equal(after(without, 3), after(kept, 3))
    assert (after(trainer(layers=2, keep_prob=0.9), 3) != without.network.parameters).any()


def test_the_same_seed_draws_the_same_masks(masks: list[Any]) -> None:
    first, again, other = (trainer(seed=seed, keep_prob=0.5) for seed in (0, 0, 1))
    drawn = []
    for runner in (first, again, other):
        masks.clear()
        after(runner, 2)
        drawn.append(b"".join(mask.tobytes() for _, mask in masks))
    assert drawn[0] == drawn[1] != drawn[2]
    np.testing.assert_array_equal(first.network.parameters, again.network.parameters)


def test_predictions_drop_nothing(masks: list[Any]) -> None:
    runner = trainer(keep_prob=0.5)
    after(runner, 1)
    count = len(masks)
    figures = runner.evaluate(DEV)
    assert runner.evaluate(DEV) == figures
    np.testing.assert_array_equal(
        runner.network.probabilities(DEV.x), runner.network.probabilities(DEV.x)
    )
    assert len(masks) == count
    whole = trainer(keep_prob=1.0)  # the same parameters without dropout predict the same
    whole.restore(runner.state())
    assert whole.evaluate(DEV) == figures


def test_dropout_keeps_the_expectation_of_what_the_next_layer_gets() -> None:
    """Without a hidden non-linearity after it: mean logits over masks are those of prediction."""
    runner = trainer(keep_prob=0.5, batch_norm=False, hidden_units=20, dtype="float64")
    net, m = runner.network, len(TRAIN.x)
    batch = net.training_passes([m], a_loss("cross_entropy"), np.random.default_rng(1))[m]
    batch.x[...] = TRAIN.x
    draws = []
    for _ in range(2000):
        for step in batch.forward:
            step()
        draws.append(batch.outputs.copy())
    ((_, predicted),) = net.outputs(TRAIN.x)
    error = np.std(draws, axis=0) / np.sqrt(2000)
    assert (error > 0).all()
    # 6 standard errors: each of 300 fails by chance once in 5e8 seeds, and this one is fixed
    assert (np.abs(np.mean(draws, axis=0) - predicted) <= 6 * error).all()


@pytest.mark.parametrize("keep_prob", [(0.5,), (0.5, 0.5, 0.5)])
def test_a_list_of_the_wrong_length_is_refused_in_words(keep_prob: tuple[float, ...]) -> None:
    message = f"keep_prob lists {len(keep_prob)} layers, but there are 2 hidden ones"
    with pytest.raises(ValueError, match=message):
        trainer(layers=2, keep_prob=keep_prob)
    with pytest.raises(ValueError, match="keep_prob lists 1 layers, but there are 0 hidden ones"):
        trainer(layers=0, keep_prob=(0.5,))


def test_without_a_hidden_layer_there_is_nothing_to_drop() -> None:
    assert Settings(layers=0, keep_prob=0.5).keep_probs == ()
    plain, dropped = trainer(layers=0), trainer(layers=0, keep_prob=0.5)
    np.testing.assert_array_equal(after(plain, 2), after(dropped, 2))


def test_a_last_mini_batch_of_another_size_has_masks_of_its_own(masks: list[Any]) -> None:
    after(trainer(clouds(45), keep_prob=0.5, batch_size=20), 1)
    assert [mask.shape for _, mask in masks] == [(20, 8), (20, 8), (5, 8)]


def test_lists_as_json_gives_them_are_taken_like_tuples() -> None:
    """A trial's settings have been through JSON on their way to its process."""
    chosen: Any = {"hidden_units": [8, 4], "class_weights": [1.0, 2.0, 3.0]}
    listed = trainer(keep_prob=[0.5, 0.8], **chosen)
    tuples = trainer(keep_prob=(0.5, 0.8), **{name: tuple(v) for name, v in chosen.items()})
    np.testing.assert_array_equal(after(listed, 2), after(tuples, 2))
    with pytest.raises(ValueError, match="keep_prob lists 3 layers, but there are 2 hidden ones"):
        trainer(keep_prob=[0.5, 0.5, 0.5], **chosen)
