"""What there is to tell of a model that was trained by hand."""

from __future__ import annotations

from hpsearch.report.table import Column, Table, measure_text
from hpsearch.story import Branch, Story


def where_text(story: Story) -> str:
    """Say on one line how far it is, and how good."""
    of = "" if story.length is None else f" of {story.length}"
    parts = [f"epoch {story.epoch}{of}"]
    text = measure_text(story.metric)
    if story.epoch:
        now = story.curve()[-1]
        parts.append("diverged" if now is None else f"{story.metric} {text(now)}")
    best = story.best()
    if best is not None:
        parts.append(f"best {text(best[1])} at epoch {best[0]}")
    if len(story.branches) > 1:
        parts.append(f"branch {story.current} of {len(story.branches)}")
    return ", ".join(parts)


def branches_table(story: Story) -> Table:
    """Return a row for each branch, in the order in which they began."""
    text = measure_text(story.metric)
    columns = (
        Column("branch"),
        Column("began"),
        Column("epochs"),
        Column(story.metric, text),
        Column("best", text),
        Column("best epoch"),
        Column("state"),
    )
    rows = []
    for branch in story.branches:
        curve, best = story.curve(branch.number), story.best(branch.number)
        rows.append(
            (
                branch.number,
                began_text(branch),
                branch.epochs,
                curve[-1] if curve else None,
                best[1] if best else None,
                best[0] if best else None,
                state_text(story, branch),
            )
        )
    return Table(columns, tuple(rows))


def began_text(branch: Branch) -> str:
    """Say where a branch comes from."""
    if branch.parent is None:
        return "at the beginning"
    return f"{branch.kind} at {branch.start} from {branch.parent}"


def state_text(story: Story, branch: Branch) -> str:
    """Say what became of a branch."""
    if branch.number == story.current:
        return "the model" if story.finished else "in training"
    return "left" if branch.left else "kept"


def acts_table(story: Story) -> Table:
    """Return a row for each act, with the score when it was done."""
    text = measure_text(story.metric)
    columns = (
        Column("epoch"),
        Column("branch"),
        Column(story.metric, text),
        Column("act"),
        Column("which is"),
    )
    rows = []
    for told in story.acts:
        curve = story.curve(told.branch)
        score = curve[told.epoch - 1] if 0 < told.epoch <= len(curve) else None
        rows.append((told.epoch, told.branch, score, told.text, told.result or None))
    return Table(columns, tuple(rows))
