"""The engine of a cluster: gives trials to workers, and lives through what becomes of them.

The process that searches decides everything: which worker runs which trial, when one counts as
lost, and that its trial then runs again. The cluster calls functions and is asked who is there.
All that is decided here happens in the thread that asks for results; what comes in from other
threads waits in a queue.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import importlib
import math
import os
import platform
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hpsearch.engines import worker
from hpsearch.engines.base import EVERY, Cluster, LostError, Work, Workers
from hpsearch.engines.shipping import NOTHING, pieces, shipment_of
from hpsearch.engines.worker import Answer, Request, Setup
from hpsearch.errors import MachineError, UserError
from hpsearch.objectives import Objective, ObjectiveError
from hpsearch.objectives.command import Command
from hpsearch.objectives.python import PythonFunction
from hpsearch.runner import Pace, next_ones, shared
from hpsearch.store import RunFolder
from hpsearch.supervisor import START_LIMIT, Halt
from hpsearch.trial import Params, Result, Trial, numbers_text

TICK = 0.1
"""Seconds between two looks at the clock, and at whether the search was halted."""
PULSE = 2.0
"""Seconds between two words to each worker; more where there are hundreds."""
MOST_CONNECT = 20.0
"""Seconds an address may take to answer, if run.cluster_timeout allows so many."""
MOST_STOP = 3.0
"""Seconds in which halted trials may still give their results."""
LOSSES = 3
"""Workers that may be lost while they run a trial before it is taken for the cause."""
SHORT = 0.01
"""Seconds of a trial below which a worker is given several at once: a call costs milliseconds."""

Steps = Generator[Future[Any], Any, None]
"""Calls to a worker, one after another: yields the future of one, is sent what it gave."""


@dataclass(eq=False)
class _Worker:
    """A worker, as this search knows it."""

    name: str
    slots: int
    host: str
    heard: float
    """When it last answered, by time.monotonic."""
    stage: str = "new"
    """new, alike (in versions), started (knows the search), ready (for trials), or refused."""
    shares: bool = False
    """Whether it has the run's disk."""
    batches: list[_Batch] = field(default_factory=list)
    """What it was given and has not answered, the first given first."""
    asked: bool = False
    """Whether an answer to a ping is awaited."""
    answered: bool = False
    """Whether there ever was one."""


@dataclass(eq=False)
class _Task:
    """A trial that is running, or is to run again."""

    trial: Trial
    epochs: int | None
    attempt: int
    losses: int = 0
    """Workers that were lost while they ran it and no other trial."""


@dataclass(eq=False)
class _Batch:
    """Trials that a worker was given, to run one after another."""

    tasks: Sequence[_Task]
    began: float
    """When it was given them, or gave its last answer since."""
    future: Future[Any]


class Remote:
    """As `engines.base.Engine`, on the workers of a cluster."""

    def __init__(
        self,
        engine: str,
        cluster: Cluster,
        setup: Setup,
        *,
        given: Callable[[Params], Params],
        places: RunFolder,
        halt: Halt,
        warn: Callable[[str], None],
    ) -> None:
        self.deadline: float | None = None
        self._engine, self._cluster, self._setup = engine, cluster, setup
        self._given, self._places, self._halt, self._warn = given, places, halt, warn
        self._limit = setup.lease
        self._timeout: float | None = setup.limits["timeout"]
        self._repeats: int = setup.limits["repeats"]
        self._resumes = False
        self._known: dict[str, _Worker] = {}
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._again: deque[_Task] = deque()
        self._results: deque[Result] = deque()
        self._sending: dict[str, str] = {}
        """Which worker of each machine is being sent files."""
        self._mistake: str | None = None
        self._reason = self._differs = ""
        """Why the last worker that cannot be used cannot; the last whose versions differ."""
        self._mark: int | None = None
        """Of the run's folder, once it is there."""
        self._answered = time.monotonic()
        """When a worker that can be used last answered."""
        self._closed = threading.Event()
        self._pulse = threading.Thread(target=self._beat, daemon=True)

    # What a search asks for

    def warm_up(self) -> None:
        """Wait for a first worker that is ready for trials.

        Raises:
            ObjectiveError: the objective cannot be used as the config says.
            MachineError: no worker is there in time, or one differs in what results depend on.
        """
        self._pulse.start()
        begun = time.monotonic()
        while not self._halt.is_set():
            self._turn()
            stages = [each.stage for each in self._known.values()]
            if self._mistake is not None:
                raise ObjectiveError(self._mistake)
            if self._differs or (stages and set(stages) == {"refused"}):
                raise MachineError(self._differs or self._reason)
            compared = "new" not in stages or time.monotonic() - begun > MOST_CONNECT
            if "started" in stages and compared:
                return

    def planned(self, trial: Trial, epochs: int) -> int:
        """As Engine."""
        return (epochs - (trial.start if self._resumes else 0)) * self._repeats

    def workers(self) -> Workers:
        """As Engine."""
        known = [each for each in list(self._known.values()) if each.stage == "ready"]
        running = {
            each.name: tuple(
                task.trial.number for batch in list(each.batches) for task in batch.tasks
            )
            for each in known
        }
        return Workers(self._engine, len(known), running)

    def run(self, work: Iterable[Work | None], jobs: int) -> Iterator[Result | None]:
        """As Engine; all of it happens in the thread that asks for the next result.

        None in `work` says that nothing more can be known before another result comes in.
        """
        if self._mark is None:
            self._mark = self._places.mark()
            for each in list(self._known.values()):
                self._begin(each)
        source, pace = iter(work), Pace(SHORT)
        while True:
            while self._results:
                result = self._results.popleft()
                pace.add(result)
                yield result
            if self._halt.is_set():
                yield from self._halted()
                return
            self._deal_out(source, pace, jobs)
            if not self._again and not self._is_running():
                if (given := next(source, None)) is None:
                    return
                self._again.append(_Task(*given))  # there is no worker for it yet
            self._turn()

    def close(self) -> None:
        """As Engine."""
        self._halt.set()
        self._closed.set()
        stops = [
            self._cluster.call(each.name, worker.stop, self._setup.session, beside=True)
            for each in self._known.values()
            if each.stage in ("started", "ready")
        ]
        deadline = time.monotonic() + MOST_STOP
        for each in stops:
            with contextlib.suppress(Exception):
                each.result(max(0.0, deadline - time.monotonic()))
        self._cluster.close()

    # Giving trials to workers

    def _is_running(self) -> bool:
        return any(each.batches for each in self._known.values())

    def _deal_out(self, source: Iterator[Work | None], pace: Pace, jobs: int) -> None:
        """Give workers what they have room for; what ran before and was lost runs alone."""
        places = deque(self._room(jobs, pace.depth))
        while places and self._again:
            self._send([self._again.popleft()], places.popleft())
        tasks = [_Task(*each) for each in next_ones(source, len(places) * pace.size)]
        for batch, to in zip(shared(tasks, len(places)), places, strict=False):
            self._send(batch, to)

    def _room(self, jobs: int, depth: int) -> Iterator[_Worker]:
        """Yield the worker of each batch that can be given now, those with the least first.

        depth: How many batches a worker has for each of its slots at most.
        """
        ready = [each for each in self._known.values() if each.stage == "ready"]
        at_once = sum(min(each.slots, len(each.batches)) for each in ready)
        most = math.inf if jobs == EVERY else jobs
        heap = [(len(each.batches) / each.slots, i) for i, each in enumerate(ready)]
        heapq.heapify(heap)
        while heap:
            load, i = heapq.heappop(heap)
            waits = load >= 1  # behind another one, so it adds nothing to what runs at once
            if load >= depth or (not waits and at_once >= most):
                continue
            at_once += not waits
            yield ready[i]
            heapq.heappush(heap, (load + 1 / ready[i].slots, i))

    def _send(self, tasks: Sequence[_Task], to: _Worker) -> None:
        left = None if self.deadline is None else self.deadline - time.monotonic()
        request = Request(
            [
                (
                    replace(task.trial, params=self._given(task.trial.params)),
                    task.epochs,
                    task.attempt,
                )
                for task in tasks
            ],
            left,
            {
                task.trial.number: self._places.trial_files(task.trial.number)
                for task in tasks
                if task.trial.start > 0 and not to.shares
            },
        )
        future = self._cluster.call(to.name, worker.run, self._setup.session, request)
        batch = _Batch(tasks, time.monotonic(), future)
        to.batches.append(batch)
        self._when_done(future, lambda done: self._came_back(batch, to, done))

    def _when_done(self, future: Future[Any], then: Callable[[Future[Any]], None]) -> None:
        future.add_done_callback(lambda done: self._events.put(lambda: then(done)))

    def _came_back(self, batch: _Batch, by: _Worker, future: Future[Any]) -> None:
        """Take the answer to trials, unless they were given up: then they run elsewhere."""
        if batch not in by.batches:
            return
        if future.cancelled() or isinstance(future.exception(), LostError):
            self._give_up(by)
            return
        by.batches.remove(batch)
        for each in by.batches:
            each.began = time.monotonic()
        error = future.exception()
        answer = Answer(broken=_sentence(error)) if error else future.result()
        for result, task in zip(answer.results, batch.tasks, strict=False):
            self._results.append(replace(result, params=task.trial.params))
        self._keep_files(answer, by)
        without = batch.tasks[len(answer.results) :]
        if self._halt.is_set() or not without:
            return
        self._again.extend(without)
        if answer.stranger:  # it was started again, or had not heard of us for too long
            self._introduce_again(by)
        else:
            self._refuse(by, answer.broken or "it gave no answer")

    def _keep_files(self, answer: Answer, by: _Worker) -> None:
        for number, log in answer.logs.items():
            self._places.write_log(number, log)
        for number, files in answer.files.items():
            self._places.write_trial_files(number, files)
        for number, size in answer.too_large.items():
            self._warn(
                f"trial {number} left {size / 2**20:,.0f} MiB in its folder on {by.host}, too "
                "much to be sent here"
            )

    def _crashed(self, task: _Task, began: float, by: _Worker) -> Result:
        """Return what became of a trial that has taken several workers with it."""
        trial = task.trial
        return Result(
            trial=trial.number,
            status="crashed",
            params=trial.params,
            unit=trial.unit,
            seed=trial.seed,
            budget=task.epochs,
            score=None,
            attempts=task.attempt,
            started=datetime.now(UTC).isoformat(timespec="milliseconds"),
            seconds=round(time.monotonic() - began, 6),
            message=f"{task.losses} workers were lost while they ran it, the last one {by.name}",
            epochs=None if task.epochs is None else self.planned(trial, task.epochs),
            step=trial.step,
            start=trial.start if self._resumes else 0,
            rung=trial.rung,
            note=trial.note,
        )

    def _halted(self) -> Iterator[Result | None]:
        """Have the workers end their trials; yield the results that were on their way."""
        for each in self._known.values():
            if each.stage == "ready":
                self._cluster.call(each.name, worker.stop, self._setup.session, beside=True)
        deadline = time.monotonic() + MOST_STOP
        while self._is_running() and time.monotonic() < deadline:
            self._wait(TICK)
            while self._results:
                yield self._results.popleft()
        self._again.clear()
        for each in self._known.values():
            each.batches.clear()

    # What becomes of workers

    def _turn(self) -> None:
        """Take what came in, and look at who is there.

        Raises:
            MachineError: there was no worker for run.cluster_timeout.
        """
        self._wait(TICK)
        now, seats = time.monotonic(), self._cluster.seats()
        for name, seat in seats.items():
            if name not in self._known:
                new = self._known[name] = _Worker(name, seat.slots, seat.host, now)
                self._go_on(new, self._introduce(new))
        for each in list(self._known.values()):
            silent = now - each.heard > self._limit
            late = self._timeout is not None and any(
                now - batch.began > len(batch.tasks) * self._timeout + START_LIMIT + self._limit
                for batch in each.batches[: each.slots]
            )
            if each.name not in seats or silent or late:
                self._give_up(each)
            elif each.stage != "refused" and each.answered:
                self._answered = max(self._answered, each.heard)
        if now - self._answered > self._limit:
            raise MachineError(self._why_none())

    def _why_none(self) -> str:
        refused = f" (the last one: {self._reason})" if self._reason else ""
        return (
            f"{self._cluster.about()} had no worker that answers for {self._limit:g} s{refused}; "
            "no announced trial is lost, and the same command goes on when there are workers again"
        )

    def _wait(self, seconds: float) -> None:
        """Handle what came in, waiting for it a moment."""
        with contextlib.suppress(queue.Empty):
            self._events.get(timeout=seconds)()
            while True:
                self._events.get_nowait()()

    def _give_up(self, gone: _Worker) -> None:
        """Take a worker for lost; what it still sends is not waited for and dropped."""
        del self._known[gone.name]
        if self._sending.get(gone.host) == gone.name:
            del self._sending[gone.host]
        batches, gone.batches = gone.batches, []
        for batch in batches:
            batch.future.cancel()
        self._cluster.give_up(gone.name)
        if self._halt.is_set():
            return
        for batch in batches[: gone.slots]:  # one that waited for its turn is not the cause
            if len(batch.tasks) == 1:  # of several, each is to run alone before it is blamed
                batch.tasks[0].losses += 1
        again: list[_Task] = []
        for batch in batches:
            for task in batch.tasks:
                if task.losses < LOSSES:
                    again.append(task)
                else:
                    self._results.append(self._crashed(task, batch.began, gone))
        self._again.extend(sorted(again, key=lambda task: task.trial.order))
        if again:
            numbers = numbers_text(task.trial.number for task in again)
            words = f"trial {numbers} runs" if len(again) == 1 else f"trials {numbers} run"
            self._warn(f"the worker {gone.name} was lost: {words} again elsewhere")

    def _refuse(self, unable: _Worker, reason: str) -> None:
        """Give a worker no trials, for a reason that is about it rather than about the search."""
        unable.stage = "refused"
        self._reason = f"{unable.name} cannot run trials: {reason}"
        if self._mark is not None:
            self._warn(self._reason)

    def _beat(self) -> None:
        """Tell every worker that the search is there, and note who answers; in its own thread."""
        last = time.monotonic()
        while not self._closed.wait(pause := max(min(PULSE, self._limit / 5), self._many())):
            now = time.monotonic()
            known = list(self._known.values())
            if now - last > 2 * pause + 1:  # this process itself was stopped
                for each in known:
                    each.heard = now
            last = now
            for each in known:
                if not each.asked:
                    each.asked = True
                    asked = self._cluster.call(
                        each.name, worker.ping, self._setup.session, beside=True
                    )
                    asked.add_done_callback(partial(_heard, each))

    def _many(self) -> float:
        """Return the seconds in which so many workers can be spoken to without haste."""
        return len(self._known) / 100

    # Getting to know a worker

    def _go_on(self, with_: _Worker, steps: Steps, value: Any = None) -> None:
        """Take the next step with a worker; what goes wrong is about that worker alone."""
        try:
            future = steps.send(value)
        except StopIteration:
            return

        def then(done: Future[Any]) -> None:
            if self._known.get(with_.name) is not with_:
                steps.close()
                return
            error = None if done.cancelled() else done.exception()
            if done.cancelled() or isinstance(error, LostError):
                steps.close()
                self._give_up(with_)
            elif error is not None:
                steps.close()
                self._refuse(with_, _sentence(error))
            else:
                with_.heard, with_.answered = time.monotonic(), True
                self._go_on(with_, steps, done.result())

        self._when_done(future, then)

    def _introduce(self, new: _Worker) -> Steps:
        """Compare versions, send what it has not, and have it start a child."""
        call, setup = self._cluster.call, self._setup
        difference = _difference((yield call(new.name, worker.about, beside=True)))
        if difference:
            self._refuse(new, difference)
            self._differs = self._reason
            return
        new.stage = "alike"
        wanted = yield call(new.name, worker.look, setup.shipment)
        if wanted and self._sending.get(new.host, new.name) != new.name:
            # Another worker of that machine is being sent them: look again when it has them.
            waiting: Future[Any] = Future()
            self._events.put(lambda: self._look_again(new, waiting))
            yield waiting
            wanted = yield call(new.name, worker.look, setup.shipment)
        self._sending[new.host] = new.name
        for sha256 in wanted:
            path = setup.shipment.path_of(sha256)
            size, sent = path.stat().st_size, 0
            for piece in pieces(path):
                first, sent = sent == 0, sent + len(piece)
                problem = yield call(
                    new.name, worker.keep, sha256, setup.session, piece, first, sent >= size
                )
                if problem:
                    self._refuse(new, problem)
                    return
        self._sending.pop(new.host, None)
        answer: Answer = yield call(new.name, worker.start, setup)
        if answer.mistake is not None:
            self._mistake = self._mistake or answer.mistake
            self._refuse(new, answer.mistake)
        elif answer.broken is not None:
            self._refuse(new, answer.broken)
        else:
            self._resumes, new.stage = answer.resumes, "started"
            self._begin(new)

    def _look_again(self, new: _Worker, waiting: Future[Any]) -> None:
        if self._known.get(new.name) is not new or new.host not in self._sending:
            waiting.set_result(None)
        else:
            timer = threading.Timer(
                TICK, self._events.put, [lambda: self._look_again(new, waiting)]
            )
            timer.daemon = True
            timer.start()

    def _begin(self, started: _Worker) -> None:
        """Tell a worker where the run is, once that is there; from then on it gets trials."""
        if self._mark is None or started.stage != "started":
            return

        def steps() -> Steps:
            shares = yield self._cluster.call(
                started.name, worker.begin, self._setup.session, self._mark
            )
            if shares is None:
                self._introduce_again(started)
            else:
                started.shares, started.stage = shares, "ready"

        self._go_on(started, steps())

    def _introduce_again(self, stranger: _Worker) -> None:
        if stranger.stage == "ready":
            stranger.stage = "new"
            self._go_on(stranger, self._introduce(stranger))


def _heard(each: _Worker, done: Future[Any]) -> None:
    each.asked = False
    if not done.cancelled() and done.exception() is None:
        each.heard, each.answered = time.monotonic(), True


def _difference(theirs: Mapping[str, str]) -> str:
    """Say in what a worker differs so that its results could; nothing where it does not."""
    ours = worker.about()
    return ", ".join(
        f"it has {name} {theirs.get(name)}, and this command has {ours[name]}"
        for name in ours
        if theirs.get(name) != ours[name]
    )


def _sentence(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == "hpsearch":
        return "hpsearch is not installed there, or an older version without engines"
    return f"{type(error).__name__}: {error}"


def open_remote(
    engine: str,
    place: str,
    *,
    address: str | None,
    count: int,
    limit: float,
    kind: str,
    objective: Objective,
    limits: dict[str, Any],
    files: tuple[str, ...],
    given: Callable[[Params], Params],
    places: RunFolder,
    halt: Halt,
    warn: Callable[[str], None],
) -> Remote:
    """Reach or start a cluster, and wait until a worker is ready for trials.

    Args:
        engine: Its name in ENGINES.
        place: Its class, as module:name.
        address: Of a cluster that runs; None to start one here.
        count: The workers of one that is started here.
        limit: Seconds without any worker after which the search gives up.
        kind: The objective's key in OBJECTIVES.
        objective: What trials are measured by.
        limits: What else a Supervisor is built with.
        files: Patterns of files that workers need beside code and data.
        given: Completes a trial's parameters with what the objective is given beside them.
        places: The run's folder, which need not be there yet.
        halt: Ends all trials once it is set.
        warn: Called with sentences worth knowing.
    Raises:
        ObjectiveError: the objective cannot be used as the config says.
        UserError: the package of the engine is missing, or files cannot be sent.
        MachineError: there is nothing at the address, or no worker that can run trials.
    """
    module, _, name = place.partition(":")
    shipment = NOTHING if address is None else shipment_of(objective, files)
    folder = str(places.path.absolute())
    base = objective.base if isinstance(objective, PythonFunction | Command) else objective.folder()
    run = hashlib.sha256(f"{platform.node()} {os.getuid()} {folder}".encode()).hexdigest()[:32]
    setup = Setup(
        session=uuid.uuid4().hex,
        run=run,
        kind=kind,
        objective=objective.spec(),
        limits=limits,
        shipment=shipment,
        folder=folder,
        cwd=os.getcwd(),
        base=str(base),
        lease=limit,
    )
    try:
        cls = getattr(importlib.import_module(module), name)
        cluster: Cluster = cls(address, count, min(MOST_CONNECT, limit))
    except ModuleNotFoundError as error:
        raise UserError(
            f"the engine {engine} needs the package {error.name}, which is not installed\n"
            f"To install it: pip install 'hpsearch[{engine}]'"
        ) from None
    remote = Remote(engine, cluster, setup, given=given, places=places, halt=halt, warn=warn)
    try:
        remote.warm_up()
    except BaseException:
        remote.close()
        raise
    return remote
