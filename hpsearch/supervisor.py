"""Supervisors: each holds a child process, gives it trials, and outlives whatever they do to it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from hpsearch.errors import MachineError, UserError
from hpsearch.objectives import Names
from hpsearch.seeds import repeat_seeds
from hpsearch.threads import ONE_THREAD
from hpsearch.trial import Params, Result, Trial, folder_name

START_LIMIT = 300.0
"""Seconds for a child's imports, and for reading data that may be large."""
STARTS = 3
"""How often a child is started before the machine is to blame."""
LOG_PART = 1 << 18
"""Bytes that are kept of the beginning and of the end of what a trial printed."""
TAIL, TAIL_LINES = 2000, 15
"""Characters and lines of it that a message repeats."""
GRACE = 1.0
"""Seconds between the request to end and SIGKILL."""
TICK = 0.1
"""Seconds between two looks at whether a silent child still lives."""
PAUSE = 0.002
"""Seconds in which the answers of several short trials gather, to be read at once."""


class Halt:
    """A flag that wakes every supervisor at once, also from a signal handler."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._is_set = False

    def set(self) -> None:
        """Raise the flag, for good."""
        if not self._is_set:
            self._is_set = True
            os.write(self._write, b"!")

    def is_set(self) -> bool:
        """Tell whether the flag is up."""
        return self._is_set

    def fileno(self) -> int:
        """Return a descriptor that is readable once the flag is up."""
        return self._read

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self._read)
        os.close(self._write)


class ChildEndedError(Exception):
    """The child is gone; the text says how."""


class TimedOutError(Exception):
    """The child did not answer in time."""


class HaltedError(Exception):
    """The search was asked to stop."""


class Log:
    """What a trial printed: the beginning and the end, however much it was."""

    def __init__(self) -> None:
        self._head, self._tail, self._dropped = bytearray(), bytearray(), 0

    def add(self, data: bytes) -> None:
        """Take what was printed next."""
        if not data:
            return
        room = LOG_PART - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room > 0 else data
        excess = len(self._tail) - LOG_PART
        if excess > 0:
            del self._tail[:excess]
            self._dropped += excess

    def content(self) -> bytes:
        """Return what was kept."""
        gap = b"\n... %d bytes left out ...\n" % self._dropped if self._dropped else b""
        return bytes(self._head) + gap + bytes(self._tail)

    def last(self) -> str:
        """Return the last lines, for a message."""
        text = (self._head + self._tail)[-TAIL:].decode(errors="replace").strip()
        return "\n".join(text.splitlines()[-TAIL_LINES:])


class Child:
    """One child process and the pipes to it."""

    def __init__(
        self,
        start: dict[str, Any],
        halt: Halt,
        memory: int | None,
        folder: str | None = None,
        what: str = "the trial",
    ) -> None:
        self._halt, self._what = halt, what
        self._memory = memory
        self._mark = secrets.token_bytes(16)  # which a trial cannot print by chance
        # -P and the parent's path: a random.py in the user's folder must not shadow the library's.
        code = f"import sys; sys.path[:] = {sys.path!r}; from hpsearch.child import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **ONE_THREAD},
            cwd=folder,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._printed = self._process.stderr
        os.set_blocking(self._requests.fileno(), False)
        self._unsent = memoryview(b"")
        self._lines: deque[bytes] = deque()
        self._part = b""
        """Of an answer whose end was not read yet."""
        self._poller = select.poll()
        for source in (self._answers, self._printed, self._halt):
            self._poller.register(source, select.POLLIN)
        self._log, self._logs = Log(), deque[Log]()
        self._unmarked = b""
        """What was printed last, which may be the beginning of a mark."""
        self._next_look = 0.0
        try:
            self.give({**start, "mark": self._mark.hex()})
            answer = self.answer(START_LIMIT)
            self.log()
        except BaseException:
            self.end()
            raise
        self.resumes = bool(answer.get("resumes"))
        """Whether its objective can go on from where an earlier step of a trial ended."""
        if not answer["started"]:
            self.end()
            if answer["mistake"]:
                raise UserError(answer["message"])
            raise MachineError(f"a worker could not start: {answer['message']}")

    def give(self, message: Mapping[str, Any]) -> None:
        """Begin to send a message; while answers are waited for, the rest of it is sent."""
        self._unsent = memoryview(json.dumps(message).encode() + b"\n")
        self._send()

    def _send(self) -> None:
        """Send what the pipe takes; a child that is gone shows when its answers are read."""
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._requests.fileno(), self._unsent) :]
        except BlockingIOError:
            self._poller.register(self._requests, select.POLLOUT)
        except BrokenPipeError:
            self._unsent = memoryview(b"")

    def answer(self, limit: float | None, *, more: int = 0) -> dict[str, Any]:
        """Wait for the next answer, at most `limit` seconds.

        more: How many answers are to follow soon: they are read together.

        Raises:
            ChildEndedError, TimedOutError, HaltedError: instead of an answer; the child is then
                to be ended.
        """
        deadline = None if limit is None else time.monotonic() + limit
        while not self._lines:
            left = TICK if deadline is None else min(TICK, deadline - time.monotonic())
            if left <= 0:
                raise TimedOutError
            ready = {descriptor for descriptor, _ in self._poller.poll(left * 1000)}
            if self._halt.is_set():
                raise HaltedError
            if self._requests.fileno() in ready:
                self._poller.unregister(self._requests)
                self._send()
            if self._printed.fileno() in ready and not self._read_log():
                self._poller.unregister(self._printed)
            if self._answers.fileno() in ready:
                if more > 1:
                    time.sleep(PAUSE)
                chunk = os.read(self._answers.fileno(), 1 << 16)
                if not chunk:
                    raise ChildEndedError(self._how_it_ended())
                *lines, self._part = (self._part + chunk).split(b"\n")
                self._lines.extend(lines)
            elif not ready and self._process.poll() is not None:  # a grandchild holds the pipe
                raise ChildEndedError(self._how_it_ended())
            if self._memory is not None:
                self._check_memory(self._memory)
        try:
            answer: dict[str, Any] = json.loads(self._lines.popleft().decode())
        except ValueError:
            raise ChildEndedError(f"{self._what} wrote into the pipe of its worker") from None
        return answer

    def log(self) -> Log:
        """Return what was printed until the last answer, or until the child was to be ended."""
        self._drain_log()
        if self._logs:
            return self._logs.popleft()
        self._log.add(self._unmarked)
        log, self._log, self._unmarked = self._log, Log(), b""
        return log

    def is_alive(self) -> bool:
        """Tell whether the process still runs."""
        return self._process.poll() is None

    def _read_log(self) -> bool:
        """Read some of what was printed; a mark ends what belongs to one trial."""
        data = os.read(self._printed.fileno(), 1 << 16)
        *ended, self._unmarked = (self._unmarked + data).split(self._mark)
        for part in ended:
            self._log.add(part)
            self._logs.append(self._log)
            self._log = Log()
        sure = max(0, len(self._unmarked) + 1 - len(self._mark))
        self._log.add(self._unmarked[:sure])
        self._unmarked = self._unmarked[sure:]
        return bool(data)

    def _drain_log(self) -> None:
        """Take what was printed before the answer and is still in the pipe."""
        if self._logs:
            return
        poller = select.poll()
        poller.register(self._printed, select.POLLIN)
        for _ in range(64):  # a trial's thread may go on printing for ever
            if self._logs or not poller.poll(0) or not self._read_log():
                return

    def _check_memory(self, limit: int) -> None:
        """End the trial when it and all that it started use more than `limit` bytes."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + TICK
        used = memory_used(self._process.pid)
        if used > limit:
            raise ChildEndedError(
                f"out of memory: {self._what} used {used / 2**20:,.0f} MiB, "
                f"and trial.memory is {limit / 2**20:,.0f} MiB"
            )

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        self._drain_log()
        code = self._process.poll()
        if code is not None and code < 0:
            return f"{self._what}'s process was ended by {signal_name(-code)}"
        return f"{self._what}'s process ended with exit code {code}"

    def end(self) -> None:
        """End the process and everything it started."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        self._signal(signal.SIGKILL)
        self._process.wait()
        for file in (self._requests, self._answers, self._printed):
            with contextlib.suppress(OSError):
                file.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def signal_name(number: int) -> str:
    """Name a signal; the real-time ones have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def memory_used(process: int) -> int:
    """Return the resident memory, in bytes, of a process and all that it started."""
    import psutil

    used = 0
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(process)
        for each in [first, *first.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                used += each.memory_info().rss
    return used


class Places(Protocol):
    """Where what a trial leaves is kept."""

    def trials_folder(self) -> Path:
        """Return the folder for the trials' own folders, none of which need exist."""

    def write_log(self, number: int, content: bytes) -> None:
        """Keep what the trial printed."""


class Supervisor:
    """Runs trials in children that it keeps, one per trial at a time.

    Its method `run` may be called from several threads at once; each call has a child to itself.
    """

    def __init__(
        self,
        kind: str,
        objective: dict[str, Any],
        *,
        names: Names,
        given: Callable[[Params], Params],
        metric: str,
        timeout: float | None,
        memory: int | None,
        repeats: int = 1,
        in_steps: bool = False,
        counts: bool = False,
        places: Places,
        halt: Halt,
        folder: str | None = None,
    ) -> None:
        """Hold no child yet.

        folder: Where children are started; None for this process's own working folder.
        """
        self._folder = folder
        self._start = {
            "kind": kind,
            "objective": objective,
            "names": asdict(names),
            "metric": metric,
            "in_steps": in_steps,
        }
        self._resumes = False
        self._counts = counts
        self._given = given
        self._timeout = timeout
        self._memory = memory
        self._repeats = repeats
        self._places = places
        self._halt = halt
        self.deadline: float | None = None
        """When running trials are to end at their next epoch, by time.monotonic."""
        self._idle: list[Child] = []
        self._running = 0
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Start one child ahead of the first trial, to find what is wrong with the objective.

        Raises:
            UserError: the objective cannot be used as the config says.
            MachineError: no child can be started.
        """
        child = self._take()
        self._resumes = child.resumes
        self._give_back(child)

    @property
    def resumes(self) -> bool:
        """Whether the objective goes on from where an earlier step of a trial ended."""
        return self._resumes

    def planned(self, trial: Trial, epochs: int) -> int:
        """Return how many epochs a trial takes, or a step that ends after `epochs`, at most.

        A step of an objective that cannot go on from where the last one ended begins anew.
        """
        return (epochs - (trial.start if self._resumes else 0)) * self._repeats

    def run(self, trial: Trial, epochs: int | None, attempt: int = 1) -> Result | None:
        """Run one trial: as `run_all` of it alone."""
        (result,) = self.run_all([(trial, epochs, attempt)])
        return result

    def run_all(self, work: Sequence[tuple[Trial, int | None, int]]) -> Iterator[Result | None]:
        """Run trials one after another; yield the result of each, None for one that was halted.

        They are given to a child all at once; what one of them does to the child costs no other
        one, as those that did not run are given to the next child.

        work: Trials, the epochs that each may take, and which attempt this is, from 1.
        Raises:
            MachineError: no child can be started, or the log cannot be kept.
        """
        with self._lock:
            self._running += 1
        try:
            yield from self._run_all(work)
        finally:
            with self._lock:
                self._running -= 1

    def _run_all(self, work: Sequence[tuple[Trial, int | None, int]]) -> Iterator[Result | None]:
        left = deque(work)
        child: Child | None = None
        try:
            while left:
                if child is None:
                    child = self._take()
                    self._give(child, left)
                    began, started = time.monotonic(), _now()
                answer, is_usable = self._answer(child, more=len(left) - 1)
                if not is_usable:
                    answer["seconds"] = time.monotonic() - began
                log = child.log()
                if not is_usable:
                    child.end()
                    child = None
                yield self._result(*left.popleft(), answer, log, started)
                began, started = time.monotonic(), _now()
            if child is not None:
                self._give_back(child)
                child = None
        except HaltedError:
            yield from (None for _ in left)
        finally:
            if child is not None:
                child.end()

    def _give(self, child: Child, work: Iterable[tuple[Trial, int | None, int]]) -> None:
        left = None if self.deadline is None else self.deadline - time.monotonic()
        folder = os.path.abspath(self._places.trials_folder())
        requests = [self._request(trial, epochs, folder) for trial, epochs, _ in work]
        child.give({"trials": requests, "seconds_left": left})

    def _answer(self, child: Child, more: int) -> tuple[dict[str, Any], bool]:
        """Return the answer to a trial, and whether the child can be given further ones."""
        try:
            return child.answer(self._timeout, more=more), True
        except TimedOutError:
            text = f"not finished within {self._timeout:g} s"
            return {"status": "timeout", "message": text}, False
        except ChildEndedError as ended:
            return {"status": "crashed", "message": str(ended)}, False

    def _request(self, trial: Trial, epochs: int | None, folder: str) -> dict[str, Any]:
        return {
            "number": trial.number,
            "params": self._given(trial.params),
            "seeds": repeat_seeds(trial.seed, self._repeats),
            "budget": epochs,
            "start": trial.start,
            "until": epochs if self._counts and trial.until is None else trial.until,
            "in_steps": trial.step is not None,
            "folder": os.path.join(folder, folder_name(trial.number)),
        }

    def _result(
        self,
        trial: Trial,
        epochs: int | None,
        attempt: int,
        answer: dict[str, Any],
        log: Log,
        started: str,
    ) -> Result:
        printed = log.content()
        if printed:
            self._places.write_log(trial.number, printed)
        message = answer["message"]
        lost = answer["status"] not in ("complete", "diverged")
        if message is not None and lost and log.last():
            message = f"{message}\nThe last it printed:\n{log.last()}"
        return Result(
            trial=trial.number,
            status=answer["status"],
            params=trial.params,
            unit=trial.unit,
            seed=trial.seed,
            budget=epochs,
            score=answer.get("score"),
            metrics=answer.get("metrics", {}),
            curve=answer.get("curve", {}),
            attempts=attempt,
            started=started,
            seconds=round(answer["seconds"], 6),
            message=message,
            scores=answer.get("scores", []),
            note=trial.note,
            epochs=answer.get("epochs", None if epochs is None else self.planned(trial, epochs)),
            step=trial.step,
            start=trial.start if self._resumes else 0,
            rung=trial.rung,
        )

    def _give_back(self, child: Child) -> None:
        with self._lock:
            self._idle.append(child)

    def _take(self) -> Child:
        """Return an idle child, or start one.

        Raises:
            HaltedError: the search is to stop.
            MachineError: children do not start.
        """
        if self._halt.is_set():
            raise HaltedError
        while True:
            with self._lock:
                child = self._idle.pop() if self._idle else None
            if child is None:
                break
            if child.is_alive():
                return child
            child.end()  # it died while it had nothing to do, which is no trial's fault
        text = ""
        for _ in range(STARTS):
            try:
                return Child(self._start, self._halt, self._memory, self._folder)
            except TimedOutError:
                text = f"it was not ready within {START_LIMIT:.0f} s"
            except ChildEndedError as ended:
                text = str(ended)
        raise MachineError(f"a worker could not start, in {STARTS} attempts: {text}")

    def halt(self) -> None:
        """Let what runs end without a result."""
        self._halt.set()

    def close(self) -> None:
        """Halt what still runs, and end every child."""
        self.halt()
        deadline = time.monotonic() + 2 * GRACE + START_LIMIT
        while self._running and time.monotonic() < deadline:
            time.sleep(0.01)
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()
