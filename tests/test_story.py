"""The story of a model that is trained by hand: branches, and what holds on each."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.story import ActError, Story


def begun(planned: int | None = 20) -> Story:
    start = {"kind": "start", "params": {"rate": 0.1}, "seed": 1, "epochs": planned}
    return Story([{**start, "metric": "loss", "goal": "minimize"}])


def train(story: Story, *scores: float | None) -> None:
    for score in scores:
        event = {"branch": story.current, "epoch": story.epoch + 1, "seconds": 0.5}
        story.add({"kind": "epoch", "metrics": {"loss": score}, **event})


def act(story: Story, kind: str, **more: Any) -> None:
    text = " ".join(map(str, [kind, *more.values()]))
    story.add({"kind": "act", "act": kind, "text": text, **more})


def change(story: Story, **values: Any) -> None:
    for name, value in values.items():
        act(story, "set", name=name, value=value)


def test_going_back_drops_what_was_done_at_that_epoch_and_after() -> None:
    story = begun()
    train(story, 5, 4)
    change(story, rate=0.2)
    train(story, 3, 2)
    change(story, rate=0.4)
    act(story, "back", to=2)
    assert story.branch.changes == []
    act(story, "switch", to=1)
    act(story, "back", to=3)
    assert story.branch.changes == [{"after": 2, "rate": 0.2}]
    assert story.curve() == [5, 4, 3]
    train(story, 1)
    assert story.curve() == [5, 4, 3, 1]
    assert story.curve(1) == [5, 4, 3, 2]
    assert [branch.left for branch in story.branches] == [True, False, False]
    assert [story.home(epoch) for epoch in (1, 2, 3, 4)] == [1, 1, 1, 3]


def test_a_fork_keeps_what_was_done_and_the_branch_that_it_leaves() -> None:
    story = begun()
    train(story, 5, 4)
    change(story, rate=0.2)
    act(story, "fork")
    change(story, rate=0.3)
    train(story, 3)
    assert story.schedule() == [{"after": 2, "rate": 0.3}, {"after": 3, "epochs": 3}]
    act(story, "switch", to=1)
    assert story.value("rate") == 0.2
    assert story.epoch == 2
    assert not any(branch.left for branch in story.branches)


def test_a_fork_goes_on_where_the_other_branch_stopped() -> None:
    story = begun()
    train(story, 5, 4)
    act(story, "stop")
    assert story.finished
    act(story, "fork")
    assert not story.finished
    assert story.length == 20
    act(story, "switch", to=1)
    assert story.finished


def test_returning_to_a_branch_that_was_left_makes_it_the_model_again() -> None:
    story = begun()
    train(story, 5, 4)
    act(story, "back", to=1)
    act(story, "switch", to=1)
    assert story.epoch == 2
    assert [branch.left for branch in story.branches] == [False, False]


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("back", {"to": 3}, "no epoch 3 to go back to: this branch has 2 epochs"),
        ("switch", {"to": 2}, "no branch 2: there is only branch 1"),
        ("switch", {"to": 0}, "no branch 0"),
        ("switch", {"to": 1}, "this is branch 1 already"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    kind: str, more: dict[str, Any], words: str
) -> None:
    story = begun()
    train(story, 5, 4)
    with pytest.raises(ActError, match=words):
        act(story, kind, **more)
    assert (len(story.branches), story.current, story.acts, story.epoch) == (1, 1, [], 2)


def test_there_is_nothing_to_stop_before_the_first_epoch() -> None:
    with pytest.raises(ActError, match="nothing to stop"):
        act(begun(), "stop")


def test_going_back_to_0_begins_anew() -> None:
    story = begun()
    change(story, rate=0.2)
    train(story, 5)
    act(story, "back", to=0)
    assert (story.epoch, story.branch.changes) == (0, [])


def test_the_schedule_leaves_out_what_never_took_effect() -> None:
    story = begun(planned=2)
    train(story, 5)
    change(story, rate=0.2)
    train(story, 4)
    change(story, rate=0.9)
    assert story.finished
    assert story.schedule() == [{"after": 1, "rate": 0.2}]


def test_the_acts_on_the_path_are_those_that_hold() -> None:
    story = begun()
    train(story, 5)
    change(story, rate=0.2)
    train(story, 4, 3)
    change(story, rate=0.4)
    act(story, "back", to=2)
    change(story, rate=0.3)
    assert [(told.epoch, told.text) for told in story.on_path()] == [
        (1, "set rate 0.2"),
        (2, "set rate 0.3"),
    ]


def test_the_best_epoch_is_the_earliest_of_equal_ones_and_skips_what_is_not_finite() -> None:
    story = begun()
    train(story, 5, None, 3, 3)
    assert story.best() == (3, 3)
    story.goal = "maximize"
    assert story.best() == (1, 5)


def test_only_an_epoch_that_is_not_finite_is_broken() -> None:
    story = begun()
    train(story, 5)
    assert not story.broken()
    train(story, None)
    assert story.broken()
    act(story, "back", to=1)
    assert not story.broken()
