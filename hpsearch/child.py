"""The process that runs trials, one after another, for one supervisor.

What a trial does to its process (exit, crash, hang, leak) stays in this process. It speaks lines of
JSON with its supervisor over the pipes that it was started with, which a trial cannot reach: its
own stdin is empty and what it prints goes to the log.
"""

from __future__ import annotations

import json
import math
import os
import queue
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from hpsearch.objectives import Objective

Message = dict[str, Any]


def main() -> None:
    """Serve until the supervisor closes the pipe."""
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.dup(1)
    _leave_the_pipes()
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, inbox), daemon=True).start()
    try:
        start = inbox.get()
        from hpsearch.objectives import from_spec

        objective = from_spec(start["kind"], start["objective"])
        objective.prepare()
    except BaseException as error:
        _send(answers, {"started": False, "message": _describe(error)})
        return
    _send(answers, {"started": True})
    while True:
        _send(answers, run_trial(objective, inbox.get()))


def _leave_the_pipes() -> None:
    """Give the trial's code an empty stdin and the log as stdout; ask to die first of all."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")  # short of memory, the kernel should end a trial, not the search
    except OSError:
        pass


def _listen(requests: BinaryIO, inbox: queue.SimpleQueue[Message]) -> None:
    """Pass requests on; end this process and all it started when the supervisor is gone."""
    try:
        buffered = os.fdopen(requests.fileno(), "rb", closefd=False)
        for line in buffered:
            inbox.put(json.loads(line))
    finally:
        os.killpg(0, signal.SIGKILL)


def _send(answers: int, message: Message) -> None:
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[os.write(answers, data) :]


def run_trial(objective: Objective, trial: Message) -> Message:
    """Run one trial; whatever it raises is part of the answer.

    trial: `params` and `seed`.
    Returns status, metrics of the last epoch, curve (a list per metric), seconds and message.
    """
    began = time.perf_counter()
    status, message = "complete", None
    metrics: dict[str, float | None] = {}
    curve: dict[str, list[float | None]] = {}
    try:
        for epoch in objective.evaluate(trial["params"], trial["seed"]):
            metrics = {name: finite(value) for name, value in epoch.items()}
            for name, value in metrics.items():
                curve.setdefault(name, []).append(value)
            lost = [name for name, value in metrics.items() if value is None]
            if lost:
                epochs = len(curve[lost[0]])
                status = "diverged"
                message = f"{lost[0]} was no longer finite after epoch {epochs}"
                break
    except BaseException as error:
        status, message = "failed", _describe(error)
    return {
        "status": status,
        "metrics": metrics,
        "curve": curve,
        "seconds": time.perf_counter() - began,
        "message": message,
    }


def finite(value: float) -> float | None:
    """Return the value as JSON can hold it: None when it is not finite."""
    return float(value) if math.isfinite(value) else None


def _describe(error: BaseException) -> str:
    """Say what was raised: type and message first, then the way there."""
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:
        text = type(error).__name__
    way = "".join(traceback.format_tb(error.__traceback__)[1:])
    return f"{text}\n{way}".strip()[:20_000]


if __name__ == "__main__":
    sys.exit("hpsearch.child is started by hpsearch itself")
