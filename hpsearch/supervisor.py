"""Supervisors: each holds a child process, gives it trials, and outlives whatever they do to it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from typing import Any

from hpsearch.errors import MachineError
from hpsearch.trial import Result, Trial

START_LIMIT = 60.0
"""Seconds for a child's imports and its reading of the data."""
STARTS = 3
"""How often a child is started before the machine is to blame."""
GRACE = 1.0
"""Seconds between the request to end and SIGKILL."""
TICK = 0.1
"""Seconds between two looks at whether a silent child still lives."""

ONE_THREAD = dict.fromkeys(
    (
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    ),
    "1",
)
"""Two workers with two BLAS threads each are several times slower than one worker with one."""


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


class Child:
    """One child process and the pipes to it."""

    def __init__(self, start: dict[str, Any], halt: Halt) -> None:
        self._halt = halt
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the child
        # -P and the parent's path: a random.py in the user's folder must not shadow the library's.
        code = f"import sys; sys.path[:] = {sys.path!r}; from hpsearch.child import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
            env={**os.environ, **ONE_THREAD},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._buffer = b""
        try:
            answer = self.ask(start, START_LIMIT)
        except BaseException:
            self.end()
            raise
        if not answer["started"]:
            self.end()
            raise MachineError(f"a worker could not start: {answer['message']}")

    def ask(self, request: dict[str, Any], limit: float | None) -> dict[str, Any]:
        """Send one request and wait for its answer, at most `limit` seconds.

        Raises:
            ChildEndedError, TimedOutError, HaltedError: instead of an answer; the child is then
                to be ended.
        """
        deadline = None if limit is None else time.monotonic() + limit
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise ChildEndedError(self._how_it_ended()) from None
        poller = select.poll()
        poller.register(self._answers, select.POLLIN)
        poller.register(self._halt, select.POLLIN)
        while b"\n" not in self._buffer:
            left = TICK if deadline is None else min(TICK, deadline - time.monotonic())
            if left <= 0:
                raise TimedOutError
            ready = {descriptor for descriptor, _ in poller.poll(left * 1000)}
            if self._halt.is_set():
                raise HaltedError
            if self._answers.fileno() in ready:
                chunk = os.read(self._answers.fileno(), 1 << 16)
                if not chunk:
                    raise ChildEndedError(self._how_it_ended())
                self._buffer += chunk
            elif self._process.poll() is not None:  # a grandchild may keep the pipe open
                raise ChildEndedError(self._how_it_ended())
        line, self._buffer = self._buffer.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        code = self._process.poll()
        if code is not None and code < 0:
            how = f"the trial's process was ended by {signal.Signals(-code).name}"
        else:
            how = f"the trial's process ended with exit code {code}"
        self._log.seek(max(0, os.fstat(self._log.fileno()).st_size - 2000))
        tail = self._log.read().decode(errors="replace").strip()
        return f"{how}\n{tail}".strip()

    def end(self) -> None:
        """End the process and everything it started."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        self._signal(signal.SIGKILL)
        self._process.wait()
        for file in (self._requests, self._answers, self._log):
            with contextlib.suppress(OSError):
                file.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


class Supervisor:
    """Runs trials in children that it keeps, one per trial at a time.

    Its method `run` may be called from several threads at once; each call has a child to itself.
    """

    def __init__(
        self,
        kind: str,
        objective: dict[str, Any],
        *,
        metric: str,
        timeout: float | None,
        halt: Halt,
    ) -> None:
        self._start = {"kind": kind, "objective": objective}
        self._metric = metric
        self._timeout = timeout
        self._halt = halt
        self._idle: list[Child] = []
        self._lock = threading.Lock()

    def run(self, trial: Trial, epochs: int | None, attempt: int = 1) -> Result | None:
        """Run one trial to its end, whatever that is; None when the search was halted before.

        epochs: What the trial may take, for the record.
        attempt: From 1; for the record too.
        Raises:
            MachineError: no child can be started.
        """
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            child = self._take()
        except HaltedError:
            return None
        began = time.monotonic()
        try:
            answer = child.ask({"params": trial.params, "seed": trial.seed}, self._timeout)
        except HaltedError:
            child.end()
            return None
        except TimedOutError:
            child.end()
            text = f"not finished within {self._timeout:g} s"
            answer = {"status": "timeout", "message": text}
        except ChildEndedError as ended:
            child.end()
            answer = {"status": "crashed", "message": str(ended)}
        else:
            with self._lock:
                self._idle.append(child)
        answer.setdefault("seconds", time.monotonic() - began)
        return self._result(trial, epochs, answer, attempt, started)

    def _result(
        self, trial: Trial, epochs: int | None, answer: dict[str, Any], attempt: int, started: str
    ) -> Result:
        status, metrics, message = answer["status"], answer.get("metrics", {}), answer["message"]
        score = metrics.get(self._metric) if status == "complete" else None
        if status == "complete" and score is None:
            status, message = "failed", f"the objective did not report {self._metric}"
        return Result(
            trial=trial.number,
            status=status,
            params=trial.params,
            unit=trial.unit,
            seed=trial.seed,
            budget=epochs,
            score=score,
            metrics=metrics,
            curve=answer.get("curve", {}),
            attempts=attempt,
            started=started,
            seconds=round(answer["seconds"], 6),
            message=message,
        )

    def _take(self) -> Child:
        """Return an idle child, or start one.

        Raises:
            HaltedError: the search is to stop.
            MachineError: children do not start.
        """
        if self._halt.is_set():
            raise HaltedError
        with self._lock:
            if self._idle:
                return self._idle.pop()
        text = ""
        for _ in range(STARTS):
            try:
                return Child(self._start, self._halt)
            except TimedOutError:
                text = f"it was not ready within {START_LIMIT:.0f} s"
            except ChildEndedError as ended:
                text = str(ended)
        raise MachineError(f"a worker could not start, in {STARTS} attempts: {text}")

    def close(self) -> None:
        """End the idle children; call it when no trial runs any more."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()
