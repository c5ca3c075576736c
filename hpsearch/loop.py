"""The loop: what may be suggested, run it, append it, until the budget is spent."""

from __future__ import annotations

import contextlib
import functools
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

from hpsearch.changed import changed_sources
from hpsearch.config import Config
from hpsearch.derived import write_tables
from hpsearch.ending import is_failure
from hpsearch.engines import ENGINES, Engine, Work, Workers
from hpsearch.engines.base import EVERY
from hpsearch.engines.local import Local, core_count
from hpsearch.engines.remote import open_remote
from hpsearch.errors import UserError
from hpsearch.history import History
from hpsearch.objectives import ObjectiveError
from hpsearch.provenance import session
from hpsearch.recorder import Recorder
from hpsearch.runs import check_folder, check_record, open_folder
from hpsearch.scales import Real
from hpsearch.seeds import stream
from hpsearch.standings import Leading, ending_of, keep_outline
from hpsearch.store import RunFolder
from hpsearch.strategies import SEES_NOTHING, Halving, Own, StrategyError
from hpsearch.supervisor import Halt, Supervisor
from hpsearch.trial import Result, Trial

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Watch = Callable[[Result], None]
Begin = Callable[
    [list[Result], Callable[[], Workers | None]], contextlib.AbstractContextManager[Watch]
]


@dataclass(frozen=True)
class Outcome:
    """How a search, or this command's part of it, ended."""

    found: Leading
    """The trials that count; where they are very many, the best of them."""
    new: int
    """How many of them this command ran."""
    reason: str
    """Which limit ended it (trials, epochs, time, patience, failures); `space` when nothing was
    left to try; or `signal`."""
    signal: int | None = None
    """The signal that stopped it."""
    beyond: int = 0
    """Finished trials that do not count, as they lie beyond the trial that ended it."""
    failures: Sequence[Result] = ()
    """The failed trials in a row, where they ended the search."""

    @property
    def results(self) -> Sequence[Result]:
        """The trials that count, by number; where they are very many, the best and some others."""
        return self.found.run.results

    def in_vain(self, folder: RunFolder) -> str | None:
        """Say why the search came to nothing; None for one that was stopped or has a best trial."""
        if self.signal is not None:
            return None
        if self.failures:
            first, count = self.failures[0], len(self.failures)
            return (
                f"{count} trials in a row failed. The first, trial {first.trial}:\n"
                f"{first.message}\n"
                "They stay in the record. When the objective is mended, begin anew with --name, or "
                f"go on after them with budget.failures above {count + self.beyond}."
            )
        if any(result.score is not None for result in self.results):
            return None
        lost = next(iter(self.results), None)
        why = f" Trial {lost.trial} {lost.status}: {lost.message or ''}" if lost else ""
        lines = [f"No trial was complete.{why}"]
        if any(result.status == "diverged" for result in self.results):
            lines.append("Diverged training usually needs a smaller learning_rate.")
        return "\n".join([*lines, f"The record is in {folder.path}/"])


def history_of(config: Config, results: Sequence[Result] = ()) -> History:
    """Return what the strategy of a config may see, with the trials that are there already."""
    sees_nothing = isinstance(config.strategy, SEES_NOTHING)
    endless = any(isinstance(axis, Real) for axis in config.space.axes.values())
    history = History(
        config.goal,
        config.seed,
        config.limit,
        config.earlier,
        keeps=not sees_nothing,
        asks_tried=not (sees_nothing and endless),
    )
    for result in results:
        history.add(result)
    return history


def suggest(config: Config, history: History, order: int) -> Trial | None:
    """Return what is dealt out at place `order`, or None while the strategy waits for a result.

    A pure function of the config, the place and the results that the strategy may see; `history`
    knows all that was dealt out before it, and from now on this one.

    Raises:
        UserError: the user's own strategy fails.
    """
    rng = stream(config.seed, "suggest", order)
    try:
        suggestion = config.strategy.suggest(config.space, history, order, rng)
    except StrategyError as error:
        text, _, hint = str(error).partition("\n")
        raise config.document.error(("method", "python"), text, hint) from None
    if suggestion is None:
        return None
    params, stage = config.space.params(suggestion.point), suggestion.stage
    number = order
    if stage is not None:
        number = history.begun(order) if stage.trial is None else stage.trial
    trial = Trial(number, params, suggestion.point, config.training_seed(number), suggestion.note)
    if stage is not None:
        trial = replace(trial, step=order, start=stage.start, until=stage.until, rung=stage.rung)
    history.name(trial)
    return trial


def search(
    config: Config,
    folder: RunFolder,
    *,
    jobs: int,
    begin: Begin,
    warn: Callable[[str], None],
    may_exit: bool = True,
) -> Outcome:
    """Run the trials that are missing in `folder`, and write its tables.

    Args:
        config: The checked config.
        folder: New, or of an earlier command with the same config.
        jobs: Trials at once; -1 for as many as a cluster has room for.
        begin: Called with the trials that are already there, and with what tells who runs trials;
            gives what to call with each new one.
        warn: Called with sentences worth knowing.
        may_exit: Whether a second Ctrl-C ends this process at once; not where it is a notebook's.
    Raises:
        UserError: the objective cannot be used, the folder belongs to another config, or another
            process is writing it.
        MachineError: the record cannot be written or read, or no worker starts.
    """
    if isinstance(config.strategy, Own):
        suggest(config, history_of(config), 0)  # most mistakes show before anything is written
    with contextlib.closing(Halt()) as halt, contextlib.ExitStack() as stack:

        @functools.cache
        def opened() -> Engine:
            engine = open_engine(config, folder, halt, jobs, warn)
            return stack.enter_context(contextlib.closing(engine))

        if not folder.exists():
            opened()  # what is wrong with the objective shows before anything is written
        return _search(
            config, folder, opened, halt, jobs=jobs, begin=begin, warn=warn, may_exit=may_exit
        )


def open_engine(
    config: Config, folder: RunFolder, halt: Halt, jobs: int, warn: Callable[[str], None]
) -> Engine:
    """Return what runs the trials of a config, with a first child that is ready for them.

    Raises:
        UserError: the objective cannot be used as the config says.
        MachineError: there is no worker that could run it.
    """
    kind = ENGINES[config.run.engine]
    if not kind.place:
        return Local(supervise(config, folder, halt))
    try:
        return open_remote(
            config.run.engine,
            kind.place,
            address=config.run.address,
            count=core_count() if jobs == EVERY else jobs,
            limit=config.run.cluster_seconds,
            kind=config.kind,
            objective=config.objective,
            limits=_limits(config),
            files=config.run.files,
            given=config.space.given,
            places=folder,
            halt=halt,
            warn=warn,
        )
    except ObjectiveError as error:
        raise _at_objective(config, error) from None


def supervise(config: Config, folder: RunFolder, halt: Halt) -> Supervisor:
    """Return what runs the trials of a config here, with a first child that is ready for them.

    Raises:
        UserError: the objective cannot be used as the config says.
    """
    supervisor = Supervisor(
        config.kind,
        config.objective.spec(),
        given=config.space.given,
        **_limits(config),
        places=folder,
        halt=halt,
    )
    try:
        supervisor.warm_up()
    except UserError as error:
        raise _at_objective(config, error) from None
    return supervisor


def _limits(config: Config) -> dict[str, Any]:
    """Return what a supervisor is told of a config, beside the objective."""
    return {
        "names": config.names,
        "metric": config.metric_name,
        "timeout": config.trial.timeout_seconds,
        "memory": config.trial.memory_bytes,
        "repeats": config.trial.repeats,
        "in_steps": config.in_steps,
        "counts": config.budget.epochs is not None,
    }


def _at_objective(config: Config, error: UserError) -> UserError:
    """Say where in the config the objective is that cannot be used."""
    text, _, hint = str(error).partition("\n")
    return config.document.error(("objective", config.kind), text, hint)


def check_objective(config: Config) -> None:
    """Start what would run the trials, and end it again; for the trainer the data were checked.

    Raises:
        UserError: the objective cannot be used as the config says.
    """
    if config.kind == "trainer":
        return
    with contextlib.closing(Halt()) as halt:
        supervise(config, RunFolder(Path(config.name)), halt).close()


def _search(
    config: Config,
    folder: RunFolder,
    opened: Callable[[], Engine],
    halt: Halt,
    *,
    jobs: int,
    begin: Begin,
    warn: Callable[[str], None],
    may_exit: bool,
) -> Outcome:
    """As `search`.

    opened: Gives what runs trials; not called where none is left to run.
    """
    with folder.claim() as record:
        if record.torn:
            warn(
                f"the last line of the record was torn or damaged ({record.torn} bytes) and cut "
                "off: its trial runs again"
            )
        check_folder(config, folder)
        past = time_spent(folder.provenance().get("sessions", []), record.results)
        this = session(jobs)
        before = sorted(record.results, key=lambda result: result.order)
        check_record(config, folder, before)
        loop = _Loop(config, folder, halt, before, jobs, past)
        known = sum(result.order < loop.ending.counted for result in before)
        if loop.ending.reason is None:
            known = len(before)
        engine = opened() if loop.has_more() else None
        provenance = open_folder(config, folder)
        keep_outline(config, folder)
        changed = changed_sources(config, provenance)
        if changed and before:
            warn(f"{', '.join(changed)} changed after the first trials ran; they stay as they are")
        if engine is not None:
            provenance["sessions"].append(this)
            folder.write_provenance(provenance)
            with begin(before, engine.workers) as watch:
                loop.run(engine, watch, may_exit=may_exit)
            this["seconds"] = round(loop.elapsed, 3)
        reason = "signal" if loop.signal else loop.ended or loop.spent or "space"
        if config.in_steps and reason in ("trials", "space"):  # after which none goes on
            for trial in loop.trials:
                folder.drop_states(trial)
        _keep_reason(folder, provenance, reason)
        found = write_tables(config, folder)
    failures = loop.ending.failed_in_a_row if reason == "failures" else ()
    beyond = loop.finished - found.lines
    return Outcome(found, max(found.lines - known, 0), reason, loop.signal, beyond, failures)


def _keep_reason(folder: RunFolder, provenance: dict[str, Any], reason: str) -> None:
    """Write down what ended the search: the record alone does not know when time was over."""
    for last in provenance["sessions"][-1:]:
        if last.get("ended") != reason:
            last["ended"] = reason
            folder.write_provenance(provenance)


class _Loop:
    """One command's part of a search."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        halt: Halt,
        before: list[Result],
        jobs: int,
        past: float,
    ) -> None:
        self.config, self.folder = config, folder
        self.engine: Engine | None = None
        """What runs trials; None before it is known that one is left to run."""
        limit = None if config.in_steps else config.limit
        self.jobs = jobs
        if limit is not None and jobs != EVERY:
            self.jobs = max(1, min(jobs, limit - len(before)))
        self.finished = len(before)
        """Lines of the record, with those that earlier commands added."""
        self.trials = {result.trial for result in before} if config.in_steps else set[int]()
        self.ending = ending_of(config)
        for result in before:
            self.ending.add(result)
        self.history = history_of(config, before)
        self.done = {result.order for result in before}
        self.next = 0
        self.spent: str | None = None
        """The limit that lets nothing more be dealt out; what runs still counts."""
        self.epochs: dict[int, int] = {}
        """Epochs of each trial or step, those of a running one at most; only if the budget asks."""
        if config.budget.epochs is not None:
            self.epochs = {result.order: epochs_of(result) for result in before}
        self.all_epochs = sum(self.epochs.values())
        self.whole = config.strategy.max if isinstance(config.strategy, Halving) else None
        self.waiting: Trial | None = None
        """What is dealt out next, as soon as budget.epochs is known to have room for it."""
        self.broken: UserError | None = None
        self.again: list[Result] = []
        self.failed_in_a_row = 0
        """Failures since the last success, in the order in which trials finished."""
        self.halt = halt
        self.signal: int | None = None
        self.past = past
        self._start_clock()

    def _start_clock(self) -> None:
        self.started = time.monotonic()
        seconds = self.config.budget.seconds
        self.deadline = None if seconds is None else self.started + seconds - self.past

    def has_more(self) -> bool:
        """Tell whether a trial can be dealt out; with budget.epochs, whether one may be.

        A mistake in the user's own strategy counts as one: `run` raises it.
        """
        if self.ended is not None:
            return False
        return next(self._ready(), None) is not None or self.broken is not None

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

    def run(self, engine: Engine, watch: Watch, *, may_exit: bool) -> None:
        """Run trials until a limit is reached or nothing is left to try."""
        self.engine = engine
        self._start_clock()
        engine.deadline = self.deadline
        with _signals(self._stop_or_exit if may_exit else self._stop):
            recorder = Recorder(
                self.folder,
                lambda result: self._announce(result, watch),
                self.halt.set,
                each=self.config.run.sync == "each",
            )
            try:
                while self.ended is None and self.spent is None and not self.halt.is_set():
                    before = self.finished
                    self.failed_in_a_row = 0
                    self._run(recorder, self._ready(), self.jobs)
                    while self.again and self.ended is None and not self.halt.is_set():
                        # Alone: a trial that ran out of memory beside another may fit by itself.
                        self._run(recorder, self._lost(), 1)
                    if self.broken is not None:
                        raise self.broken
                    if self.finished == before:
                        break
            finally:
                self.halt.set()
                recorder.close()

    def _stop_or_exit(self, number: int) -> None:
        if number == self.signal == signal.SIGINT:  # twice: the record is on disk, so just go
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # the live display hides the cursor
            os._exit(128 + number)
        self._stop(number)

    def _stop(self, number: int) -> None:
        self.signal = number if self.signal is None else self.signal
        self.halt.set()

    def _run(self, recorder: Recorder, work: Iterator[Work | None], jobs: int) -> None:
        assert self.engine is not None
        stream_of_results = self.engine.run(work, jobs)
        try:
            for result in stream_of_results:
                if result is None:
                    continue
                if result.status == "crashed" and result.attempts <= self.config.trial.retries:
                    self.again.append(result)
                    continue
                recorder.put(result)
                kept = result
                if any(len(values) > 1 for values in result.curve.values()):
                    kept = replace(result, curve={})  # it is on disk, and large
                self.finished += 1
                if self.config.in_steps:
                    self.trials.add(kept.trial)
                self._count(kept.order, epochs_of(kept))
                self.ending.add(kept)
                self.history.add(kept)
                self.failed_in_a_row = self.failed_in_a_row + 1 if is_failure(result) else 0
        except BaseException:
            self.halt.set()
            with contextlib.suppress(Exception):
                for _ in stream_of_results:  # let the supervisors end their children
                    pass
            raise

    def _announce(self, result: Result, watch: Watch) -> None:
        """Tell of a result that is on disk."""
        if self.config.in_steps and (result.score is None or result.budget == self.whole):
            self.folder.drop_states(result.trial)
        watch(result)

    def _lost(self) -> Iterator[Work | None]:
        """Yield the trials whose process died, for another attempt with the same seed."""
        lost, self.again = self.again, []
        for result in lost:
            yield self.history.named(result.order), result.budget, result.attempts + 1

    def _ready(self) -> Iterator[Work | None]:
        """Yield the trials to run next; None while only another result can tell which."""
        limit, in_steps = self.config.limit, self.config.in_steps
        while True:
            if self.halt.is_set() or self.ended or self.again:
                return  # a lost trial runs first: nothing after it counts before it is known
            if limit is not None and not in_steps and self.next >= limit:
                return
            horizon = self.ending.horizon
            if horizon is not None and self.next > horizon:
                yield None  # whether it is needed shows when the running ones have finished
                continue
            if self.failed_in_a_row >= self.config.budget.failures:
                yield None  # a broken objective fails fast, while the first trial may still run
                continue
            order = self.next
            if order in self.done:
                self.done.discard(order)
                self.next += 1
                continue
            known = self.history.known(order)
            if self.waiting is None:
                try:
                    self.waiting = suggest(self.config, self.history, order)
                except UserError as error:
                    self.broken = error  # `run` raises it when the running trials have finished
                    return
            if (trial := self.waiting) is None:
                if known and in_steps and limit is not None and self.history.begun(order) >= limit:
                    self.spent = "trials"
                    return
                yield None
                continue
            epochs = trial.until
            if epochs is None:
                epochs = self.config.objective.epochs(self.config.space.given(trial.params))
            if not self._affords(order, trial, epochs):
                if known:
                    self.spent = "epochs"
                    return
                yield None
                continue
            if self.engine is not None:
                self.waiting = None
                self.next += 1
            yield trial, epochs, 1

    def _affords(self, order: int, trial: Trial, epochs: int | None) -> bool:
        """Tell whether budget.epochs leaves room for a step, and keep what it may take.

        Only steps before it count, whatever an earlier command ran after it. While one of them
        runs, its epochs count in full: it then waits for what that really took.
        """
        most = self.config.budget.epochs
        if most is None or epochs is None:
            return True
        if self.engine is None:  # it may be able to go on from where the last step ended
            wanted = (epochs - trial.start) * self.config.trial.repeats
        else:
            wanted = self.engine.planned(trial, epochs)
        later = 0
        if self.all_epochs + wanted > most:  # seldom: else there is no need to look closer
            later = sum(each for place, each in self.epochs.items() if place > order)
        fits = self.all_epochs - later + wanted <= most
        if fits and self.engine is not None:
            self._count(order, wanted)
        return fits

    def _count(self, order: int, epochs: int) -> None:
        if self.config.budget.epochs is None:
            return
        self.all_epochs += epochs - self.epochs.get(order, 0)
        self.epochs[order] = epochs


def epochs_of(result: Result) -> int:
    """Return the epochs that a result took; where they were not counted, those it was allowed."""
    return (result.budget or 0) if result.epochs is None else result.epochs


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
