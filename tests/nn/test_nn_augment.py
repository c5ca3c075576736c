"""Changed images: which pixel comes from where, and trainings that see them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nn_helpers import IMAGE, after, digits, trainer

from hpsearch.nn.augment import Augmenter, Image
from hpsearch.nn.augment import sources as rows_and_columns
from hpsearch.nn.settings import Settings
from hpsearch.nn.train import Examples

Array = np.ndarray[Any, Any]


def sources(settings: Settings, image: Image) -> Array:
    """For every way to change rows and columns: where each feature is taken from."""
    rows, columns = rows_and_columns(settings, image)
    return (rows[:, None, :, None] + columns[None, :, None, :]).reshape(-1, int(np.prod(image)))


def changed(image: Array, **settings: Any) -> list[Array]:
    """Every change of one image: (height, width, channels)."""
    flat = image.reshape(-1)
    return [flat[row].reshape(image.shape) for row in sources(Settings(**settings), image.shape)]


def holds(images: list[Array], wanted: Array) -> bool:
    return any(np.array_equal(image, wanted) for image in images)


def test_a_flip_mirrors_left_and_right_and_keeps_rows_and_channels() -> None:
    image = np.arange(12).reshape(2, 3, 2)
    plain, mirrored = changed(image, horizontal_flip=True)
    np.testing.assert_array_equal(plain, image)
    np.testing.assert_array_equal(
        mirrored,
        [[[4, 5], [2, 3], [0, 1]], [[10, 11], [8, 9], [6, 7]]],
    )


def test_shifts_by_one_pixel_are_the_nine_by_hand_and_repeat_the_edge() -> None:
    image = np.array([[1, 2, 3], [4, 5, 6]])[:, :, None]
    images = changed(image, shift=1)
    assert len(images) == 9
    by_hand = {
        "stay": [[1, 2, 3], [4, 5, 6]],
        "right": [[1, 1, 2], [4, 4, 5]],
        "left": [[2, 3, 3], [5, 6, 6]],
        "down": [[1, 2, 3], [1, 2, 3]],
        "up": [[4, 5, 6], [4, 5, 6]],
        "down right": [[1, 1, 2], [1, 1, 2]],
        "down left": [[2, 3, 3], [2, 3, 3]],
        "up right": [[4, 4, 5], [4, 4, 5]],
        "up left": [[5, 6, 6], [5, 6, 6]],
    }
    for name, wanted in by_hand.items():
        assert holds(images, np.array(wanted)[:, :, None]), name


def test_flips_and_shifts_combine() -> None:
    image = np.array([[1, 2, 3], [4, 5, 6]])[:, :, None]
    images = changed(image, shift=1, horizontal_flip=True)
    assert len(images) == 18
    assert holds(images, np.array([[2, 1, 1], [5, 4, 4]])[:, :, None])  # right, then mirrored


@given(
    height=st.integers(1, 5), width=st.integers(1, 5), channels=st.integers(1, 3),
    shift=st.integers(0, 3), flip=st.booleans(),
)  # fmt: skip
def test_there_is_one_change_per_shift_and_flip_and_channels_never_mix(
    height: int, width: int, channels: int, shift: int, flip: bool
) -> None:
    settings = Settings(shift=shift, horizontal_flip=flip)
    table = sources(settings, (height, width, channels))
    assert table.shape == ((2 * shift + 1) ** 2 * (1 + flip), height * width * channels)
    assert table.dtype == np.int64
    places = np.arange(height * width * channels)
    np.testing.assert_array_equal(table % channels, np.tile(places % channels, (len(table), 1)))
    assert (table == places).all(axis=1).any()  # staying as it is, is one of them


def colourful(m: int, seed: int = 0) -> Examples:
    """Images of 3 x 4 pixels and 2 channels in which no two numbers are equal."""
    numbers = np.random.default_rng(seed).permutation(m * 24).reshape(m, 24)
    return Examples(numbers.astype(np.float32), np.arange(m) % 3)


@given(shift=st.integers(0, 2), flip=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_what_is_shown_is_a_listed_change_of_the_example_that_was_chosen(
    shift: int, flip: bool, seed: int
) -> None:
    data, image = colourful(7), (3, 4, 2)
    settings = Settings(shift=shift, horizontal_flip=flip)
    augmenter = Augmenter(settings, data.x, image, np.random.default_rng(seed))
    order = np.random.default_rng(seed).integers(7, size=(5, 3))
    x = np.full((3, 24), np.nan, np.float32)
    gather = augmenter.gatherer(x, order)
    table = sources(settings, image)
    for chosen in order:
        gather(chosen)
        for row, example in zip(x, chosen, strict=True):
            assert holds(list(data.x[example][table]), row)


@pytest.mark.parametrize("batch_size", [10, 16, 33])
def test_in_a_training_every_example_is_shown_once_in_a_listed_change(batch_size: int) -> None:
    """Also in the smaller mini-batch of the rest."""
    data, image, seen = colourful(33), (3, 4, 2), []
    runner = trainer(data, image=image, shift=1, horizontal_flip=True, batch_size=batch_size)
    for batch, _ in runner._plan:
        batch.backward.append(lambda x=batch.x: seen.append(x.copy()))
    table = sources(runner.settings, image)
    changes = {row[change].tobytes(): i for i, row in enumerate(data.x) for change in table}
    shown = []
    for _ in range(2):
        seen.clear()
        runner.run_epoch()
        shown.append(np.concatenate(seen))
        assert sorted(changes[row.tobytes()] for row in shown[-1]) == list(range(33))
    assert {row.tobytes() for row in shown[0]} != {row.tobytes() for row in shown[1]}


def test_every_change_is_equally_likely() -> None:
    data, image = colourful(1), (3, 4, 2)
    settings = Settings(shift=1, horizontal_flip=True)
    augmenter = Augmenter(settings, data.x, image, np.random.default_rng(0))
    order, x = np.zeros((20, 900), np.int64), np.empty((900, 24), np.float32)
    gather, counts = augmenter.gatherer(x, order), {}
    for chosen in order:
        gather(chosen)
        for row in x:
            counts[row.tobytes()] = counts.get(row.tobytes(), 0) + 1
    assert len(counts) == 18
    error = np.sqrt(18_000 * (1 / 18) * (17 / 18))
    assert max(abs(count - 1000) for count in counts.values()) <= 5 * error  # a fixed seed


def test_no_shift_and_no_flip_train_as_without_images() -> None:
    train_set, _ = digits()
    plain = trainer(train_set, classes=10)
    unchanged = trainer(train_set, classes=10, image=IMAGE, shift=0, horizontal_flip=False)
    np.testing.assert_array_equal(after(plain, 2), after(unchanged, 2))


@pytest.mark.parametrize("change", [{"horizontal_flip": True}, {"shift": 1}])
def test_data_that_are_no_images_are_refused(change: dict[str, Any]) -> None:
    data = colourful(5)
    with pytest.raises(ValueError, match=r"need images: .* 24 features, .* are not known"):
        trainer(data, **change)
    with pytest.raises(ValueError, match=r"24 features, and its images are \(3, 4, 1\)"):
        trainer(data, image=(3, 4, 1), **change)


def test_training_does_not_modify_the_images() -> None:
    data = colourful(20)
    before = data.x.copy()
    data.x.flags.writeable = False
    runner = trainer(data, image=(3, 4, 2), shift=1, horizontal_flip=True)
    assert np.shares_memory(runner.examples.x, data.x)
    after(runner, 2)
    np.testing.assert_array_equal(data.x, before)


def test_the_same_seed_makes_the_same_changes() -> None:
    data, settings = colourful(40), {"shift": 1, "horizontal_flip": True, "image": (3, 4, 2)}
    first, again, other = (after(trainer(data, seed, **settings), 3) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_shifts_help_to_read_digits_that_are_shifted() -> None:
    """Digits moved by a pixel, never seen: who trained with shifts reads them far better."""
    (train_set, _), (_, dev) = digits(), digits()
    table = sources(Settings(shift=1), IMAGE)
    moved = Examples(dev.x[:, table[0]], dev.y)  # up and left
    errors = []
    for shift in (0, 1):
        runner = trainer(train_set, classes=10, image=IMAGE, shift=shift, hidden_units=64)
        after(runner, 20)
        errors.append((runner.evaluate(dev)["error"], runner.evaluate(moved)["error"]))
    (plain, plain_moved), (shifted, shifted_moved) = errors
    assert plain <= 0.06
    assert shifted <= 0.2  # of 8 pixels one is much: the digits as they are get harder
    assert shifted_moved <= plain_moved / 3
