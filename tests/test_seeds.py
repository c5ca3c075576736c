from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from hpsearch.seeds import KINDS, repeat_seeds, sequence, stream, trial_seed

seeds = st.integers(0, 2**63 - 1)
numbers = st.integers(0, 10_000_000)


@given(seeds, numbers)
def test_a_stream_depends_on_nothing_but_its_name(seed: int, number: int) -> None:
    for kind in KINDS:
        assert stream(seed, kind, number).random() == stream(seed, kind, number).random()


@given(st.integers(0, 2**200), st.integers(0, 2**70))
@example(0, 0)
@example(2**128 - 1, 2**32 - 1)
@example(2**32, 2**32)
@example(1, 2**64 - 1)
def test_a_stream_has_the_bits_of_numpys_seed_sequence(seed: int, number: int) -> None:
    for kind in KINDS:
        ours, numpys = (
            stream(seed, kind, number),
            np.random.default_rng(sequence(seed, kind, number)),
        )
        assert ours.bit_generator.state == numpys.bit_generator.state
    assert trial_seed(seed, number) == sequence(seed, "train", number).generate_state(1)[0]
    children = [each.spawn(2)[1].random() for each in (ours, numpys)]
    assert children[0] == children[1]


def test_streams_of_different_kinds_numbers_and_seeds_differ() -> None:
    drawn = {
        stream(seed, kind, number).integers(2**63)
        for seed in range(10)
        for kind in KINDS
        for number in range(10)
    }
    assert len(drawn) == 10 * len(KINDS) * 10


def test_trial_seeds_are_not_seed_plus_number() -> None:
    assert trial_seed(0, 1) != trial_seed(1, 0)


def test_trial_seeds_never_change_between_versions() -> None:
    assert [trial_seed(0, k) for k in range(3)] == [3953331965, 3613627650, 1016617948]


@given(seeds, numbers)
def test_a_trial_seed_fits_every_framework(seed: int, number: int) -> None:
    assert 0 <= trial_seed(seed, number) < 2**32


def test_the_seeds_of_repeats_begin_with_the_trials_own_and_never_change() -> None:
    assert repeat_seeds(3953331965, 1) == [3953331965]
    assert repeat_seeds(0, 4) == [0, 2025564383, 54874886, 681486722]


@given(st.integers(0, 2**32 - 1), st.integers(1, 100))
def test_more_repeats_leave_the_seeds_of_the_first_ones(seed: int, repeats: int) -> None:
    seeds = repeat_seeds(seed, repeats)
    assert repeat_seeds(seed, 100)[:repeats] == seeds
    assert all(0 <= each < 2**32 for each in seeds)


def test_the_seeds_of_repeats_differ_from_each_other_and_from_those_of_other_trials() -> None:
    seeds = [each for k in range(100) for each in repeat_seeds(trial_seed(0, k), 10)]
    assert len(set(seeds)) == len(seeds)
