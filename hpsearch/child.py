"""The process that runs trials, one after another, for one supervisor.

What a trial does to its process (exit, crash, hang, leak) stays in this process. It speaks lines of
JSON with its supervisor over the pipes that it was started with, which a trial cannot reach: its
own stdin is empty and what it prints goes to the log.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from hpsearch.objectives import Context, Objective, Steps
    from hpsearch.objectives.base import Metrics

Message = dict[str, Any]

LONGEST_MESSAGE = 20_000
"""Characters of an exception's text and traceback that are kept."""


def main() -> None:
    """Serve until the supervisor closes the pipe."""
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    answers, log = os.dup(1), os.dup(2)
    _leave_the_pipes()
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, inbox), daemon=True).start()
    start = json.loads(inbox.get())
    mark = bytes.fromhex(start["mark"])
    from hpsearch.errors import UserError

    try:
        from hpsearch.objectives import Names, from_spec

        objective = from_spec(start["kind"], start["objective"])
        objective.prepare(Names(**start["names"]))
        if start.get("by_hand"):
            from hpsearch.objectives.generator import check_generator

            check_generator(objective)
        resumes = objective.steps().resumes if start["in_steps"] else False
    except UserError as error:
        _send(answers, {"started": False, "mistake": True, "message": str(error)})
        return
    except BaseException as error:
        _send(answers, {"started": False, "mistake": False, "message": _describe(error)})
        return
    os.write(log, mark)
    _send(answers, {"started": True, "resumes": resumes})

    def answer(message: Message) -> None:
        os.write(log, mark)  # what was printed before it belongs to it
        _send(answers, message)

    if start.get("by_hand"):
        _train_by_hand(objective, start["by_hand"], start["metric"], inbox, answer)
        return
    while True:
        message = json.loads(inbox.get())
        left = message["seconds_left"]
        deadline = None if left is None else time.monotonic() + left
        for request in message["trials"]:
            answer(_repeated(objective, {**request, "deadline": deadline}, start["metric"]))


def _train_by_hand(
    objective: Any,
    request: Message,
    metric: str,
    inbox: queue.SimpleQueue[bytes],
    answer: Callable[[Message], None],
) -> None:
    """Train one model, an epoch for each message, until the message says that it is the last.

    An answer has the metrics of the epoch, which are null at the training's end, or `failed`: what
    the user's code raised, in one line. Its traceback goes to the log.
    """
    from hpsearch.objectives import Context
    from hpsearch.objectives.generator import GeneratorTraining

    process = os.getpid()
    context = Context(0, request["seed"], metric, objective.budget, Path(request["folder"]))
    training = GeneratorTraining(objective, request["params"], context)
    _seed_global_generators(context.seed)
    while True:
        message = json.loads(inbox.get())
        try:
            if message["last"]:
                training.close()
                found: Message = {}
            else:
                found = {"metrics": training.step(message["changes"])}
        except BaseException as error:
            found = {"failed": _named(error)}
            with contextlib.suppress(Exception):
                sys.stderr.write(f"{_describe(error)}\n")
        if os.getpid() != process:  # the user's code forked, and this is the other one
            os._exit(0)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        answer(found)
        if message["last"]:
            return


def _leave_the_pipes() -> None:
    """Give the trial's code an empty stdin and the log as stdout; ask to die first of all."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")  # short of memory, the kernel should end a trial, not the search


def _listen(requests: BinaryIO, inbox: queue.SimpleQueue[bytes]) -> None:
    """Pass requests on; end this process and all it started when the supervisor is gone."""
    try:
        buffered = os.fdopen(requests.fileno(), "rb", closefd=False)
        for line in buffered:
            inbox.put(line)
    finally:
        os.killpg(0, signal.SIGKILL)


def _send(answers: int, message: Message) -> None:
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[os.write(answers, data) :]


def _repeated(objective: Objective, request: Message, metric: str) -> Message:
    """Run a trial from each of its seeds; the first repeat that is not complete is the last."""
    from hpsearch.repeats import merged

    seeds = request["seeds"]
    if len(seeds) == 1:
        return _sheltered(objective, {**request, "seed": seeds[0]}, metric)
    answers = []
    for number, seed in enumerate(seeds, start=1):
        folder = str(Path(request["folder"], f"repeat-{number}"))
        answer = _sheltered(objective, {**request, "seed": seed, "folder": folder}, metric)
        answers.append(answer)
        if answer["message"] is not None:
            answer["message"] = (
                f"repeat {number} of {len(seeds)} (seed {seed}): {answer['message']}"
            )
            break
    return merged(answers, metric)


def _sheltered(objective: Objective, request: Message, metric: str) -> Message:
    """Run a trial, or a repeat, so that the next one in this process finds everything as it did."""
    from hpsearch.objectives import Context

    process, found = os.getpid(), _Surroundings()
    context = Context(
        number=request["number"],
        seed=request["seed"],
        metric=metric,
        budget=request["budget"],
        folder=Path(request["folder"]),
        deadline=request["deadline"],
        start=request["start"],
        until=request["until"],
        in_steps=request["in_steps"],
    )
    _seed_global_generators(context.seed)
    answer = run_trial(objective, request["params"], context)
    if os.getpid() != process:  # the trial forked, and this is the other one
        os._exit(0)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    found.restore()
    return answer


class _Surroundings:
    """The working folder, the environment and the output of this process, as they were."""

    _DATA = getattr(os.environ, "_data", os.environ)  # what os.environ decodes, name by name

    def __init__(self) -> None:
        self._folder, self._environment = os.getcwd(), dict(self._DATA)
        self._streams = {"stdout": sys.stdout, "stderr": sys.stderr}
        self._output = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}

    def restore(self) -> None:
        """Make them so again."""
        with contextlib.suppress(OSError):
            os.chdir(self._folder)
        for descriptor, kept in self._output.items():
            with contextlib.suppress(OSError):
                os.dup2(kept, descriptor)
                os.close(kept)
        for descriptor, (name, stream) in enumerate(self._streams.items(), start=1):
            if getattr(stream, "closed", False):
                stream = os.fdopen(descriptor, "w", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
        if self._environment != self._DATA:
            os.environ.clear()
            for name, value in self._environment.items():
                os.environ[os.fsdecode(name)] = os.fsdecode(value)


def _seed_global_generators(seed: int) -> None:
    """Seed what code draws from that knows of no seed: else it depended on the trials before."""
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)


def run_trial(objective: Objective, params: dict[str, Any], context: Context) -> Message:
    """Run one trial; whatever it raises is part of the answer.

    Returns status, score, metrics, curve (a list per metric), epochs, seconds, message. The metrics
    are the last epoch's, unless the objective returns others: those of an earlier epoch that it
    went back to, say. A trial that ends by budget.time is complete, and the message says after
    which epoch.
    """
    from hpsearch.objectives import CrashedError

    began = time.perf_counter()
    status, message = "complete", None
    metrics: dict[str, float | None] = {}
    curve: dict[str, list[float | None]] = {}
    kept: dict[str, float] = {}
    count, over = 0, False
    steps = None if context.until is None else _steps(objective, context)
    begun = context.start if steps is not None and steps.resumes else 0

    def is_over() -> bool:
        """Tell whether the trial is to end at this epoch, unless that is its last one anyway."""
        nonlocal over
        if steps is not None and not steps.told and begun + count == context.until:
            return True
        over = (
            context.deadline is not None
            and time.monotonic() >= context.deadline
            and count >= objective.FEWEST_EPOCHS
            and begun + count != context.budget
            and _unusable(metrics, context.metric) is None
        )
        return over

    try:
        for epoch in _epochs(objective.evaluate(params, context), kept, is_over):
            count += 1
            metrics = {name: finite(value) for name, value in epoch.items()}
            for name, value in metrics.items():
                curve.setdefault(name, []).append(value)
            lost = next((name for name, value in metrics.items() if value is None), None)
            if lost and objective.NOT_FINITE == "diverged":
                status = "diverged"
                message = f"{lost} was no longer finite after epoch {len(curve[lost])}"
                break
        else:
            metrics |= {name: finite(value) for name, value in kept.items()}
            curve = curve or {name: [value] for name, value in metrics.items()}
            message = _unusable(metrics, context.metric)
            if context.in_steps and steps and not (steps.told or steps.resumes) and not message:
                message = _not_in_epochs(count, context)
            status = "failed" if message else "complete"
            if over and not message:
                message = (
                    f"ended by budget.time after {_epochs_text(begun + count, context.budget)}"
                )
    except CrashedError as error:
        status, message = "crashed", str(error)
    except BaseException as error:
        status, message = "failed", _describe(error)
    return {
        "status": status,
        "score": metrics[context.metric] if status == "complete" else None,
        "metrics": metrics,
        "curve": curve,
        "epochs": _epochs_of(
            count, context, begun, told=steps is not None and steps.told and not over
        ),
        "seconds": time.perf_counter() - began,
        "message": message,
    }


def _epochs(
    evaluation: Generator[Metrics, bool | None, Metrics | None],
    kept: dict[str, float],
    is_over: Callable[[], bool],
) -> Iterator[Metrics]:
    """Pass the epochs on, say after each whether time is over, and keep what is returned."""
    over: bool | None = None
    while True:
        try:
            epoch = evaluation.send(over)
        except StopIteration as end:
            kept.update(end.value or {})
            return
        yield epoch
        over = is_over() or None


def _steps(objective: Objective, context: Context) -> Steps:
    """Return how a trial is ended; one of a single step need not be told or end before its end."""
    from hpsearch.objectives import ObjectiveError, Steps

    try:
        return objective.steps()
    except ObjectiveError:
        if context.in_steps:
            raise
        return Steps(told=True, resumes=False)


def _epochs_of(count: int, context: Context, begun: int, *, told: bool) -> int | None:
    """Return how many epochs were trained: those reported, or those that the objective was told.

    None where the objective counts none.

    begun: Those that were there already.
    """
    if context.budget is None:
        return None
    return context.budget - begun if told or not count else count


def _not_in_epochs(count: int, context: Context) -> str | None:
    """Say that an objective which is to be ended after some epochs does not report any."""
    if count > 1 or context.until == 1:
        return None
    return (
        f"it reported '{context.metric}' once, at its end, and halving ends trials after some "
        "epochs: it must report after each one, or take the number of epochs as its budget"
    )


def _epochs_text(count: int, of: int | None) -> str:
    """Count the epochs that were run in words: `12 of 30 epochs`."""
    if of is not None and count < of:
        return f"{count} of {of} epochs"
    return "1 epoch" if count == 1 else f"{count} epochs"


def _unusable(metrics: dict[str, float | None], metric: str) -> str | None:
    """Say why the last metrics do not give a score; None when they do."""
    if not metrics:
        return f"the objective reported nothing; expected a number, or a dict with '{metric}'"
    if metric not in metrics:
        return f"the objective did not report '{metric}'; it reported: {', '.join(metrics)}"
    if metrics[metric] is None:
        return f"'{metric}' is not finite; expected a finite number"
    return None


def finite(value: float) -> float | None:
    """Return the value as JSON can hold it: None when it is not finite."""
    return float(value) if math.isfinite(value) else None


def _describe(error: BaseException) -> str:
    """Say what was raised: type and message first, then the way there, without our own part."""
    text = _named(error)
    from hpsearch.objectives.reported import ReportError

    if isinstance(error, ReportError):
        return text
    ours = str(Path(__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if not frame.filename.startswith(ours)]
    way = "".join(traceback.format_list(users or frames))
    return f"{text}\n{way}".strip()[:LONGEST_MESSAGE]


def _named(error: BaseException) -> str:
    """Return an exception's type and message; of what was reported wrongly only the message."""
    from hpsearch.objectives.reported import ReportError

    try:
        text = str(error)
    except Exception:
        return type(error).__name__
    return text if isinstance(error, ReportError) else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    sys.exit("hpsearch.child is started by hpsearch itself")
