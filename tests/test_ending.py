from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hpsearch.ending import Ending
from hpsearch.trial import Result


def result(number: int, score: float | None, status: str = "complete") -> Result:
    return Result(number, status, {}, (), 0, None, score)


def ended(
    results: list[Result],
    trials: int | None = None,
    patience: int | None = None,
    failures: int | None = None,
) -> tuple[str | None, int]:
    ending = Ending("minimize", trials, patience, failures)
    for each in results:
        ending.add(each)
    return ending.reason, ending.counted


scores = st.lists(st.one_of(st.none(), st.sampled_from([0.1, 0.2, 0.3])), min_size=1, max_size=30)


@given(scores, st.randoms(), st.integers(1, 8), st.integers(1, 4))
def test_the_end_does_not_depend_on_the_order_in_which_trials_finish(
    values: list[float | None], shuffle: object, patience: int, failures: int
) -> None:
    results = [result(k, v, "failed" if v is None else "complete") for k, v in enumerate(values)]
    mixed = list(results)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    limits = {"trials": 25, "patience": patience, "failures": failures}
    assert ended(mixed, **limits) == ended(results, **limits)


def test_the_number_of_trials_ends_it() -> None:
    assert ended([result(k, 1.0 - k / 10) for k in range(5)], trials=5) == ("trials", 5)


def test_patience_counts_the_trials_since_the_best() -> None:
    results = [result(k, v) for k, v in enumerate([0.5, 0.4, 0.45, 0.4, 0.6, 0.3])]
    assert ended(results, patience=3) == ("patience", 5)
    assert ended(results, patience=4) == (None, 6)


def test_failures_count_only_in_a_row_and_divergence_is_none() -> None:
    statuses = ["failed", "crashed", "diverged", "failed", "timeout", "crashed"]
    results = [result(k, None, status) for k, status in enumerate(statuses)]
    assert ended(results, failures=3) == ("failures", 6)
    assert ended(results[:5], failures=3) == (None, 5)


def test_a_gap_keeps_later_trials_waiting() -> None:
    assert ended([result(0, 1.0), result(2, 1.0)], trials=3) == (None, 1)


def test_maximizing_turns_the_sign() -> None:
    ending = Ending("maximize", None, 2, None)
    for number, score in enumerate([0.1, 0.2, 0.3, 0.1]):
        ending.add(result(number, score))
    assert ending.reason is None
    assert ending.best is not None
    assert ending.best.trial == 2


def test_patience_needs_no_trial_beyond_the_best_known_one_and_its_patience() -> None:
    ending = Ending("minimize", None, 5, 10)
    assert ending.horizon == 4
    ending.add(result(7, 0.5))
    assert ending.horizon == 12
    ending.add(result(3, 0.5))
    assert ending.horizon == 8
    ending.add(result(9, 0.7))
    assert ending.horizon == 8
    assert Ending("minimize", 9, None, 10).horizon is None
