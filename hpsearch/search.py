"""The loop: what may be suggested, run it, append it, until the budget is spent."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from hpsearch.config import Config, best_yaml, load_config
from hpsearch.ending import Ending
from hpsearch.errors import MachineError, UserError
from hpsearch.provenance import describe, session
from hpsearch.report import FORMATS, Run, csv_text, leaderboard, trials_table
from hpsearch.runner import Work, run_trials
from hpsearch.seeds import stream, trial_seed
from hpsearch.store import BEST, CONFIG, LEADERBOARD, PROVENANCE, TABLE, RunFolder
from hpsearch.supervisor import Halt, Supervisor
from hpsearch.trial import Result, Trial, ranked
from hpsearch.yamlfile import dump

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Watch = Callable[[Result], None]


@dataclass(frozen=True)
class Outcome:
    """How a search, or this command's part of it, ended."""

    results: list[Result]
    """The trials that count, by number."""
    new: int
    """How many of them this command ran."""
    reason: str
    """Which limit ended it (trials, time, patience, failures), or `signal`."""
    signal: int | None = None
    """The signal that stopped it."""
    beyond: int = 0
    """Finished trials that do not count, as they lie beyond the trial that ended it."""
    failures: Sequence[Result] = ()
    """The failed trials in a row, where they ended the search."""


def suggest(config: Config, results: Sequence[Result], number: int) -> Trial | None:
    """Return trial `number`, or None while the strategy waits for a result.

    A pure function of the config, the number and the results that the strategy may see.
    """
    rng = stream(config.seed, "suggest", number)
    point = config.strategy.suggest(config.space, results, number, rng)
    if point is None:
        return None
    fixed = config.trial.seed
    seed = trial_seed(config.seed, number) if fixed is None else fixed
    return Trial(number, config.space.params(point), point, seed)


def run_of(config: Config, results: Sequence[Result]) -> Run:
    """Return what a leaderboard needs to know of a run."""
    metric = config.metric
    return Run(
        config.name, config.metric_name, config.goal, metric.optimal_error, config.space, results
    )


def counted(config: Config, results: Sequence[Result]) -> list[Result]:
    """Leave out the trials that ran beyond the one at which the budget ended the search."""
    ending = _ending(config)
    for result in results:
        ending.add(result)
    if ending.reason is None:
        return list(results)
    return [result for result in results if result.trial < ending.counted]


def _ending(config: Config) -> Ending:
    budget = config.budget
    return Ending(config.goal, budget.limit, budget.patience, budget.failures)


def load_run(folder: RunFolder, name: str | None = None, *, with_data: bool = True) -> Config:
    """Read the config of a run, which finds its data where the original did.

    name: The run's name instead of its folder's.

    with_data: False to leave the data unread: a report needs none.

    Raises:
        UserError: the data are gone, or the config was damaged.
    """
    provenance = folder.provenance()
    where = Path(provenance["config"]["folder"]) if provenance else folder.path
    config = load_config(folder.path / CONFIG, name or folder.name, where, with_data=with_data)
    recorded = provenance["identity"].get("parameters") if provenance else None
    if name is None and recorded not in (None, config.identity()["parameters"]):
        changes = _differences(recorded, config.identity()["parameters"], "parameters")
        listed = "\n".join(f"    {change}" for change in changes)
        raise UserError(
            f"{folder.path / CONFIG} was changed after its trials ran:\n{listed}\n"
            "Put it back as it was, or run the changed file under another name."
        )
    return config


def open_config(path: Path, name: str | None = None) -> Config:
    """Read a config file; one that lies in its run's folder finds its data where the run did.

    Raises:
        UserError: anything wrong with the file or its data, with the place.
    """
    itself = RunFolder(path.absolute().parent)
    if path.name == CONFIG and itself.has_record():
        return load_run(itself, name)
    return load_config(path, name)


def search(
    config: Config,
    folder: RunFolder,
    *,
    jobs: int,
    begin: Callable[[list[Result]], contextlib.AbstractContextManager[Watch]],
    warn: Callable[[str], None],
) -> Outcome:
    """Run the trials that are missing in `folder`, and write its tables.

    Args:
        config: The checked config.
        folder: New, or of an earlier command with the same config.
        jobs: Trials at once.
        begin: Called with the trials that are already there; gives what to call with each new one.
        warn: Called with sentences worth knowing.
    Raises:
        UserError: the objective cannot be used, the folder belongs to another config, or another
            process is writing it.
        MachineError: the record cannot be written or read, or no worker starts.
    """
    with (
        contextlib.closing(Halt()) as halt,
        contextlib.closing(supervise(config, folder, halt)) as supervisor,
    ):
        return _search(config, folder, supervisor, halt, jobs=jobs, begin=begin, warn=warn)


def supervise(config: Config, folder: RunFolder, halt: Halt) -> Supervisor:
    """Return what runs the trials of a config, with a first child that is ready for them.

    Raises:
        UserError: the objective cannot be used as the config says.
    """
    supervisor = Supervisor(
        config.kind,
        config.objective.spec(),
        names=config.names,
        metric=config.metric_name,
        timeout=config.trial.timeout_seconds,
        memory=config.trial.memory_bytes,
        places=folder,
        halt=halt,
    )
    try:
        supervisor.warm_up()
    except UserError as error:
        text, _, hint = str(error).partition("\n")
        place = ("objective", config.kind)
        raise config.document.error(place, text, hint) from None
    return supervisor


def _search(
    config: Config,
    folder: RunFolder,
    supervisor: Supervisor,
    halt: Halt,
    *,
    jobs: int,
    begin: Callable[[list[Result]], contextlib.AbstractContextManager[Watch]],
    warn: Callable[[str], None],
) -> Outcome:
    with folder.claim() as record:
        if record.torn:
            warn(
                f"the last line of the record was torn or damaged ({record.torn} bytes) and cut "
                "off: its trial runs again"
            )
        provenance = _open(config, folder)
        changed = _changed_sources(config, provenance)
        if changed and record.results:
            warn(f"{', '.join(changed)} changed after the first trials ran; they stay as they are")
        past = time_spent(provenance["sessions"], record.results)
        this = session(jobs)
        before = sorted(record.results, key=lambda result: result.trial)
        _check_record(config, folder, before)
        loop = _Loop(config, folder, supervisor, halt, before, jobs, past)
        if loop.ended is None:
            provenance["sessions"].append(this)
            folder.write_provenance(provenance)
            with begin(before) as watch:
                loop.run(watch)
            this["seconds"] = round(loop.elapsed, 3)
            folder.write_provenance(provenance)
        results = counted(config, sorted(loop.results, key=lambda result: result.trial))
        write_tables(config, folder, results)
    reason = "signal" if loop.signal else loop.ended or "trials"
    new = len(results) - len(counted(config, before))
    failures = loop.ending.failed_in_a_row if reason == "failures" else ()
    beyond = len(loop.results) - len(results)
    return Outcome(results, max(new, 0), reason, loop.signal, beyond, failures)


class _Loop:
    """One command's part of a search."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        supervisor: Supervisor,
        halt: Halt,
        before: list[Result],
        jobs: int,
        past: float,
    ) -> None:
        self.config, self.folder, self.supervisor = config, folder, supervisor
        limit = config.budget.limit
        self.jobs = jobs if limit is None else max(1, min(jobs, limit - len(before)))
        self.results = [replace(result, curve={}) for result in before]
        self.ending = _ending(config)
        for result in before:
            self.ending.add(result)
        self.done = {result.trial for result in before}
        self.again: list[Result] = []
        self.halt = halt
        self.signal: int | None = None
        self.past, self.started = past, time.monotonic()
        seconds = config.budget.seconds
        self.deadline = None if seconds is None else self.started + seconds - past

    @property
    def elapsed(self) -> float:
        """Seconds since this command began the search."""
        return time.monotonic() - self.started

    @property
    def ended(self) -> str | None:
        """The limit that was reached, if any."""
        if self.ending.reason:
            return self.ending.reason
        late = self.deadline is not None and time.monotonic() >= self.deadline
        return "time" if late else None

    def run(self, watch: Watch) -> None:
        """Run wave after wave of trials: all that the strategy can name by now."""
        with _signals(self._stop):
            try:
                while self.ended is None and not self.halt.is_set():
                    before = len(self.results)
                    self._wave(watch, self._ready(), self.jobs)
                    while self.again and self.ended is None and not self.halt.is_set():
                        # Alone: a trial that ran out of memory beside another may fit by itself.
                        self._wave(watch, self._lost(), 1)
                    if len(self.results) == before:
                        break
            finally:
                self.halt.set()

    def _stop(self, number: int) -> None:
        if (
            number == signal.SIGINT and self.signal == number
        ):  # Ctrl-C twice: the record is on disk, so go
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # the live display hides the cursor
            os._exit(128 + number)
        self.signal = number if self.signal is None else self.signal
        self.halt.set()

    def _wave(self, watch: Watch, work: Iterator[Work], jobs: int) -> None:
        stream_of_results = run_trials(work, self.supervisor, jobs)
        try:
            for result in stream_of_results:
                if result is None:
                    continue
                if result.status == "crashed" and result.attempts <= self.config.trial.retries:
                    self.again.append(result)
                    continue
                self.folder.append(result)
                self.results.append(replace(result, curve={}))  # curves are on disk, and large
                self.ending.add(result)
                watch(result)
        except BaseException:
            self.halt.set()
            with contextlib.suppress(Exception):
                for _ in stream_of_results:  # let the supervisors end their children
                    pass
            raise

    def _lost(self) -> Iterator[Work]:
        """Yield the trials whose process died, for another attempt with the same seed."""
        lost, self.again = self.again, []
        for result in lost:
            trial = Trial(result.trial, result.params, result.unit, result.seed)
            yield trial, result.budget, result.attempts + 1

    def _ready(self) -> Iterator[Work]:
        """Yield the trials to run next; joblib reads this from a thread of its own."""
        seen = tuple(self.results)
        number, limit = 0, self.config.budget.limit
        while limit is None or number < limit:
            if self.halt.is_set() or self.ended or self.again:
                return  # a lost trial runs first: nothing after it counts before it is known
            if number not in self.done:
                trial = suggest(self.config, seen, number)
                if trial is None:
                    return
                self.done.add(number)
                yield trial, self.config.objective.epochs(trial.params), 1
            number += 1


@contextlib.contextmanager
def _signals(stop: Callable[[int], None]) -> Iterator[None]:
    """Let signals ask for a stop; the search ends between two trials, never inside a write."""

    def handle(number: int, frame: FrameType | None) -> None:
        stop(number)

    before: dict[int, Any] = {}
    with contextlib.suppress(ValueError):  # only the main thread may handle signals
        for each in SIGNALS:
            if signal.getsignal(each) is not signal.SIG_IGN:  # as under nohup
                before[each] = signal.signal(each, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _open(config: Config, folder: RunFolder) -> dict[str, Any]:
    """Make the folder this config's, or make sure that it is; return its provenance."""
    provenance = folder.provenance()
    if not folder.exists():
        provenance = describe(config)
        folder.write_provenance(provenance)
        folder.write(CONFIG, config.document.raw)  # last: a folder with a config is a run
        return provenance
    if "identity" not in provenance:
        raise MachineError(
            f"{folder.path / PROVENANCE} is missing or damaged, so it cannot be told whether the "
            "run belongs to this config; restore it, or choose another name with --name"
        )
    changes = list(_differences(provenance["identity"], config.identity()))
    if changes:
        listed = "\n".join(f"    {change}" for change in changes[:10])
        more = f"\n    and {len(changes) - 10} more" if len(changes) > 10 else ""
        raise UserError(
            f"{folder.path} holds a run of a different config:\n{listed}{more}\n"
            "Choose another name with --name, or delete that folder if you no longer need it."
        )
    if (folder.path / CONFIG).read_bytes() != config.document.raw:
        fresh = describe(config)
        provenance["config"] = fresh["config"]
        folder.write(CONFIG, config.document.raw)
    return provenance


def _check_record(config: Config, folder: RunFolder, results: Sequence[Result]) -> None:
    """Raise MachineError when the record holds the trials of another config."""
    for result in results:
        fixed = config.trial.seed
        seed = trial_seed(config.seed, result.trial) if fixed is None else fixed
        if result.seed != seed or result.params.keys() != config.space.axes.keys():
            raise MachineError(
                f"{folder.path}: trial {result.trial} of the record belongs to another config; "
                "nothing was changed"
            )


def time_spent(sessions: list[dict[str, Any]], results: Sequence[Result]) -> float:
    """Return the seconds that earlier commands searched.

    One that was killed could not say how long; it lasted until its last trial ended, at least.
    """
    starts = [datetime.fromisoformat(each["started"]) for each in sessions]
    ends = [
        datetime.fromisoformat(result.started) + timedelta(seconds=result.seconds)
        for result in results
    ]
    spent = 0.0
    for i, start in enumerate(starts):
        following = starts[i + 1] if i + 1 < len(starts) else datetime.max.replace(tzinfo=UTC)
        last = max((end for end in ends if start <= end < following), default=start)
        spent += max(sessions[i].get("seconds", 0.0), (last - start).total_seconds())
    return spent


def _changed_sources(config: Config, provenance: dict[str, Any]) -> list[str]:
    """Return the files that results depend on and that are others than when the run began."""
    before = provenance.get("sources", {})
    now = config.objective.sources()
    return [name for name, content in now.items() if before.get(name, content) != content]


def _differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Yield `place: old -> new` for every part in which two plain values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            inner = f"{place}.{key}".lstrip(".")
            if inner == "data.sha256" and old.get(key) != new.get(key):
                yield "the data file has changed since the run began"
            elif inner != "order" or old.get("parameters") == new.get("parameters"):
                yield from _differences(old.get(key), new.get(key), inner)
    elif old != new:
        yield f"{place}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = "not there" if value is None else dump(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def measured_on(folder: RunFolder) -> dict[str, Any]:
    """Return what is known of the data that a run was measured on; empty without any."""
    identity = folder.provenance().get("identity")
    data = identity.get("data") if isinstance(identity, dict) else None
    return data if isinstance(data, dict) else {}


def best_of_parent(config: Config, folder: RunFolder) -> tuple[str, int, float] | None:
    """Return the name, best trial and best score of the run that a run refines, if it is there."""
    parent = RunFolder(folder.path.parent / config.parent) if config.parent else None
    if parent is None or not parent.exists() or not config.space.axes:
        return None
    measured = parent.provenance().get("identity", {}).get("metric")
    if measured != {"name": config.metric_name, "goal": config.goal}:
        return None
    best = ranked(parent.results(), config.goal)[:1]
    if not best or best[0].score is None:
        return None
    return parent.name, best[0].trial, best[0].score


def changed_since_parent(config: Config, folder: RunFolder) -> list[str]:
    """Return the files that are others than when the run that this one comes from began."""
    if not config.parent:
        return []
    sources = RunFolder(folder.path.parent / config.parent).provenance().get("sources", {})
    before = {Path(name).name: content for name, content in sources.items()}
    now = {Path(name).name: content for name, content in config.objective.sources().items()}
    return [name for name, content in now.items() if before.get(name, content) != content]


def write_tables(config: Config, folder: RunFolder, results: list[Result]) -> None:
    """Write every file of the run folder that is made from the record."""
    constants = dict(config.constants)
    table = csv_text(trials_table(config.space, constants, results))
    folder.write(TABLE, table + "\n")
    folder.write(LEADERBOARD, leaderboard_page(config, results))
    best = ranked(results, config.goal)[:1]
    if not best or best[0].score is None:
        folder.remove(BEST)
    else:
        text = best_yaml(config, best[0], folder.path, len(results))
        folder.write(BEST, text)


def leaderboard_page(config: Config, results: list[Result]) -> str:
    """Write leaderboard.md."""
    run = run_of(config, results)
    lines = [
        f"# Leaderboard of {config.name}",
        "",
        f"{len(results)} trials, seed {config.seed}, ranked by {config.metric_name} "
        f"({config.goal}).",
        "",
        FORMATS["markdown"](leaderboard([run])),
        "",
        LUCK,
    ]
    return "\n".join(lines) + "\n"


LUCK = (
    "The best of many trials is partly luck on the dev set: expect it to do a little worse on new "
    "data."
)
