from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.nn.schedules import SCHEDULES

FIRST = 0.2

epochs = st.integers(0, 10_000)


@pytest.mark.parametrize("name", SCHEDULES)
@given(epoch=epochs)
def test_by_default_the_learning_rate_starts_as_given_and_never_rises(
    name: str, epoch: int
) -> None:
    schedule = SCHEDULES[name]
    assert schedule.learning_rate(FIRST, None, 0) == FIRST
    now, then = (schedule.learning_rate(FIRST, None, e) for e in (epoch, epoch + 1))
    assert 0 <= then <= now <= FIRST


@pytest.mark.parametrize("name", SCHEDULES)
@given(epoch=epochs, rate=st.floats(1e-300, 1e300))
def test_no_decay_rate_is_an_error(name: str, epoch: int, rate: float) -> None:
    assert SCHEDULES[name].learning_rate(FIRST, rate, epoch) >= 0


@pytest.mark.parametrize(
    ("name", "decay_rate", "epoch", "expected"),
    [
        ("none", 0.5, 7, 0.2),
        ("inverse_time", 1.0, 0, 0.2),
        ("inverse_time", 1.0, 1, 0.1),
        ("inverse_time", 1.0, 2, 0.2 / 3),
        ("inverse_time", 1.0, 3, 0.05),
        ("inverse_time", 0.5, 4, 0.2 / 3),
        ("exponential", 0.95, 3, 0.95**3 * 0.2),
        ("inverse_sqrt", 1.0, 3, 0.1),
        ("inverse_sqrt", 2.0, 0, 0.4),
    ],
)
def test_schedules_follow_their_formula(
    name: str, decay_rate: float, epoch: int, expected: float
) -> None:
    rate = SCHEDULES[name].learning_rate(FIRST, decay_rate, epoch)
    assert rate == pytest.approx(expected, rel=1e-12)


def test_an_exponential_rate_above_one_grows_to_infinity_without_an_error() -> None:
    assert SCHEDULES["exponential"].learning_rate(FIRST, 10.0, 400) == math.inf


@pytest.mark.parametrize("name", SCHEDULES)
def test_without_a_decay_rate_the_schedule_takes_its_own(name: str) -> None:
    schedule = SCHEDULES[name]
    given_rate = schedule.learning_rate(FIRST, schedule.default_rate, 5)
    assert schedule.learning_rate(FIRST, None, 5) == given_rate
