"""From train and dev error to a verdict on bias and variance, and the first remedy."""

from __future__ import annotations

from dataclasses import dataclass

NOTABLE_GAP = 0.03
"""Errors this far apart (3 percentage points) are worth acting on; below it noise decides."""


SHORT_VERDICTS = {
    "low bias, low variance": "good fit",
    "high bias": "high bias",
    "high variance": "high variance",
    "high bias and high variance": "bias+variance",
}
"""Each verdict as a narrow column shows it."""


@dataclass(frozen=True)
class Diagnosis:
    """What ails a model."""

    verdict: str
    remedy: str


def diagnose(train_error: float, dev_error: float, optimal_error: float = 0.0) -> Diagnosis:
    """Tell bias from variance by the two gaps optimal -> train -> dev.

    Args:
        train_error, dev_error: Shares of wrong predictions, in [0, 1].
        optimal_error: The best achievable error on this task (Bayes error).
    """
    bias = train_error - optimal_error > NOTABLE_GAP
    variance = dev_error - train_error > NOTABLE_GAP
    if bias and variance:
        return Diagnosis(
            "high bias and high variance", "a bigger network or longer training, then more data"
        )
    if bias:
        return Diagnosis("high bias", "a bigger network, or train longer")
    if variance:
        return Diagnosis("high variance", "more data, or regularisation")
    return Diagnosis("low bias, low variance", "none")
