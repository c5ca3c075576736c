from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.diagnosis import NOTABLE_GAP, SHORT_VERDICTS, diagnose

errors = st.floats(0, 1)


@pytest.mark.parametrize(
    ("train", "dev", "verdict", "remedy"),
    [
        (0.01, 0.11, "high variance", "more data"),
        (0.15, 0.16, "high bias", "bigger network"),
        (0.15, 0.30, "high bias and high variance", "bigger network"),
        (0.005, 0.01, "low bias, low variance", "none"),
    ],
)
def test_the_textbook_cases_get_their_verdict_and_first_remedy(
    train: float, dev: float, verdict: str, remedy: str
) -> None:
    found = diagnose(train, dev)
    assert found.verdict == verdict
    assert remedy in found.remedy


def test_both_faults_get_both_remedies() -> None:
    remedy = diagnose(0.15, 0.30).remedy
    assert "bigger network" in remedy
    assert "more data" in remedy


def test_bias_is_measured_from_the_best_achievable_error() -> None:
    assert diagnose(0.15, 0.16).verdict == "high bias"
    assert diagnose(0.15, 0.16, optimal_error=0.14).verdict == "low bias, low variance"
    assert diagnose(0.15, 0.30, optimal_error=0.14).verdict == "high variance"


@given(errors, errors, errors)
def test_bias_and_variance_are_judged_apart(train: float, dev: float, optimal: float) -> None:
    verdict = diagnose(train, dev, optimal).verdict
    assert ("high bias" in verdict) == (train - optimal > NOTABLE_GAP)
    assert ("high variance" in verdict) == (dev - train > NOTABLE_GAP)


@given(errors, errors)
def test_every_verdict_has_a_short_form_for_a_column(train: float, dev: float) -> None:
    assert 0 < len(SHORT_VERDICTS[diagnose(train, dev).verdict]) <= len("high variance")


def test_no_two_verdicts_share_a_short_form() -> None:
    assert len(set(SHORT_VERDICTS.values())) == len(SHORT_VERDICTS) == 4
