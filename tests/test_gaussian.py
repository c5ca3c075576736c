"""The Gaussian process computes what independent implementations do."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from conftest import ROOT
from hpsearch.gaussian import (
    Array,
    Evidence,
    Hyper,
    Mask,
    Posterior,
    Prior,
    fit,
    gaps,
    kernel,
    log_expected_improvement,
)

REFERENCE = json.loads((ROOT / "tests" / "reference" / "gaussian.json").read_text())
PROCESSES: list[dict[str, Any]] = REFERENCE["processes"]


def hyper_of(case: dict[str, Any]) -> Hyper:
    return Hyper(tuple(case["lengths"]), case["signal"], case["noise"])


def measured(case: dict[str, Any]) -> tuple[Array, Array, Mask]:
    points = np.array(case["points"])
    return points, np.array(case["values"]), np.zeros(points.shape[1], dtype=bool)


def mixed(count: int = 30) -> tuple[Array, Array, Mask]:
    """Two ranges and a choice of three options, as places on its axis."""
    rng = np.random.default_rng(5)
    points = rng.random((count, 3))
    points[:, 2] = rng.integers(3, size=count) / 3 + 1 / 6
    values = np.sin(6 * points[:, 0]) + (points[:, 2] > 0.4) + 0.1 * rng.standard_normal(count)
    return points, values, np.array([False, False, True])


@pytest.mark.parametrize("case", PROCESSES, ids=["one axis", "four axes"])
def test_likelihood_and_gradient_are_scikit_learns(case: dict[str, Any]) -> None:
    value, gradient = Evidence(*measured(case)).at(hyper_of(case).logs)
    assert -value == pytest.approx(case["log_likelihood"], rel=1e-9)
    assert (-gradient).tolist() == pytest.approx(
        case["gradient"], rel=1e-5
    )  # its alpha, our jitter, is no part of its gradient by the signal


@pytest.mark.parametrize("case", PROCESSES, ids=["one axis", "four axes"])
def test_the_posterior_is_scikit_learns(case: dict[str, Any]) -> None:
    points, values, categories = measured(case)
    posterior = Posterior(points, values, categories, hyper_of(case))
    mean, deviation = posterior.at(np.array(case["others"]))
    assert mean.tolist() == pytest.approx(case["mean"], rel=1e-7, abs=1e-9)
    variance = (deviation**2 + case["noise"]).tolist()
    assert variance == pytest.approx(case["variance_with_noise"], rel=1e-6, abs=1e-7)
    assert posterior.mean(np.array(case["others"])).tolist() == pytest.approx(mean.tolist())


def test_the_gradient_is_the_slope_of_the_likelihood_with_choices_and_unequal_noise() -> None:
    points, values, categories = mixed()
    rng = np.random.default_rng(1)
    halves = rng.random(len(points))
    evidence = Evidence(
        points, values, categories, 0.5 + rng.random(len(points)), np.outer(halves, halves)
    )
    logs = Hyper((0.3, 1.2, 0.8), 1.3, 0.05).logs
    _, gradient = evidence.at(logs)
    step = 1e-6
    slopes = [
        (evidence.at(logs + step * way)[0] - evidence.at(logs - step * way)[0]) / (2 * step)
        for way in np.eye(len(logs))
    ]
    assert gradient.tolist() == pytest.approx(slopes, rel=1e-6, abs=1e-6)


def test_the_slope_of_the_prior_is_that_of_its_density() -> None:
    prior = Prior(np.array([0.5, 0.0, -3.0]), np.array([1.0, 0.5, 2.0]))
    logs = np.array([0.7, -0.4, 1.0])
    _, gradient = prior.penalty(logs)
    step = 1e-6
    slopes = [
        (prior.penalty(logs + step * way)[0] - prior.penalty(logs - step * way)[0]) / (2 * step)
        for way in np.eye(3)
    ]
    assert gradient.tolist() == pytest.approx(slopes, rel=1e-6)


def test_options_are_equally_far_apart_whatever_their_order() -> None:
    places = np.array([[0.1], [0.5], [0.9]])
    apart = gaps(places, places, np.array([True]))[0]
    assert apart.tolist() == (1 - np.eye(3)).tolist()
    covariance = kernel(places, places, np.array([True]), Hyper((0.7,), 1.0, 0.1))
    assert covariance[0, 1] == covariance[0, 2]


def test_both_ways_to_a_covariance_agree() -> None:
    points, _, categories = mixed()
    hyper = Hyper((0.3, 1.2, 0.8), 1.3, 0.05)
    scaled = 1 / np.square(hyper.lengths)
    squared = np.einsum("k,kij->ij", scaled, gaps(points, points, categories))
    root = np.sqrt(5 * squared)
    expected = 1.3 * (1 + root + root**2 / 3) * np.exp(-root)
    assert np.allclose(kernel(points, points, categories, hyper), expected, rtol=1e-6, atol=1e-9)


def test_a_fit_finds_what_matters_and_how_noisy_it_is() -> None:
    rng = np.random.default_rng(3)
    points = rng.random((120, 3))
    values = np.sin(8 * points[:, 0]) + 0.2 * rng.standard_normal(120)
    categories = np.zeros(3, dtype=bool)
    prior = Prior(np.array([-0.5, -0.5, -0.5, 0.0, -3.0]), np.array([1.5, 1.5, 1.5, 1.0, 2.0]))
    found = fit(Evidence(points, values, categories), prior, Hyper.of(prior.means))
    assert found.lengths[0] < 1 / 2 * min(found.lengths[1:])
    assert found.noise == pytest.approx(0.04, rel=0.4)
    posterior = Posterior(points, values, categories, found)
    mean, _ = posterior.at(points)
    assert np.sqrt(np.mean((mean - np.sin(8 * points[:, 0])) ** 2)) < 0.15


def test_further_measurements_at_the_mean_leave_the_mean_and_lower_the_variance() -> None:
    points, values, categories = mixed()
    hyper = Hyper((0.3, 1.2, 0.8), 1.3, 0.05)
    before = Posterior(points, values, categories, hyper)
    there = np.array([[0.2, 0.9, 0.5]])
    after = before.given(there, before.mean(there))
    others = np.concatenate([there, mixed(8)[0]])
    (mean, deviation), (mean_then, deviation_then) = before.at(others), after.at(others)
    assert mean_then.tolist() == pytest.approx(mean.tolist(), abs=1e-9)
    assert (deviation_then <= deviation + 1e-9).all()
    assert deviation_then[0] < 0.9 * deviation[0]


def test_a_constant_by_which_some_measurements_differ_is_seen_through() -> None:
    rng = np.random.default_rng(2)
    points = rng.random((30, 1))
    truth = np.sin(6 * points[:, 0])
    others = (np.arange(30) % 2 == 0).astype(np.float64)
    hyper = Hyper((0.4,), 1.0, 1e-4)
    extra = 100.0 * np.outer(others, others)
    posterior = Posterior(
        points, truth + 5 * others, np.zeros(1, dtype=bool), hyper, np.ones(30), extra
    )
    assert posterior.mean(points).tolist() == pytest.approx(truth.tolist(), abs=0.1)


def test_log_expected_improvement_keeps_its_digits_far_from_the_best() -> None:
    places, expected = np.array(REFERENCE["log_improvement"]).T
    found = log_expected_improvement(-places, np.ones(len(places)), 0.0)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-9)


def test_expected_improvement_is_the_mean_of_draws() -> None:
    draws = np.random.default_rng(0).normal(0.3, 0.5, 400_000)
    expected = np.log(np.maximum(0.1 - draws, 0).mean())
    found = log_expected_improvement(np.array([0.3]), np.array([0.5]), 0.1)
    assert found[0] == pytest.approx(expected, abs=0.01)  # 4 standard errors are 0.009


def test_a_covariance_without_a_factor_is_no_likelihood() -> None:
    points = np.zeros((3, 1))
    evidence = Evidence(points, np.ones(3), np.zeros(1, dtype=bool), -10 * np.ones(3))
    assert evidence.at(Hyper((1.0,), 1.0, 1.0).logs)[0] == np.inf
