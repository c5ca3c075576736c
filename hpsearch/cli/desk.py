"""The screen of `hpsearch panda`: a learning curve that grows, and a line to type on."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import shutil
import signal
import sys
import textwrap
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from types import FrameType

    from hpsearch.panda import Panda
    from hpsearch.story import Metrics, Story

MORE = 0.05
"""Seconds between two drawings while epochs go by."""
LOOK = 0.5
"""Seconds after which the size of the terminal is looked at again."""
CTRL_C = "\x03"
MESSAGE_LINES = 4
TOLD = 3
"""Acts that are shown, the last ones."""

KEYS = {
    "Enter": "train a day; any key pauses after the present epoch",
    "day NUMBER": "how many epochs a day has from now on",
    "help": "this page",
    "Ctrl-C": "leave; where a function is in an epoch, end that and come back here",
    "quit": "leave: hpsearch panda RUN goes on, nothing is lost",
}
"""What can be typed beside acts."""


class Work:
    """Something that runs beside the screen; a byte in a pipe tells of its end."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self.done, self._end = os.pipe()
        threading.Thread(target=self._run, args=(do,), daemon=True).start()

    def _run(self, do: Callable[[], Any]) -> None:
        try:
            self.result = do()
        except BaseException as error:  # it is told to whoever watches
            self.error = error
        os.write(self._end, b".")

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self.done)
        os.close(self._end)


class LeaveError(Exception):
    """The person, or a signal, ends the session; the argument is the exit code."""


class Desk:
    """One session at a terminal.

    day: Epochs after which it pauses.
    """

    def __init__(self, model: Panda, day: int, name: str) -> None:
        self.model, self.day, self.name = model, day, name
        self.left = 0
        """Epochs to train before the next pause."""
        self.typed = ""
        self.message = f"Enter trains {day} epochs. Type help for all that you can do."
        self.helps = False
        self.pausing = False
        self.interrupting = False
        self.work: Work | None = None
        self._after: Callable[[Any], None] = lambda result: None
        self._keys: deque[str] = deque()
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._out: TextIO = sys.stdout
        self._drawn = 0.0
        self._last: list[str] = []

    @property
    def story(self) -> Story:
        """What happened so far."""
        return self.model.story

    def run(self) -> int:
        """Show the screen until the person leaves; return the exit code."""
        self._tell_state()
        with _raw_terminal(self._out), _signals():
            try:
                while True:
                    self._draw()
                    self._wait()
                    while self.work is None and not self.left and self._keys:
                        self._key(self._keys.popleft())
                    if self.work is None and self.left > 0:
                        self._train()
            except LeaveError as leave:
                code: int = leave.args[0]
            except KeyboardInterrupt:
                code = 130
        return code

    # Work

    def _begin(self, do: Callable[[], Any], after: Callable[[Any], None]) -> None:
        self.work, self._after = Work(do), after

    def _finish(self) -> None:
        from hpsearch.objectives.by_hand import FailedError, StoppedError

        work, self.work = self.work, None
        assert work is not None
        work.close()
        if work.error is None:
            self._after(work.result)
            return
        if not isinstance(work.error, FailedError | StoppedError):
            raise work.error
        epoch, text = self.story.epoch, " ".join(str(work.error).split())
        self.left, self.pausing = 0, False
        self.message = f"Epoch {epoch + 1} was interrupted."
        if isinstance(work.error, FailedError):
            self.message = f"The training failed after epoch {epoch}: {text}."
        self.message += f" Enter tries again, back {epoch} undoes what was done there."

    def _interrupt(self) -> None:
        """End the epoch that a function is in, or leave where that cannot be."""
        if self.interrupting or not self.left or not self.model.interrupt():
            raise LeaveError(130)
        self.interrupting = True

    def _train(self) -> None:
        self.interrupting = False
        self._begin(self.model.compute, self._took)

    def _took(self, found: tuple[Metrics | None, float]) -> None:
        self.model.took(*found)
        self.left -= 1
        if self.pausing or self.story.finished or self.story.broken():
            self.left = 0
        if not self.left:
            self.pausing = False
            self._tell_state()

    def _tell_state(self) -> None:
        story = self.story
        if story.broken():
            self.message = "The training diverged. Go back to an earlier epoch: back EPOCH"
        elif story.finished:
            longer = "" if story.length is None else f", epochs {2 * story.epoch} goes on"
            self.message = f"The training has ended. back EPOCH returns{longer}, quit leaves."
        elif story.epoch:
            self.message = f"Enter trains {self.day} more epochs. What do you want to change?"

    # Keys

    def _wait(self) -> None:
        """Wait for a key, for the end of the work, or a moment."""
        watched = [0] if self.work is None else [0, self.work.done]
        quiet = LOOK if self._drawn_all else MORE
        ready, _, _ = select.select(watched, [], [], quiet)
        if 0 in ready:
            data = os.read(0, 1 << 12)
            if not data:  # the terminal is gone
                raise LeaveError(129)
            keys = [*_pressed(self._decoder.decode(data))]
            if self.work is not None and CTRL_C in keys:
                self._interrupt()
                self.typed = ""
                self._keys.clear()
                keys.clear()
            self._keys.extend(keys)
            if self.work is not None and self._keys:
                self._pause()
        if self.work is not None and self.work.done in ready:
            self._finish()

    def _pause(self) -> None:
        """Stop after this epoch, as a key was pressed, and take what is typed."""
        from hpsearch.objectives.python import PythonFunction

        if self.left and not self.pausing:
            self.pausing = True
            if isinstance(self.model.objective, PythonFunction):  # its epochs may be long
                self.message = "Pausing when this epoch has ended. Ctrl-C ends it now."
            if self._keys[0] in ("\n", " "):
                self._keys.popleft()
        while self._keys and self._keys[0] != "\n":  # a line waits for the end of the epoch
            self._key(self._keys.popleft())

    def _key(self, key: str) -> None:
        if key == CTRL_C:
            raise LeaveError(130)
        if key == "\x04" and not self.typed:
            raise LeaveError(0)
        if self.helps:
            self.helps = False
            if key == "\n":
                return
        if key == "\n":
            line, self.typed = " ".join(self.typed.split()), ""
            self._line(line)
        elif key in ("\x7f", "\b"):
            self.typed = self.typed[:-1]
        elif key == "\x15":
            self.typed = ""
        elif key.isprintable():
            self.typed += key

    def _line(self, line: str) -> None:
        from hpsearch.panda import QUIT, read_act
        from hpsearch.story import ActError

        word, _, rest = line.partition(" ")
        if not line:
            self._go_on()
        elif line in QUIT:
            raise LeaveError(0)
        elif line in ("help", "?"):
            self.helps = True
        elif word == "day":
            if rest.isdecimal() and 0 < int(rest) <= 1_000_000:
                self.day = int(rest)
                self.message = f"A day has {_epochs(self.day)} now."
            else:
                self.message = "day needs a number of epochs: day 5"
        else:
            try:
                event = read_act(self.model.config, self.model.objective, self.story, line)
                self.model.check(event)
            except ActError as error:
                self.message = " ".join(str(error).split())
                return
            said = event.get("result") or line

            def after(result: None) -> None:
                self.message = f"{said}: from epoch {self.story.epoch + 1} on. Enter trains."
                if event["act"] == "note":
                    self.message = "Noted."
                if event["act"] == "fork":
                    self.message = f"This is branch {self.story.current} now. Enter trains."
                if event["act"] == "stop":
                    raise LeaveError(0)
                if self.story.finished or self.story.broken():
                    self._tell_state()

            self._begin(lambda: self.model.act(event), after)

    def _go_on(self) -> None:
        if self.story.finished or self.story.broken():
            self._tell_state()
        else:
            self.left, self.message = self.day, ""

    # Drawing

    def _draw(self) -> None:
        from rich.cells import cell_len

        now = time.monotonic()
        self._drawn_all = not self.left or now - self._drawn >= MORE
        if not self._drawn_all:
            return
        self._drawn = now
        width, height = shutil.get_terminal_size()
        unicode = "utf" in (self._out.encoding or "").lower()
        lines = self.screen(width, height, unicode=unicode)
        if lines == self._last:
            return
        self._last = lines
        column = cell_len(lines[-1]) + 1
        body = "\r\n".join(f"{line}\x1b[K" for line in lines)
        self._out.write(f"\x1b[?25l\x1b[H{body}\x1b[J\x1b[{len(lines)};{column}H\x1b[?25h")
        self._out.flush()

    def screen(self, width: int, height: int, *, unicode: bool) -> list[str]:
        """Return what the terminal shows, line by line; the last one is typed on."""
        from hpsearch.panda import ACTS

        state = "pausing" if self.pausing else "training" if self.left else ""
        title = self._title()
        top = [
            f"{title[: width - len(state) - 3]}  {state}" if state else title,
            self._scores(),
            self._figures(),
        ]
        prompt = _last_columns(f"> {self.typed}", width - 1)
        message = textwrap.wrap(
            self.message, max(10, width - 1), max_lines=MESSAGE_LINES, placeholder=" ..."
        )
        told = [] if self.helps else self._told()
        room = height - len(top) - len(message) - len(told) - 1
        if self.helps:
            names = {**ACTS, **KEYS}
            longest = max(map(len, names))
            middle = [f"  {name:<{longest}}  {text}" for name, text in names.items()]
        elif room >= 5:
            middle = self._chart(width - 1, room, unicode=unicode)
        else:
            middle, told = [], []
        middle = middle[: max(0, room)]
        middle += [""] * (room - len(middle))
        lines = [_columns(each, width - 1) for each in [*top, *middle, *told, *message]]
        return [*lines[: max(0, height - 1)], prompt]

    def _title(self) -> str:
        story = self.story
        of = "" if story.length is None else f" of {story.length}"
        branches = len(story.branches)
        branch = f"  branch {story.current} of {branches}" if branches > 1 else ""
        return f"{self.name}  epoch {story.epoch}{of}{branch}"

    def _scores(self) -> str:
        """Return the line of the figures now and at their best."""
        from hpsearch.report.table import measure_text

        story = self.story
        if not story.epoch:
            return "not trained yet"
        text, best, last = measure_text(story.metric), story.best(), story.path()[-1]
        now = last.get(story.metric)
        parts = [f"{story.metric} {'not finite' if now is None else text(now)}"]
        if best is not None:
            parts.append(f"best {text(best[1])} at epoch {best[0]}")
        beside = self._beside()
        if beside and last.get(beside) is not None:
            parts.append(f"{beside} {text(last[beside])}")
        own = story.branch.metrics
        if own:
            parts.append(f"{story.branch.seconds / len(own):.2g} s an epoch")
        return "  ".join(parts)

    def _beside(self) -> str:
        """Return the metric of the training set that is drawn beside that of the dev set."""
        metric, path = self.story.metric, self.story.path()
        other = metric.replace("dev_", "train_", 1) if metric.startswith("dev_") else ""
        return other if path and other in path[0] else ""

    def _figures(self) -> str:
        """Return the line of hyperparameters."""
        from hpsearch.objectives.mlp import MLP
        from hpsearch.panda import settings_now
        from hpsearch.space import option_text

        objective = self.model.objective
        now = settings_now(objective, self.story)
        names = [*now]
        if isinstance(objective, MLP):
            base = objective.settings({})
            used = {
                "momentum": base.optimizer in ("momentum", "adam"),
                "beta2": base.optimizer in ("rmsprop", "adam"),
                "l2": bool(now["l2"]),
                "keep_prob": now["keep_prob"] != 1,
                "decay": now["decay"] != "none",
            }
            names = ["learning_rate", *(name for name, is_used in used.items() if is_used)]
            names.insert(1, "batch_size")
        parts = [f"{name} {option_text(now[name])}" for name in names]
        return "  ".join(parts)

    def _chart(self, width: int, height: int, *, unicode: bool) -> list[str]:
        from hpsearch.report.table import measure_text
        from hpsearch.report.terminal import chart_text

        story = self.story
        dot, small, cross = ("●", "·", "×") if unicode else ("*", ".", "x")
        metric, beside = story.metric, self._beside()
        others = [each.number for each in story.branches if each.number != story.current]
        curves: list[tuple[str, list[float | None]]] = [
            (cross, [*[None] * story.at(each).start, *_own(story, each)]) for each in others
        ]
        legend = [f"{dot} {metric}"]
        if beside:
            curves.append((small, story.curve(metric=beside)))
            legend.append(f"{small} {beside}")
        if others:
            legend.append(f"{cross} {metric} of other branches")
        curves.append((dot, story.curve()))
        marks = [told.epoch for told in story.on_path() if told.epoch]
        legend += ["^ an act"] if marks else []
        longest = max([1, *(len(values) for _, values in curves)])
        last = max(2 * longest, 20)
        last = last if story.length is None else max(longest, min(last, story.length))
        drawn = chart_text(curves, measure_text(metric), width, height - 1, last=last, marks=marks)
        return ["   ".join(legend), *drawn]

    def _told(self) -> list[str]:
        """Return the last acts."""
        return [
            f"at {told.epoch}: {told.text}" + (f" ({told.result})" if told.result else "")
            for told in self.story.acts[-TOLD:]
        ]


def _own(story: Story, number: int) -> list[float | None]:
    return [each.get(story.metric) for each in story.at(number).metrics]


def _columns(text: str, width: int) -> str:
    """Cut what is too long for so many columns; some letters take two of them."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= width else set_cell_size(text, width).rstrip()


def _last_columns(text: str, width: int) -> str:
    from rich.cells import cell_len

    while cell_len(text) > width:
        text = text[1:]
    return text


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def _pressed(text: str) -> Iterator[str]:
    """Yield keys; what arrows and the like send is left out."""
    import re

    text = re.sub(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|O.|.)?", "", text)
    yield from text.replace("\r\n", "\n").replace("\r", "\n")


@contextlib.contextmanager
def _raw_terminal(out: TextIO) -> Iterator[None]:
    """Take keys one by one and the whole screen; give both back however this ends."""
    import termios
    import tty

    before = termios.tcgetattr(0)
    tty.setcbreak(0)
    ours = termios.tcgetattr(0)
    # Ctrl-C is a key like others, so that it is read when nothing is half done.
    ours[6][termios.VINTR] = bytes([os.fpathconf(0, "PC_VDISABLE")])
    termios.tcsetattr(0, termios.TCSADRAIN, ours)
    out.write("\x1b[?1049h\x1b[2J")
    out.flush()
    try:
        yield
    finally:
        try:
            out.write("\x1b[?25h\x1b[?1049l")
            out.flush()
            termios.tcsetattr(0, termios.TCSADRAIN, before)
        except (OSError, termios.error):  # it was closed: nobody reads what we say from now on
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nowhere, descriptor)
            os.close(nowhere)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the session in order."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise LeaveError(128 + number)

    known = (signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.signal(each, handle) for each in known}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
