from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.scales import SCALES, Integer, Real
from hpsearch.space import Axis, Choice, Space, ends
from hpsearch.trial import Result
from hpsearch.zoom import Zoomed, zoom


def anything(name: str, value: Any) -> bool:
    return True


def nothing(name: str, value: Any) -> bool:
    return False


@st.composite
def ranges(draw: st.DrawFn) -> Real | Integer:
    """A range on any scale: of real numbers, of few or of many integers."""
    name = draw(st.sampled_from(sorted(SCALES)))
    if draw(st.booleans()):
        low = draw(st.integers(-50 if name != "log" else 1, 50 if name != "one_minus_log" else -1))
        width = draw(st.integers(1, 300))
        high = min(low + width, 0) if name == "one_minus_log" else low + width
        return Integer(SCALES[name](low, high), name)
    decades = draw(st.floats(0.001, 8))
    near = draw(st.floats(-6, 3))
    if name == "log":
        return Real(SCALES[name](10**near, 10 ** (near + decades)), name)
    if name == "one_minus_log":
        far = min(near + decades, 1.0)
        near = min(near, far - 0.001)
        return Real(SCALES[name](1 - 10**far, 1 - 10**near), name)
    middle = draw(st.floats(-1000, 1000))
    return Real(SCALES[name](middle, middle + 10**near), name)


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    options = draw(st.lists(st.sampled_from(["a", "b", 3, 4.5, True, (6, 4), "x # y"]), min_size=1))
    unique = tuple({repr(option): option for option in options}.values())
    weights = draw(st.none() | st.just(tuple(float(i + 1) for i in range(len(unique)))))
    return Choice(unique, weights)


spaces = st.dictionaries(st.sampled_from("pqrs"), ranges() | choices(), min_size=1).map(Space)


def trials(space: Space, points: Sequence[Sequence[float]]) -> list[Result]:
    return [
        Result(number, "complete", space.params(point), tuple(point), 0, 1, float(number))
        for number, point in enumerate(points)
    ]


@st.composite
def searches(draw: st.DrawFn) -> tuple[Space, list[Result]]:
    """A space, and two to six of its trials, best first; ends are drawn often."""
    space = draw(spaces)
    coordinate = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
    point = st.tuples(*[coordinate] * len(space.axes))
    return space, trials(space, draw(st.lists(point, min_size=2, max_size=6)))


def holds(new: Zoomed, value: Any) -> bool:
    if new.axis is None:
        return repr(new.value) == repr(value)
    if isinstance(new.axis, Choice):
        return repr(value) in map(repr, new.axis.options)
    low, high = ends(new.axis)
    return bool(low <= value <= high)


@given(searches())
def test_every_one_of_the_best_trials_lies_inside_the_new_box(
    found: tuple[Space, list[Result]],
) -> None:
    space, best = found
    for allowed in (anything, nothing):
        new = zoom(space, best, allowed)
        assert list(new) == list(space.axes)
        for result in best:
            for name, value in result.params.items():
                assert holds(new[name], value), (name, value, new[name])


@given(searches())
def test_an_axis_keeps_its_kind_and_its_scale(found: tuple[Space, list[Result]]) -> None:
    space, best = found
    for name, each in zoom(space, best, anything).items():
        old = space.axes[name]
        if each.axis is not None:
            assert type(each.axis) is type(old)
            assert getattr(each.axis, "name", None) == getattr(old, "name", None)
        if isinstance(old, Integer):
            bounds = [each.value] if each.axis is None else ends(each.axis)
            assert all(type(bound) is int for bound in bounds)


@given(searches())
def test_the_box_leaves_the_old_one_only_where_the_parameter_may_go(
    found: tuple[Space, list[Result]],
) -> None:
    space, best = found
    for name, new in zoom(space, best, nothing).items():
        old = space.axes[name]
        if isinstance(new.axis, Real | Integer):
            assert isinstance(old, Real | Integer)
            assert old.scale.min <= new.axis.scale.min < new.axis.scale.max <= old.scale.max
        elif new.axis is not None:
            assert set(map(repr, ends(new.axis))) <= set(map(repr, ends(old)))


@given(searches(), st.floats(0, 1))
def test_no_bound_is_worse_than_a_limit_of_the_parameter(
    found: tuple[Space, list[Result]], room: float
) -> None:
    space, best = found

    def within(name: str, value: Any) -> bool:
        axis = space.axes[name]
        assert isinstance(axis, Real | Integer)
        reach = room * (axis.scale.max - axis.scale.min)
        return bool(axis.scale.min - reach <= value <= axis.scale.max + reach)

    for name, new in zoom(space, best, within).items():
        if isinstance(new.axis, Real | Integer):
            assert all(within(name, bound) for bound in ends(new.axis))


@given(ranges(), st.sampled_from([0.0, 1.0]), st.floats(0, 1))
def test_a_best_trial_on_an_edge_moves_that_edge_outward(
    axis: Real | Integer, edge: float, other: float
) -> None:
    best = trials(Space({"p": axis}), [(edge,), (other,)])
    (new,) = zoom(Space({"p": axis}), best, anything).values()
    end_of_scale = {("log", 0.0): axis.scale.min == 1, ("one_minus_log", 1.0): axis.scale.max == 0}
    if isinstance(axis, Integer) and end_of_scale.get((axis.name, edge)):
        return  # 0 is no place on a log scale, nor 1 on the other
    assert isinstance(new.axis, Real | Integer)
    end = "max" if edge else "min"
    moved = new.axis.scale.max > axis.scale.max if edge else new.axis.scale.min < axis.scale.min
    assert moved
    assert "widened, the best trial 0 sits on this edge" in new.notes[end]


def test_a_widening_stops_before_what_the_parameter_cannot_be() -> None:
    axis = Real(SCALES["linear"](0.5, 0.98), "linear")
    best = trials(Space({"momentum": axis}), [(1.0,), (0.0,)])

    def below_one(name: str, value: Any) -> bool:
        return bool(value < 1)

    (new,) = zoom(Space({"momentum": axis}), best, below_one).values()
    assert new.axis is not None
    _, high = ends(new.axis)
    assert 0.98 < high < 1


@pytest.mark.parametrize("name", SCALES)
def test_trials_that_agree_give_a_tenth_of_the_range_on_its_own_scale(name: str) -> None:
    axis = Real(_wide(name), name)
    best = trials(Space({"p": axis}), [(0.62,), (0.62,), (0.62,)])
    (new,) = zoom(Space({"p": axis}), best, anything).values()
    assert new.axis is not None
    low, high = (axis.to_unit(end) for end in ends(new.axis))
    assert low == pytest.approx(0.57, abs=0.005)  # bounds are rounded outward to three digits
    assert high == pytest.approx(0.67, abs=0.005)


def _wide(name: str) -> Any:
    low, high = {"linear": (-3, 5), "log": (1e-4, 1), "one_minus_log": (0.9, 0.99999)}[name]
    return SCALES[name](low, high)


@given(
    st.lists(st.floats(0.1, 0.9), min_size=2, max_size=6),
    st.sampled_from(sorted(SCALES)),
)
def test_equal_places_on_different_scales_give_equal_boxes_on_those_scales(
    units: list[float], name: str
) -> None:
    corners = []
    for axis in (
        Real(SCALES["linear"](0, 1), "linear"),
        Real(_wide(name), name),
    ):
        space = Space({"p": axis})
        (new,) = zoom(space, trials(space, [(u,) for u in units]), nothing).values()
        assert new.axis is not None
        corners.append([axis.to_unit(end) for end in ends(new.axis)])
    assert corners[0] == pytest.approx(corners[1], abs=0.005)


@given(searches(), st.integers(0, 2**32 - 1))
def test_a_zoom_into_a_zoom_into_a_zoom_still_works(
    found: tuple[Space, list[Result]], seed: int
) -> None:
    space, best = found
    rng = np.random.default_rng(seed)
    for _ in range(6):
        new = zoom(space, best, anything)
        axes: dict[str, Axis] = {
            name: each.axis for name, each in new.items() if each.axis is not None
        }
        space = Space(axes)
        if not axes:
            break
        best = trials(space, rng.random((3, len(axes))).tolist())
        for name, axis in axes.items():
            if not isinstance(axis, Choice):
                assert all(math.isfinite(end) for end in ends(axis)), name


@given(searches())
def test_each_bound_says_what_changed_and_which_trials_caused_it(
    found: tuple[Space, list[Result]],
) -> None:
    space, best = found
    numbers = ", ".join(str(result.trial) for result in best)
    for name, new in zoom(space, best, anything).items():
        old = space.axes[name]
        if new.axis is None or isinstance(new.axis, Choice):
            assert set(new.notes) == {"values"}
            assert numbers in new.notes["values"]
            continue
        assert set(new.notes) == {"min", "max"}
        for key, before, after in zip(("min", "max"), ends(old), ends(new.axis), strict=True):
            note = new.notes[key]
            if before == after:
                assert note.startswith("kept: ")
            else:
                assert f"{old.text(before)} -> {old.text(after)}: " in note
            causes = (numbers, "the best trial 0 sits on this edge", "the best sits there")
            assert any(cause in note for cause in causes)


def test_a_choice_keeps_what_the_best_trials_chose_with_its_weights() -> None:
    axis = Choice(("sgd", "adam", "rmsprop"), (1.0, 2.0, 3.0))
    space = Space({"optimizer": axis})
    best = trials(space, [(0.9,), (0.3,), (0.8,)])
    (new,) = zoom(space, best, anything).values()
    assert new.axis == Choice(("adam", "rmsprop"), (2.0, 3.0))
    assert new.notes["values"] == (
        "[sgd, adam, rmsprop] -> [adam, rmsprop]: what the best trials 0, 1, 2 chose"
    )


def test_a_choice_on_which_the_best_trials_agree_becomes_a_constant() -> None:
    space = Space({"batch_norm": Choice((True, False))})
    (new,) = zoom(space, trials(space, [(0.9,), (0.8,)]), anything).values()
    assert new.axis is None
    assert new.value is False


def test_integers_on_which_the_best_trials_agree_become_a_constant() -> None:
    space = Space({"layers": Integer(SCALES["linear"](1, 5), "linear")})
    (new,) = zoom(space, trials(space, [(0.5,), (0.5,)]), anything).values()
    assert new.axis is None
    assert new.value == 3
    assert new.notes["values"] == "1 .. 5 -> 3: the best trials 0, 1 agree"
