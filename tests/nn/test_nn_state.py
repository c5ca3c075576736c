"""A training that is written to a file, and goes on from there."""

from __future__ import annotations

import itertools
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nn_helpers import DEV, IMAGE, LINE, LINE_DEV, TRAIN, after, digits, trainer

from conftest import drained
from hpsearch.nn import train as train_module
from hpsearch.nn.optimizers import OPTIMIZERS
from hpsearch.nn.state import ARRAYS, load_state, save_state
from hpsearch.nn.train import Examples, train


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_restored_training_continues_bit_for_bit(optimizer: str) -> None:
    runner = trainer(optimizer=optimizer, keep_prob=0.8)
    runner.run_epoch()
    state = runner.state()
    expected, figures = after(runner, 2), runner.evaluate(DEV)
    fresh = trainer(seed=99, optimizer=optimizer, keep_prob=0.8)
    for back in (runner, fresh):  # the state taken is a copy: it serves twice
        back.restore(state)
        np.testing.assert_array_equal(after(back, 2), expected)
        assert back.epochs == 3
        assert back.evaluate(DEV) == figures


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_through_a_file_a_training_continues_bit_for_bit(
    tmp_path: Path, optimizer: str, dtype: str
) -> None:
    """With all that draws random numbers or depends on the epoch switched on."""
    train_set, dev = digits()
    train_set = Examples(train_set.x[:200], train_set.y[:200])
    chosen: Any = {
        "optimizer": optimizer, "dtype": dtype, "keep_prob": (0.8, 0.6), "layers": 2, "shift": 1,
        "horizontal_flip": True, "decay": "cosine", "warmup": 1, "epochs": 6, "l2": 0.1,
        "clip_norm": 1.0, "classes": 10, "image": IMAGE, "learning_rate": 0.01,
    }  # fmt: skip
    runner = trainer(train_set, **chosen)
    after(runner, 2)
    path = tmp_path / "state"
    save_state(path, runner.state())
    assert [file.name for file in tmp_path.iterdir()] == ["state"]  # and no .npz at its end
    expected, figures = after(runner, 3), runner.evaluate(dev)
    fresh = trainer(train_set, seed=99, **chosen)
    fresh.restore(load_state(path))
    assert fresh.epochs == 2
    np.testing.assert_array_equal(after(fresh, 3), expected)
    assert fresh.network.parameters.dtype == dtype
    assert fresh.evaluate(dev) == figures
    np.testing.assert_array_equal(fresh.optimizer.moments, runner.optimizer.moments)
    np.testing.assert_array_equal(fresh.network.averages, runner.network.averages)


def test_a_regression_continues_bit_for_bit(tmp_path: Path) -> None:
    runner, fresh = (trainer(LINE, seed, loss="mse", keep_prob=0.9) for seed in (0, 1))
    after(runner, 2)
    save_state(tmp_path / "state", runner.state())
    fresh.restore(load_state(tmp_path / "state"))
    np.testing.assert_array_equal(after(fresh, 2), after(runner, 2))
    assert fresh.evaluate(LINE_DEV) == runner.evaluate(LINE_DEV)


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    runner = trainer()
    after(runner, 2)
    state = runner.state()
    save_state(tmp_path / "state", state)
    loaded = load_state(tmp_path / "state")
    assert loaded.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(loaded[name], value)
        if name in ARRAYS:
            assert loaded[name].dtype == value.dtype


def test_moments_are_flushed_in_the_same_step_after_a_restore(tmp_path: Path) -> None:
    """The count of steps is part of the state, so the 100th is the same one."""
    silent = Examples(TRAIN.x * np.array([0, 1, 1, 1], np.float32), TRAIN.y)
    whole, fresh = (trainer(silent, seed, batch_size=100) for seed in (0, 1))  # a step per epoch
    after(whole, 60)
    for moment, floor in zip(whole.optimizer.moments, (1e11, 1e2), strict=True):
        moment[:8] = floor * np.finfo(np.float32).tiny  # of an input that is always 0
    save_state(tmp_path / "state", whole.state())
    fresh.restore(load_state(tmp_path / "state"))
    for runner in (whole, fresh):
        after(runner, train_module.STRETCH - 61)
        assert runner.optimizer.moments[:, :8].all()
        runner.run_epoch()
        assert not runner.optimizer.moments[:, :8].any()
        after(runner, 10)
    np.testing.assert_array_equal(whole.network.parameters, fresh.network.parameters)


def saved(path: Path) -> bytes:
    runner = trainer(hidden_units=2)
    runner.run_epoch()
    save_state(path, runner.state())
    return path.read_bytes()


def test_nothing_in_the_file_is_pickled(tmp_path: Path) -> None:
    saved(tmp_path / "state")
    with np.load(tmp_path / "state", allow_pickle=False) as archive:
        assert {*archive} == {*ARRAYS, "rest"}
        json.loads(str(archive["rest"]))


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    trap = tmp_path / "trap"

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (trap,)

    path = tmp_path / "state"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="is no saved state of a training"):
        load_state(path)
    with path.open("wb") as file:
        np.savez(file, **{name: np.array(Trap(), object) for name in (*ARRAYS, "rest")})
    with pytest.raises(ValueError, match="is no saved state of a training"):
        load_state(path)
    assert not trap.exists()


def written(path: Path, **changes: Any) -> None:
    """A state's file in which some entries are other ones, or, with None, missing."""
    entries = {name: np.zeros(3) for name in ARRAYS} | {"rest": np.array("{}")} | changes
    with path.open("wb") as file:
        np.savez(file, **{name: value for name, value in entries.items() if value is not None})


@pytest.mark.parametrize("name", [*ARRAYS, "rest"])
def test_an_archive_of_something_else_is_refused(tmp_path: Path, name: str) -> None:
    written(tmp_path / "state", **{name: None})
    with pytest.raises(ValueError, match=r"state is no saved state of a training: .*" + name):
        load_state(tmp_path / "state")


@pytest.mark.parametrize("rest", ["", "{", "[1]", "3", "null", "{}"])
def test_an_archive_with_other_words_is_refused(tmp_path: Path, rest: str) -> None:
    written(tmp_path / "state", rest=np.array(rest))
    with pytest.raises(ValueError, match="state is no saved state of a training"):
        load_state(tmp_path / "state")


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"epoch,loss\n1,0.5\n", b"PK\x03\x04", bytes(1000)]
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(ValueError, match="state is no saved state of a training"):
        load_state(tmp_path / "state")


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "state").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="state is no saved state of a training"):
        load_state(tmp_path / "state")


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "state", "w") as archive:
        for name in (*ARRAYS, "rest"):
            archive.writestr(name, "hello")
    with pytest.raises(ValueError, match="state is no saved state of a training"):
        load_state(tmp_path / "state")


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_state(tmp_path / "state")


def test_a_file_that_was_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    content = saved(path)
    for end in range(0, len(content), 7):
        path.write_bytes(content[:end])
        with pytest.raises(ValueError, match="state is no saved state of a training"):
            load_state(path)


def test_a_damaged_byte_is_refused_or_has_changed_nothing(tmp_path: Path) -> None:
    """Each byte in turn, with one bit or all bits turned: not all of a zip's matter."""
    path = tmp_path / "state"
    content = bytearray(saved(path))
    right = load_state(path)
    refused = unharmed = 0
    for position in range(len(content)):
        for bits in (1, 255):
            content[position] ^= bits
            path.write_bytes(content)
            content[position] ^= bits
            try:
                found = load_state(path)
            except ValueError as error:
                refused += "state is no saved state of a training" in str(error)
                continue
            assert found.keys() == right.keys()
            for name, value in right.items():
                np.testing.assert_array_equal(found[name], value)
            unharmed += 1
    assert refused + unharmed == 2 * len(content)
    assert refused > len(content)


@given(before=st.integers(1, 9), patience=st.integers(1, 4), seed=st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_early_stopping_goes_on_from_a_file_as_if_nothing_had_happened(
    tmp_path: Path, before: int, patience: int, seed: int
) -> None:
    words: Any = {"early_stopping": patience, "epochs": 10, "learning_rate": 0.05}
    whole, first, second = (trainer(seed=seed, **words) for _ in range(3))
    epochs, end = drained(train(whole, DEV))
    head = list(itertools.islice(train(first, DEV), before))
    save_state(tmp_path / "state", first.state())
    second.restore(load_state(tmp_path / "state"))
    if len(head) < len(epochs):
        tail, again = drained(train(second, DEV))
        assert [*head, *tail] == epochs
        assert again == end
        np.testing.assert_array_equal(second.network.parameters, whole.network.parameters)


def test_a_best_epoch_does_not_keep_the_ones_before_it() -> None:
    runner = trainer(early_stopping=9, epochs=12)
    drained(train(runner, DEV))
    assert runner.best is None
    runner = trainer(early_stopping=9, epochs=12)
    for _ in train(runner, DEV):
        assert runner.best is None or runner.best[1]["best"] is None


def test_a_state_of_another_network_is_refused_and_changes_nothing() -> None:
    small, large = trainer(hidden_units=2), trainer(hidden_units=3)
    before = large.network.parameters.copy()
    with pytest.raises(ValueError, match=r"of another network or optimizer: its parameters have"):
        large.restore(small.state())
    np.testing.assert_array_equal(large.network.parameters, before)
    with pytest.raises(ValueError, match="its moments have shape"):
        trainer(optimizer="momentum").restore(trainer().state())
