"""The story of one model that a person trains by hand: its epochs, acts and branches.

A story is made by adding the lines of its record one after another, and decides nothing that is not
in them. So what was recorded can be looked at, gone on with, and repeated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hpsearch.errors import UserError
from hpsearch.trial import frozen, plain

Event = dict[str, Any]
"""A line of the record, as plain data: `kind` is start, epoch, act or end."""

Metrics = dict[str, float | None]
"""The figures of an epoch; None for one that is not finite."""


class ActError(UserError):
    """An act that cannot be: nothing was recorded, and the question is asked again."""


@dataclass
class Branch:
    """One way that the training went."""

    number: int
    """From 1, in the order in which they began."""
    parent: int | None
    start: int
    """Epochs that it shares with its parent."""
    kind: str
    """How it began: begin, back or fork."""
    changes: list[dict[str, Any]]
    """What changes when on the whole way, from the first epoch on."""
    metrics: list[Metrics] = field(default_factory=list)
    """Of its own epochs, the first of which is number `start` + 1."""
    seconds: float = 0.0
    left: bool = False
    """Whether the person went back from it, and did not return."""
    ended: bool = False
    """Whether its training came to its end by itself."""

    @property
    def epochs(self) -> int:
        """Epochs on the whole way."""
        return self.start + len(self.metrics)


@dataclass(frozen=True)
class Told:
    """An act, as it is told afterwards."""

    branch: int
    """Where it was done."""
    epoch: int
    text: str
    """As it was typed."""
    result: str = ""
    """What came of it, where the text does not say: the value that *2 came to."""


class Story:
    """What happened so far."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.params: dict[str, Any] = {}
        self.seed = 0
        self.metric, self.goal = "", "minimize"
        self.planned: int | None = None
        """Epochs that the config gives; None where it gives none."""
        self.branches: list[Branch] = []
        self.current = 1
        self.acts: list[Told] = []
        self.events: list[Event] = []
        for event in events:
            self.add(event)

    def __bool__(self) -> bool:
        """Whether it has begun."""
        return bool(self.branches)

    @property
    def branch(self) -> Branch:
        """The one that is trained."""
        return self.at(self.current)

    def at(self, number: int) -> Branch:
        """Return a branch by its number."""
        return self.branches[number - 1]

    @property
    def epoch(self) -> int:
        """Epochs that the present model was trained for."""
        return self.branch.epochs

    @property
    def length(self) -> int | None:
        """After how many epochs its training ends; None where nothing says."""
        return self.length_of(self.branch)

    def length_of(self, branch: Branch) -> int | None:
        """Return after how many epochs a branch ends; None where nothing says."""
        ends = [each["epochs"] for each in branch.changes if "epochs" in each]
        return ends[-1] if ends else self.planned

    @property
    def finished(self) -> bool:
        """Whether the present branch is trained to its end."""
        length = self.length
        return self.branch.ended or (length is not None and self.epoch >= length)

    def path(self, number: int | None = None) -> list[Metrics]:
        """Return the metrics of every epoch on the way of a branch, by default the present one."""
        branch = self.at(self.current if number is None else number)
        before = [] if branch.parent is None else self.path(branch.parent)[: branch.start]
        return before + branch.metrics

    def curve(self, number: int | None = None, metric: str | None = None) -> list[float | None]:
        """Return one metric of every epoch on the way of a branch."""
        name = self.metric if metric is None else metric
        return [each.get(name) for each in self.path(number)]

    def home(self, epoch: int, number: int | None = None) -> int:
        """Return the branch that trained an epoch, from 1, on the way of a branch."""
        branch = self.at(self.current if number is None else number)
        while epoch <= branch.start and branch.parent is not None:
            branch = self.at(branch.parent)
        return branch.number

    def best(self, number: int | None = None) -> tuple[int, float] | None:
        """Return the best epoch on the way of a branch, the earliest of equal ones, and its score.

        None where none has a score.
        """
        curve = self.curve(number)
        known = [(each, i) for i, each in enumerate(curve, start=1) if each is not None]
        if not known:
            return None
        sign = 1 if self.goal == "minimize" else -1
        score, epoch = min(known, key=lambda pair: (sign * pair[0], pair[1]))
        return epoch, score

    def broken(self) -> bool:
        """Tell whether the last epoch diverged, after which only going back makes sense."""
        path = self.path()
        return bool(path) and any(value is None for value in path[-1].values())

    def value(self, name: str) -> Any:
        """Return what a hyperparameter was last changed to on this way, or began with.

        KeyError where neither says.
        """
        for each in reversed(self.branch.changes):
            if name in each:
                return each[name]
        return self.params[name]

    # What is added

    def add(self, event: Event) -> None:
        """Take the next line of the record.

        Raises:
            ActError: an act that cannot be; nothing was changed.
        """
        kind = event["kind"]
        if kind == "start":
            self.params = {name: frozen(value) for name, value in event["params"].items()}
            self.seed, self.planned = event["seed"], event["epochs"]
            self.metric, self.goal = event["metric"], event["goal"]
            self.branches = [Branch(1, None, 0, "begin", [])]
        elif kind == "epoch":
            self.branch.metrics.append(dict(event["metrics"]))
            self.branch.seconds += event["seconds"]
        elif kind == "end":
            self.branch.ended = True
        else:
            self._act(event)
        self.events.append(event)

    def _act(self, event: Event) -> None:
        act, epoch, branch = event["act"], self.epoch, self.branch
        told = Told(self.current, epoch, event["text"], event.get("result", ""))
        if act == "set":
            self._change(epoch, event["name"], frozen(event["value"]))
        elif act == "stop":
            if not epoch:
                raise ActError("there is no epoch yet, so there is nothing to stop")
            self._change(epoch, "epochs", epoch)
        elif act == "back":
            self._back(event["to"])
        elif act == "fork":
            changes = [dict(each) for each in branch.changes]
            if changes and changes[-1]["after"] == epoch:
                changes[-1].pop("epochs", None)  # the other branch stopped here, this one goes on
            changes = [each for each in changes if len(each) > 1]
            self._begin(Branch(0, branch.number, epoch, "fork", changes))
        elif act == "switch":
            number = event["to"]
            last = len(self.branches)
            if not 1 <= number <= last:
                known = "there is only branch 1" if last == 1 else f"there are branches 1 to {last}"
                raise ActError(f"there is no branch {number}: {known}")
            if number == self.current:
                raise ActError(f"this is branch {number} already")
            self.current = number
            self.branch.left = False
        self.acts.append(told)

    def _change(self, epoch: int, name: str, value: Any) -> None:
        changes = self.branch.changes
        if changes and changes[-1]["after"] == epoch:
            changes[-1][name] = value
        else:
            changes.append({"after": epoch, name: value})

    def _back(self, to: int) -> None:
        branch = self.branch
        if to > branch.epochs:
            raise ActError(
                f"there is no epoch {to} to go back to: this branch has {_count(branch.epochs)}"
            )
        changes = [dict(each) for each in branch.changes if each["after"] < to]
        branch.left = True
        self._begin(Branch(0, branch.number, to, "back", changes))

    def _begin(self, branch: Branch) -> None:
        self.branches.append(branch)
        branch.number = self.current = len(self.branches)

    # What it comes to

    def schedule(self) -> list[dict[str, Any]]:
        """Return the changes on the present way as a config says them, up to its last epoch.

        One that ends elsewhere than planned says so with `epochs`.
        """
        epoch = self.epoch
        found = [
            {name: plain(value) for name, value in each.items()}
            for each in self.branch.changes
            if each["after"] < epoch
        ]
        length = self.planned
        for each in found:
            length = each.get("epochs", length)
        if length != epoch and not self.branch.ended:
            found.append({"after": epoch, "epochs": epoch})
        return found

    def on_path(self) -> list[Told]:
        """Return the acts on the present way, those that hold for the model there is."""
        last: dict[int, int] = {}
        branch, end = self.branch, self.branch.epochs
        while True:
            last[branch.number] = end
            if branch.parent is None:
                break
            end = branch.start if branch.kind == "fork" else branch.start - 1
            branch = self.at(branch.parent)
        return [each for each in self.acts if each.epoch <= last.get(each.branch, -1)]


def _count(epochs: int) -> str:
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"
