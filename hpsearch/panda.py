"""One model that a person watches while it trains: nudge it, go back, go on another day.

A line is on disk before what it says is shown or takes effect, so closing the terminal, or killing
anything, loses at most the epoch that is being trained. What is kept beside the record (snapshots)
saves time and decides nothing: without them the same epochs are trained again, to the same bits.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from hpsearch.changed import changed_sources
from hpsearch.child import finite
from hpsearch.config import Config, by_hand_yaml, read_value, settled
from hpsearch.errors import MachineError, UserError, nearest
from hpsearch.nn.changes import CHANGEABLE, FIXED, Changes
from hpsearch.objectives.by_hand import FailedError, Training, check_by_hand
from hpsearch.objectives.mlp import MLP
from hpsearch.objectives.python import PythonFunction
from hpsearch.provenance import session
from hpsearch.runs import check_folder, open_folder
from hpsearch.space import Choice, option_text
from hpsearch.store import LOG, RunFolder
from hpsearch.story import ActError, Event, Metrics, Story
from hpsearch.supervisor import ChildEndedError, TimedOutError
from hpsearch.training import FunctionTraining, training_of
from hpsearch.trial import Params, Result, plain
from hpsearch.yamlfile import dump

MOST_SNAPSHOTS = 200
"""Beyond these the oldest are dropped; going back to one then trains the epochs before it again."""

ACTS = {
    "NAME VALUE": "from the next epoch on: learning_rate 0.003",
    "NAME *NUMBER": "by a factor: learning_rate *2, batch_size /2",
    "back EPOCH": "return to the model as it was when that epoch ended",
    "fork": "keep this branch as it is, go on in a new one",
    "switch BRANCH": "go on with another branch, from its last epoch",
    "stop early": "end here: this is the model",
    "note TEXT": "write something down",
}
"""What a person may do, and what it does."""


@dataclass(frozen=True)
class Beginning:
    """The setting that a training begins with, and where each part of it comes from."""

    params: Params
    seed: int
    origin: Mapping[str, str]


def beginning(
    config: Config, given: Mapping[str, str], earlier: tuple[Config, Result] | None = None
) -> Beginning:
    """Return the setting to begin with: what is given, the best of a run, or the middle.

    Args:
        given: Values as they were typed, by hyperparameter.
        earlier: A run's config and its best trial, whose setting and seed are taken.
    Raises:
        UserError: no such hyperparameter, a value that it cannot have, or no setting at all.
    """
    space = config.space
    settings = config.objective.SETTINGS
    fixed = [each.name for each in fields(settings)] if settings else config.objective.constants
    known = [*dict.fromkeys([*space.entries, *fixed])]
    for name in given:
        if name not in known:
            meant = nearest(name, known)
            hint = f"Did you mean '{meant}'? " if meant else ""
            raise UserError(
                f"--set {name}: the config has no hyperparameter '{name}'\n"
                f"{hint}It has: {', '.join(known) or 'none'}."
            )
    values = {name: read_value(config, name, text) for name, text in given.items()}
    point = dict.fromkeys(space.axes, 0.5)
    origin = {
        name: "the middle of its options" if isinstance(axis, Choice) else "the middle of its scale"
        for name, axis in space.axes.items()
    }
    best: Params = {}
    if earlier is not None:
        before, result = earlier
        best = {**before.objective.constants, **settled(before, result.params)}
        origin |= dict.fromkeys(best, f"trial {result.trial} of {before.name}")
    for name, value in {**best, **values}.items():
        if name in space.axes:  # what others depend on decides whether these are there
            with contextlib.suppress(ValueError, TypeError):
                point[name] = min(1.0, max(0.0, space.axes[name].to_unit(value)))
    if not values and not best and not space.allows(tuple(point.values())):
        raise UserError(
            "the middle of the space breaks a constraint, so it is no setting to begin with\n"
            "Give one with --set NAME=VALUE, or the best of a run with --from RUN."
        )
    params = settled(config, space.params(tuple(point.values())))
    params |= {name: best[name] for name in best if name in params}
    params |= values
    origin |= dict.fromkeys(values, "--set")
    if config.kind == "trainer":
        params.pop("early_stopping", None)  # who watches decides when to stop
    seed = config.training_seed(0) if earlier is None else earlier[1].seed
    return Beginning(params, seed, {name: origin[name] for name in params if name in origin})


def usable(config: Config, params: Params, *, begin: bool = False) -> MLP | PythonFunction:
    """Return the objective, ready to train that setting by hand.

    Args:
        begin: Import a function once, in a process of its own, to find what is wrong with it.
    Raises:
        UserError: it takes no changes while it trains, or the setting cannot be trained.
    """
    try:
        found = check_by_hand(config.objective)
        if begin and isinstance(found, PythonFunction):
            _begin_once(config, found, params)
    except UserError as error:
        if error.has_place:
            raise
        text, _, hint = str(error).partition("\n")
        raise config.document.error(("objective", config.kind), text, hint) from None
    if isinstance(found, MLP):
        given = {**found.constants, **params}
        given.pop("early_stopping", None)
        found = replace(found, constants=given)
        for _, text in found.problems({}):
            raise UserError(text)
    return found


def _begin_once(config: Config, objective: PythonFunction, params: Params) -> None:
    training = FunctionTraining(
        objective,
        params,
        0,
        metric=config.metric_name,
        folder=Path(),
        memory=config.trial.memory_bytes,
        printed=lambda content: None,
    )
    try:
        training.begin()
    except (ChildEndedError, TimedOutError) as error:
        raise UserError(f"importing {objective.target} failed: {error}") from None
    finally:
        training.close()


class Panda:
    """One model in training, with its story.

    Args:
        config: The run's.
        objective: As `usable` returns it.
        story: What happened so far; what happens is added.
        states: The folder for snapshots.
        record: Called with each event before it takes effect.
        own: The folder that a function of the user's is given.
        keep_every: Of the epochs before the last, the multiples of this keep their snapshot.
    """

    def __init__(
        self,
        config: Config,
        objective: MLP | PythonFunction,
        story: Story,
        *,
        states: Path,
        record: Callable[[Event], None],
        own: Path,
        keep_every: int = 1,
    ) -> None:
        self.config, self.objective, self.story = config, objective, story
        self.keep_every = keep_every
        self._states, self._record, self._own = states, record, own
        self._training: Training | None = None
        """None until the next epoch is trained: only then is the model brought to where it is."""

    def compute(self) -> tuple[Metrics | None, float]:
        """Train the next epoch, which nobody hears of before `took`; return figures and seconds.

        None where the training has come to its end by itself. After an exception the same can be
        tried again.

        Raises:
            FailedError: the user's code failed, or its process did.
            StoppedError: `interrupt` was called.
            MachineError: an epoch that is recorded comes to something else.
        """
        try:
            training = self._standing()
            began = time.perf_counter()
            metrics = training.step()
        except BaseException:
            self._leave()
            raise
        if metrics is None:
            return None, 0.0
        return _finite(metrics), time.perf_counter() - began

    def interrupt(self) -> bool:
        """End the epoch that another thread computes; False where that cannot be."""
        training = self._training
        return training is not None and training.interrupt()

    def took(self, metrics: Metrics | None, seconds: float) -> None:
        """Write down what `compute` came to."""
        story = self.story
        branch = story.current
        if metrics is None:
            self._add({"kind": "end", "branch": branch, "epoch": story.epoch})
            return
        epoch = story.epoch + 1
        self._keep(branch, epoch)
        self._add(
            {
                "kind": "epoch",
                "branch": branch,
                "epoch": epoch,
                "metrics": metrics,
                "seconds": round(seconds, 6),
            }
        )

    def step(self) -> None:
        """Train one epoch and write it down."""
        self.took(*self.compute())

    def check(self, event: Event) -> None:
        """Raise ActError for an act that cannot be."""
        Story(self.story.events).add(event)

    def act(self, event: Event) -> None:
        """Do what `read_act` read: it is written down, then it takes effect.

        Raises:
            ActError: it cannot be; nothing was written.
        """
        self.check(event)
        self._add(event)
        if event["act"] in ("back", "switch"):
            self._leave()
        elif self._training is not None:
            self._training.change(self.story.branch.changes)

    def _add(self, event: Event) -> None:
        self._record(event)
        self.story.add(event)

    def _standing(self) -> Training:
        """Return the model at the last epoch of the present branch."""
        if self._training is not None:
            return self._training
        story = self.story
        training = self._training = training_of(
            self.objective,
            story.params,
            story.seed,
            metric=story.metric,
            folder=self._own,
            memory=self.config.trial.memory_bytes,
            printed=self._printed,
        )
        training.change(story.branch.changes)
        for epoch in range(story.epoch, 0, -1):
            path = self._snapshot(story.home(epoch), epoch)
            if path.is_file():
                training.restore(path, epoch)
                if training.epochs == epoch:
                    break
        for epoch, wanted in enumerate(story.path(), start=1):
            if epoch > training.epochs:
                found = training.step()
                check_same(epoch, wanted, None if found is None else _finite(found))
        return training

    def _leave(self) -> None:
        training, self._training = self._training, None
        if training is not None:
            training.close()

    def _printed(self, content: bytes) -> None:
        """Keep what the user's code printed."""
        if content:
            self._own.mkdir(parents=True, exist_ok=True)
            with (self._own / LOG).open("ab") as log:
                log.write(content)

    def _snapshot(self, branch: int, epoch: int) -> Path:
        return self._states / f"{branch:03d}-{epoch:06d}.npz"

    def _keep(self, branch: int, epoch: int) -> None:
        assert self._training is not None
        with contextlib.suppress(OSError):  # a full disk takes time to go back, and nothing else
            self._states.mkdir(exist_ok=True)
            if not self._training.keep(self._snapshot(branch, epoch)):
                return
            if (epoch - 1) % self.keep_every:
                self._snapshot(branch, epoch - 1).unlink(missing_ok=True)
            there = sorted(self._states.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)
            for path in there[:-MOST_SNAPSHOTS]:
                path.unlink()

    def close(self) -> None:
        """Let go of the model."""
        self._leave()


def settings_now(objective: MLP | PythonFunction, story: Story) -> dict[str, Any]:
    """Return the hyperparameters that can be changed, as they hold for the next epoch."""
    changed = {name: value for each in story.branch.changes for name, value in each.items()}
    if isinstance(objective, MLP):
        now = Changes(story.branch.changes).within(objective.settings({}), story.epoch)
        values = asdict(now)
        return {name: values[name] for name in CHANGEABLE}
    values = {**objective.constants, **story.params, **changed}
    return {name: value for name, value in values.items() if name not in ("after", "epochs")}


def _finite(metrics: Mapping[str, float]) -> Metrics:
    return {name: finite(value) for name, value in metrics.items()}


def check_same(epoch: int, wanted: Metrics, found: Metrics | None) -> None:
    """Compare an epoch with the record, bit for bit.

    Raises:
        MachineError: it came to something else.
    """
    if found == wanted:
        return
    if found is None:
        raise MachineError(f"the training ended before epoch {epoch}, which the record has")
    name = next(each for each in {**wanted, **found} if wanted.get(each) != found.get(each))
    raise MachineError(
        f"epoch {epoch} does not repeat: {name} is {found.get(name)!r}, and the record has "
        f"{wanted.get(name)!r}; the code, a library or the machine is another one than when it was "
        "recorded"
    )


# Acts


def read_act(config: Config, objective: MLP | PythonFunction, story: Story, text: str) -> Event:
    """Read an act as a person types it, at the present epoch of a story.

    Raises:
        ActError: it is unknown, or cannot be.
    """
    text = " ".join(text.split())
    word, _, rest = text.partition(" ")
    event: Event = {"kind": "act", "branch": story.current, "epoch": story.epoch, "text": text}
    if word in ("back", "switch"):
        what = "an epoch: back 12" if word == "back" else "a branch: switch 1"
        if not re.fullmatch(r"[0-9]{1,9}", rest):
            raise ActError(f"{word} needs {what}")
        return {**event, "act": word, "to": int(rest)}
    if word == "fork" and not rest:
        return {**event, "act": "fork"}
    if text in ("stop", "stop early"):
        return {**event, "act": "stop"}
    if word in ALONE:
        raise ActError(f"{ALONE[word]} stands alone, and '{rest}' is behind it")
    if word == "note":
        if not rest:
            raise ActError("note needs a text")
        return {**event, "act": "note"}
    match = re.fullmatch(r"([A-Za-z_]\w*)\s*[=:]?\s*([*/]?)\s*(.*)", text)
    if match is None:
        raise _no_act(objective, story, text)
    name, sign, said = match.groups()
    _check_name(objective, story, name)
    if not said:
        raise ActError(f"{name} needs a value: {name} {dump(_now(objective, story, name))}")
    value = _factor(objective, story, name, sign, said) if sign else said
    try:
        value = read_value(config, name, value)
    except UserError as error:
        raise ActError(str(error).replace("\n", ". ")) from None
    _check_value(objective, story, name, value)
    result = {"result": f"{name} {option_text(value)}"} if sign else {}
    return {**event, "act": "set", "name": name, "value": plain(value), **result}


def _now(objective: MLP | PythonFunction, story: Story, name: str) -> Any:
    return plain(settings_now(objective, story).get(name))


def _no_act(objective: MLP | PythonFunction, story: Story, word: str) -> ActError:
    names = [*settings_now(objective, story)]
    words = [each.partition(" ")[0] for each in ACTS if each[0].islower()]
    meant = nearest(word, [*names, *words, *QUIT[:1], "help", "day"])
    hint = f"Did you mean '{meant}'?"
    if meant is None:
        hint = f"Acts: {', '.join(words)}. Hyperparameters: {', '.join(names)}."
    return ActError(f"'{word}' is no act, and no hyperparameter that can change. {hint}")


def _check_name(objective: MLP | PythonFunction, story: Story, name: str) -> None:
    if isinstance(objective, MLP) and name in FIXED:
        raise ActError(f"{name} cannot change while the network trains: {FIXED[name]}")
    if isinstance(objective, PythonFunction) and name == "epochs":
        raise ActError("a function is told its epochs at the beginning; stop early ends it sooner")
    if name not in settings_now(objective, story):
        raise _no_act(objective, story, name)


def _factor(objective: MLP | PythonFunction, story: Story, name: str, sign: str, said: str) -> str:
    """Return the value that a factor makes of the present one, as it would be typed."""
    now = _now(objective, story, name)
    try:
        factor = float(said)
        if isinstance(now, bool) or not isinstance(now, int | float):
            raise ActError(f"{name} is {dump(now)}, so it cannot be multiplied: give a value")
        value = now * factor if sign == "*" else now / factor
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ActError(f"'{sign}{said}' is no factor: {name} *2") from None
    return dump(int(value) if isinstance(now, int) and value.is_integer() else value)


def _check_value(objective: MLP | PythonFunction, story: Story, name: str, value: Any) -> None:
    """Refuse what the data or the other hyperparameters do not allow, or what changes nothing."""
    if not isinstance(objective, MLP):
        return
    epoch = story.epoch
    if name == "epochs" and value <= epoch:
        raise ActError(
            f"epoch {epoch} is trained already: epochs must be larger, and stop early ends here"
        )
    now = {**objective.constants, **settings_now(objective, story)}
    changed = replace(objective, constants={**now, name: value})
    for _, text in changed.problems({}):
        raise ActError(text)
    for _, why in changed.idle({name: (value,)}):
        raise ActError(f"{name} would change nothing: {why.partition(': ')[2] or why}")


# Scripts


@dataclass(frozen=True)
class Line:
    """An act in a script."""

    place: str
    """File and line."""
    epoch: int
    text: str


QUIT = ("quit", "exit", "q")
ALONE = {"fork": "fork", "stop": "stop early", "help": "help", **dict.fromkeys(QUIT, "quit")}
"""Words that nothing may follow, and how they are written."""


def read_script(name: str, text: str) -> list[Line]:
    """Read acts, one a line: `at 10: learning_rate *0.5`.

    Raises:
        UserError: a line that is something else, with its place.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.partition("#")[0] if not re.match(r"\s*at\s+\d+\s*:\s*note\b", line) else line
        if not said.strip():
            continue
        match = re.fullmatch(r"\s*at\s+([0-9]{1,9})\s*:\s*(\S.*?)\s*", said)
        if match is None:
            raise UserError(
                f"{name}:{number}: '{line.strip()}' is no act with its epoch\n"
                "Example: at 10: learning_rate *0.5"
            )
        found.append(Line(f"{name}:{number}", int(match[1]), " ".join(match[2].split())))
    return found


def rehearse(
    config: Config, objective: MLP | PythonFunction, story: Story, script: Sequence[Line]
) -> list[Line]:
    """Check that a script can be played, without training anything; return what is left of it.

    Raises:
        UserError: a line that cannot be done then, or a story that went another way.
    """
    for told, line in zip(story.acts, script, strict=False):
        if (told.epoch, told.text) != (line.epoch, line.text):
            raise UserError(
                f"{line.place}: the script has '{line.text}' at {line.epoch}, and the run has "
                f"'{told.text}' at {told.epoch}\nGo on without --script, or begin anew with --name."
            )
    if len(story.acts) > len(script):
        told = story.acts[len(script)]
        raise UserError(
            f"the run went on after this script, with '{told.text}' at {told.epoch}\n"
            "Go on without --script, or begin anew with --name."
        )
    left = list(script[len(story.acts) :])
    stage = Story(story.events)
    for line in left:
        while stage.epoch < line.epoch:
            if stage.finished:
                raise UserError(
                    f"{line.place}: the training ends at epoch {stage.epoch}, before {line.epoch}"
                )
            fake = {"kind": "epoch", "metrics": {stage.metric: 0.0}, "seconds": 0.0}
            stage.add({**fake, "branch": stage.current, "epoch": stage.epoch + 1})
        if stage.epoch > line.epoch:
            raise UserError(
                f"{line.place}: this branch is at epoch {stage.epoch} by then, beyond {line.epoch}"
            )
        if line.text in QUIT:
            break
        try:
            stage.add(read_act(config, objective, stage, line.text))
        except ActError as error:
            raise UserError(f"{line.place}: {error}") from None
    return left


# Runs


@contextlib.contextmanager
def opened(
    config: Config, folder: RunFolder, start: Beginning, *, keep_every: int
) -> Iterator[tuple[Panda, bool]]:
    """Hold a run in which one model is trained by hand, new or gone on with.

    Yields the model, and whether it is new. The beginning only counts for a new run.

    Raises:
        UserError: the data or the code changed, or the folder is something else.
        MachineError: the record is damaged or cannot be written.
    """
    with folder.claim_acts() as events:
        new = not events
        check_folder(config, folder)
        provenance = open_folder(config, folder)
        if not new:
            refuse_changed(config, provenance, "it cannot go on as it was")
        this = session(1)
        provenance["sessions"].append(this)
        folder.write_provenance(provenance)
        if new:
            epochs = config.objective.epochs(start.params)
            first = {
                "kind": "start",
                "params": {name: plain(value) for name, value in start.params.items()},
                "seed": start.seed,
                "metric": config.metric_name,
                "goal": config.goal,
                "epochs": epochs,
            }
            folder.append_act(first)
            events = [first]
        story = Story(events)
        began = time.monotonic()
        panda = Panda(
            config,
            usable(config, story.params),
            story,
            states=folder.snapshots(),
            record=folder.append_act,
            own=folder.trial_folder(0),
            keep_every=keep_every,
        )
        try:
            yield panda, new
        finally:
            panda.close()
            this["seconds"] = round(time.monotonic() - began, 3)
            this["ended"] = "finished" if story.finished else "quit"
            with contextlib.suppress(MachineError):
                folder.write_provenance(provenance)


def refuse_changed(config: Config, provenance: dict[str, Any], so: str) -> None:
    """Raise UserError where data or code are others than when a run began."""
    before, now = provenance.get("identity", {}).get("data"), config.identity().get("data")
    changed = changed_sources(config, provenance)
    if before != now and not changed:
        changed = ["the data"]
    if changed:
        raise UserError(
            f"{', '.join(changed)} changed since the run {config.name} began, so {so}\n"
            "Put it back as it was, or begin anew with --name."
        )


def replay(config: Config, events: Iterable[Event], watch: Callable[[Story], None]) -> Story:
    """Train all that a record tells once more, each epoch compared bit for bit; write nothing.

    Args:
        config: The run's, with its data.
        events: The record.
        watch: Called after each epoch.
    Raises:
        MachineError: an epoch comes to something else.
    """
    first, *rest = events
    story = Story([first])
    with tempfile.TemporaryDirectory() as folder:
        panda = Panda(
            config,
            usable(config, story.params),
            story,
            states=Path(folder, "states"),
            record=lambda event: None,
            own=Path(folder, "own"),
        )
        with contextlib.closing(panda):
            for event in rest:
                if event["kind"] == "act":
                    panda.act(event)
                    continue
                try:
                    found, seconds = panda.compute()
                except FailedError as error:
                    epoch = story.epoch + 1
                    raise MachineError(f"epoch {epoch} does not repeat: {error}") from None
                if event["kind"] == "end":
                    if found is not None:
                        raise MachineError(f"the training goes on after epoch {event['epoch']}")
                else:
                    check_same(event["epoch"], event["metrics"], found)
                panda.took(found, seconds)
                watch(story)
    return story


def written(config: Config, story: Story, folder: Path) -> str:
    """Write the present branch of a story as a config that trains it again.

    Raises:
        UserError: there is no epoch yet.
    """
    if not story.epoch:
        raise UserError(f"the run {config.name} has no epoch yet, so there is no schedule to write")
    score = story.curve()[-1]
    told = "diverged" if score is None else f"{story.metric} {score:.4g}"
    way = f"branch {story.current} of {len(story.branches)}, {story.epoch} epochs, {told}"
    return by_hand_yaml(
        config,
        story.params,
        story.seed,
        story.schedule(),
        folder,
        title=[
            f"The schedule that the run {config.name} came to by hand: {way}.",
            "It trains that model again, from the same seed, to the same score.",
        ],
    )
