"""Splitting: a stratified partition that repeats with its seed, normalised by its training part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hpsearch.data import PARTS, Dataset, Split, split
from hpsearch.errors import DataError

Sizes = list[int]
Fractions = dict[str, float]

SIXTY = {"train": 0.6, "dev": 0.2, "test": 0.2}


def dataset(sizes: Sizes, x: np.ndarray | None = None) -> Dataset:
    """Return examples whose only feature is their own number, unless x is given."""
    y = np.repeat(np.arange(len(sizes)), sizes)
    y = np.random.default_rng(0).permutation(y)
    x = np.arange(len(y), dtype=np.float64)[:, None] if x is None else x
    features = tuple(f"f{j}" for j in range(x.shape[1]))
    return Dataset(x, y, features, tuple(f"class {k}" for k in range(len(sizes))))


def rows(parts: Split) -> dict[str, np.ndarray]:
    """Return the numbers of the examples in each part, made by dataset()."""
    back = {part: getattr(parts, part).x[:, 0].astype(float) for part in PARTS}
    return {part: np.rint(z * parts.std[0] + parts.mean[0]).astype(int) for part, z in back.items()}


def class_counts(parts: Split) -> np.ndarray:
    """Return how many examples of each class (rows) are in each part (columns)."""
    c = len(parts.classes)
    return np.stack([np.bincount(getattr(parts, p).y, minlength=c) for p in PARTS], axis=1)


@st.composite
def fractions(draw: st.DrawFn) -> Fractions:
    """Draw fractions in whole percent, any but train's possibly 0."""
    train = draw(st.integers(1, 100))
    dev = draw(st.integers(0, 100 - train))
    return {"train": train / 100, "dev": dev / 100, "test": (100 - train - dev) / 100}


class_sizes = st.lists(st.integers(2, 60), min_size=2, max_size=12)


def outcome(data: Dataset, shares: Fractions, seed: int = 0) -> Split | DataError:
    try:
        return split(data, shares, np.random.default_rng(seed))
    except DataError as error:
        return error


def parted(sizes: Sizes, shares: Fractions, seed: int = 0) -> Split:
    """Return the split; give up on draws too small for the part that is asked for."""
    parts = outcome(dataset(sizes), shares, seed)
    if isinstance(parts, DataError):
        assert parts.key == "split"
    assume(isinstance(parts, Split))
    return parts


@settings(deadline=None)
@given(sizes=class_sizes, shares=fractions(), seed=st.integers(0, 2**32))
def test_every_example_is_in_one_part_with_its_own_class(
    sizes: Sizes, shares: Fractions, seed: int
) -> None:
    parts = parted(sizes, shares, seed)
    where = rows(parts)
    assert sorted(np.concatenate(list(where.values()))) == list(range(sum(sizes)))
    given_y = dataset(sizes).y
    for part in PARTS:
        examples = getattr(parts, part)
        assert examples.x.dtype == np.float32
        assert examples.x.flags.c_contiguous
        assert examples.y.dtype == np.int64
        assert (examples.y == given_y[where[part]]).all()
        assert (len(examples.y) == 0) == (shares[part] == 0)


@settings(deadline=None)
@given(sizes=class_sizes, shares=fractions())
def test_every_class_is_in_train_and_dev(sizes: Sizes, shares: Fractions) -> None:
    counts = class_counts(parted(sizes, shares))
    assert (counts[:, 0] >= 1).all()
    assert (counts[:, 1] >= 1).all() or shares["dev"] == 0


@settings(deadline=None)
@given(sizes=st.lists(st.integers(100, 400), min_size=2, max_size=12), shares=fractions())
def test_each_class_and_the_whole_are_parted_as_asked(sizes: Sizes, shares: Fractions) -> None:
    ideal = np.outer(sizes, [shares[part] for part in PARTS])
    # With 3 or more expected everywhere nothing has to be moved to keep a class in a part.
    assume(((ideal >= 3) | (ideal == 0)).all())
    counts = class_counts(parted(sizes, shares))
    assert (np.abs(counts - ideal) < 2).all()
    assert (np.abs(counts.sum(axis=0) - ideal.sum(axis=0)) < 1 + 1e-9).all()


def test_one_percent_of_many_small_classes_is_not_rounded_away() -> None:
    counts = class_counts(
        split(
            dataset([30] * 100),
            {"train": 0.98, "dev": 0.01, "test": 0.01},
            np.random.default_rng(0),
        )
    )
    assert counts.sum(axis=0)[2] == 30
    assert (counts[:, 1] == 1).all()


def test_a_million_examples_part_98_1_1() -> None:
    parts = split(
        dataset([500_000, 500_000]),
        {"train": 0.98, "dev": 0.01, "test": 0.01},
        np.random.default_rng(0),
    )
    assert [len(getattr(parts, part).y) for part in PARTS] == [980_000, 10_000, 10_000]


def test_the_same_stream_gives_the_same_split_and_another_another() -> None:
    one, two, other = (
        split(dataset([40, 30, 20]), SIXTY, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    for part in PARTS:
        assert np.array_equal(getattr(one, part).x, getattr(two, part).x)
        assert not np.array_equal(getattr(one, part).x, getattr(other, part).x)


def test_no_part_is_sorted_by_class_or_by_place() -> None:
    parts = split(dataset([200, 200]), SIXTY, np.random.default_rng(0))
    for part, numbers in rows(parts).items():
        assert abs(np.corrcoef(np.arange(len(numbers)), numbers)[0, 1]) < 0.5, part
        assert np.count_nonzero(np.diff(getattr(parts, part).y)) > len(numbers) / 4, part


@pytest.mark.parametrize(
    ("sizes", "shares", "sentence"),
    [
        ([5, 5], {"train": 0.9, "dev": 0.09, "test": 0.01}, "test: 0.01 of 10 examples is none"),
        ([5, 5], {"train": 0.0, "dev": 0.5, "test": 0.5}, "train: 0 leaves nothing to learn from"),
    ],
)
def test_a_part_asked_for_but_empty_is_refused(
    sizes: Sizes, shares: Fractions, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        split(dataset(sizes), shares, np.random.default_rng(0))
    assert caught.value.key == "split"


# Normalising


def test_train_has_mean_0_and_deviation_1_and_the_others_use_its_figures() -> None:
    rng = np.random.default_rng(0)
    raw = np.column_stack([np.arange(300.0), rng.normal(5, 3, 300), rng.normal(-1e6, 1e-2, 300)])
    data = dataset([150, 150], raw)
    parts = split(data, SIXTY, np.random.default_rng(1))
    chosen = rows(parts)
    train = raw[chosen["train"]]
    assert parts.mean == pytest.approx(train.mean(axis=0), rel=1e-12)
    assert parts.std == pytest.approx(train.std(axis=0), rel=1e-6)
    assert parts.train.x.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-5)
    assert parts.train.x.std(axis=0) == pytest.approx(np.ones(3), abs=1e-5)
    for part in PARTS:
        wanted = (raw[chosen[part]] - parts.mean) / parts.std
        assert np.array_equal(getattr(parts, part).x, wanted.astype(np.float32))


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e300, 5e-324])
def test_a_constant_column_becomes_0(value: float) -> None:
    parts = split(dataset([9, 9], np.full((18, 1), value)), SIXTY, np.random.default_rng(0))
    assert (parts.mean[0], parts.std[0]) == (value, np.inf)
    for part in PARTS:
        assert getattr(parts, part).x.tobytes() == bytes(4 * len(getattr(parts, part).y))


@settings(deadline=None)
@given(
    x=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=20, max_size=20),
    scale=st.sampled_from([1.0, 1e-300, 1e300]),
)
def test_any_finite_column_is_normalised_or_refused_never_overflown(
    x: list[float], scale: float
) -> None:
    raw = np.clip(np.array(x), -1.5e308 / scale, 1.5e308 / scale)[:, None] * scale
    parts = outcome(dataset([10, 10], raw), SIXTY)
    if isinstance(parts, DataError):
        assert "column 'f0' holds " in str(parts)
        return
    assert np.isfinite(parts.mean).all()
    assert (parts.std > 0).all()
    for part in PARTS:
        assert np.isfinite(getattr(parts, part).x).all()
    # Of m values none lies farther than sqrt(m - 1) population deviations from their mean.
    assert np.abs(parts.train.x).max() <= np.sqrt(len(parts.train.y)) * 1.001


@pytest.mark.parametrize("low", [1, np.nextafter(1, 0), -1])
def test_the_largest_floats_have_a_finite_mean_and_deviation(low: float) -> None:
    largest = np.finfo(np.float64).max
    raw = np.where(np.arange(2000) % 7 < 3, low, 1.0)[:, None] * largest
    parts = split(dataset([1000, 1000], raw), SIXTY, np.random.default_rng(0))
    assert np.isfinite(parts.mean).all()
    assert np.isfinite(parts.std).all() == (low != 1)
    assert np.abs(parts.train.x).max() < 10


def test_a_spread_too_small_for_a_float_counts_as_constant() -> None:
    raw = np.where(np.arange(20) % 2, 5e-324, 0.0)[:, None]
    parts = split(dataset([10, 10], raw), SIXTY, np.random.default_rng(0))
    assert parts.std[0] == np.inf
    assert not parts.train.x.any()


@pytest.mark.parametrize("value", [1e-310, 0.0, -1.7e308])
@pytest.mark.parametrize("other", [5.0, 1.7e308])
def test_a_column_constant_in_train_is_0_in_dev_and_test_too(value: float, other: float) -> None:
    chosen = rows(split(dataset([10, 10]), SIXTY, np.random.default_rng(0)))
    raw = np.full((20, 1), value)
    raw[[*chosen["dev"], *chosen["test"]]] = other
    parts = split(dataset([10, 10], raw), SIXTY, np.random.default_rng(0))
    for part in PARTS:
        assert not getattr(parts, part).x.any()
    assert parts.notes == ("1 constant column becomes 0: f0",)


def test_an_absurd_value_outside_train_is_named() -> None:
    chosen = rows(split(dataset([10, 10]), SIXTY, np.random.default_rng(0)))
    raw = np.arange(20.0)[:, None] % 3
    raw[chosen["dev"][0]] = 1e300
    with pytest.raises(DataError) as caught:
        split(dataset([10, 10], raw), SIXTY, np.random.default_rng(0))
    assert f"example {chosen['dev'][0] + 1}: column 'f0' holds 1e+300, more than" in str(
        caught.value
    )
    assert "a mistake in the dev data?" in str(caught.value)


@pytest.mark.parametrize("value", [1e300, -1e300, 1.7e308, 1e12, -3.4e38])
@pytest.mark.parametrize("times", [1, 3])
def test_a_value_of_train_that_wipes_out_its_column_is_named(value: float, times: int) -> None:
    chosen = rows(split(dataset([20, 20]), SIXTY, np.random.default_rng(0)))
    raw = np.column_stack([np.arange(40.0), np.arange(40.0) % 3])
    held = chosen["train"][3 : 3 + times]
    raw[held, 1] = value
    with pytest.raises(DataError) as caught:
        split(dataset([20, 20], raw), SIXTY, np.random.default_rng(0))
    text = str(caught.value)
    assert text.startswith(f"example {held.min() + 1}: column 'f1' holds {value:g}, so far out")
    assert "is it a mistake in the train data?" in text


def test_a_small_value_beside_large_ones_that_hardly_differ_is_named() -> None:
    raw = 1.7e15 + np.arange(40.0)[:, None]
    raw[:20] = raw[20:]
    chosen = rows(split(dataset([20, 20]), SIXTY, np.random.default_rng(0)))
    raw[chosen["train"][0]] = 0
    with pytest.raises(DataError, match="column 'f0' holds 0, so far out"):
        split(dataset([20, 20], raw), SIXTY, np.random.default_rng(0))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), m=st.sampled_from([20, 200, 5000]))
def test_long_tails_and_marks_are_not_refused(seed: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    mark = np.zeros(m)
    mark[rng.integers(0, m, 2)] = 1e300
    noise = np.where(np.arange(m) % 7 == 3, 1.0, rng.normal(0, 1e-17, m))
    raw = np.column_stack(
        [
            rng.lognormal(10, 3, m),
            1e6 * rng.standard_cauchy(m),
            1e9 * rng.pareto(1, m),
            rng.integers(10**9, 10**9 + 3, m),
            mark,
            noise,
        ]
    )
    parts = outcome(dataset([m // 2, m // 2], raw), SIXTY)
    assert isinstance(parts, Split), str(parts)
