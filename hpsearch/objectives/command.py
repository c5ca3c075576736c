"""The user's own program, in any language: started once per trial, without a shell."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from annotated_types import Ge, MinLen

from hpsearch.errors import nearest
from hpsearch.fields import STRICT, doc
from hpsearch.objectives.base import (
    Context,
    CrashedError,
    Metrics,
    Names,
    ObjectiveError,
    Steps,
    base_folder,
    seen_from,
)
from hpsearch.objectives.reported import ReportError, metrics_from
from hpsearch.trial import Params, plain

GIVEN = ("seed", "budget", "trial_dir", "params_file", "start_epoch")
"""What a template may name beside the parameters."""
INTERPRETERS = ("python", "python3", "sh", "bash")
"""Programs whose first argument, unless it is an option, is the file that they run."""
LONGEST_LINE = 1 << 20
"""Bytes of one line of output that are looked at."""
TICK = 0.1
"""Seconds between two looks at whether a silent program still runs."""
GRACE = 1.0
"""Seconds between the request to end and SIGKILL."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """The keys of `objective` for a program."""

    __pydantic_config__ = STRICT

    command: Annotated[str, MinLen(1)] = doc("the program and its arguments, with {parameter}")
    folder: Annotated[str, MinLen(1)] | None = doc(
        "where the code is found; by default the config's own folder", default=None
    )
    epochs: Annotated[int, Ge(1)] | None = doc("what the program gets as {budget}", default=None)


def split_template(command: str) -> list[str]:
    """Split a template into arguments, as a shell would; values are filled in afterwards.

    Raises:
        ValueError: a quote is not closed, or nothing is left.
    """
    arguments = shlex.split(command)
    if not arguments:
        raise ValueError("it is empty")
    return arguments


def fill(argument: str, values: Mapping[str, str]) -> str:
    """Replace each {name} by its value and {{ and }} by braces; a value is never looked into.

    Raises:
        ValueError: a brace that is not closed, or opens nothing.
        KeyError: a name that has no value.
    """

    def one(match: re.Match[str]) -> str:
        text = match[0]
        if text in ("{{", "}}"):
            return text[0]
        name = re.fullmatch(r"\{([A-Za-z_]\w*)\}", text)
        if not name:
            raise ValueError(f"{text!r} is no {{name}}; a brace itself is written twice")
        return values[name[1]]

    return re.sub(r"\{\{|\}\}|\{[^{}]*\}|[{}]", one, argument)


def filled(arguments: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Fill a whole template; what names a parameter that this setting does not have is left out.

    So is the option before it: of `--beta2 {beta2}` both.
    """
    words: list[tuple[str, bool]] = []
    for argument in arguments:
        try:
            word = fill(argument, values)
        except KeyError:
            if words and words[-1][1]:
                words.pop()
            continue
        words.append((word, word == argument and word.startswith("-") and "=" not in word))
    return [word for word, _ in words]


def text_of(value: Any) -> str:
    """Write a setting as an argument: numbers exactly, lists as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(plain(value))


@dataclass(frozen=True)
class Command:
    """Start a program per trial, and read the metric from what it prints."""

    command: str
    home: str
    """The config's own folder."""
    place: str | None
    """The way from there to the code; None where that is there."""
    constants: Params
    budget: int | None
    pattern: str | None

    SECTION: ClassVar[type] = Section
    SETTINGS: ClassVar[type | None] = None
    METRICS: ClassVar[Mapping[str, str]] = {}
    NOT_FINITE: ClassVar[str] = "failed"
    FEWEST_EPOCHS: ClassVar[int] = 2
    """The first may be the only one, and what the program does after it the end of its work."""

    @classmethod
    def build(cls, section: Section, folder: Path, constants: Params, pattern: str | None) -> Self:
        """Build the objective from its section of the config and the metric's pattern."""
        home = str(folder.resolve())
        return cls(section.command, home, section.folder, constants, section.epochs, pattern)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Self:
        """Build the objective from plain data."""
        return cls(**spec)

    def spec(self) -> dict[str, Any]:
        """Return the objective as plain data."""
        return {
            "command": self.command,
            "home": self.home,
            "place": self.place,
            "constants": self.constants,
            "budget": self.budget,
            "pattern": self.pattern,
        }

    def section(self, folder: Path) -> dict[str, Any]:
        """Return the objective's own keys in a config that is in `folder`."""
        place = seen_from(folder, Path(self.base))
        budget = {} if self.budget is None else {"epochs": self.budget}
        return {"command": self.command, **({} if place == "." else {"folder": place}), **budget}

    def data_section(self, folder: Path) -> dict[str, Any]:
        """Return nothing: the code reads its own data."""
        return {}

    def identity(self) -> dict[str, Any]:
        """Return what decides a result; the program itself may be mended between two commands."""
        return {
            "objective": {
                "command": self.command,
                "epochs": self.budget,
                "pattern": self.pattern,
            }
        }

    def sources(self) -> dict[str, str]:
        """Return the hashes of the files that the command names."""
        found = {}
        for argument in split_template(self.command):
            path = Path(self.base) / argument
            with contextlib.suppress(OSError):  # a text too long for a name is no file either
                if "{" not in argument and path.is_file() and path.stat().st_size < 1 << 24:
                    found[argument] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def folder(self) -> Path:
        """Return the config's folder."""
        return Path(self.home)

    @property
    def base(self) -> str:
        """The folder where the program runs."""
        return base_folder(Path(self.home), self.place)

    def epochs(self, params: Params) -> int | None:
        """Return the budget."""
        return self.budget

    @property
    def metrics(self) -> Mapping[str, str]:
        """Nothing: only the user knows."""
        return self.METRICS

    def notes(self) -> tuple[str, ...]:
        """Say nothing: the user's code knows its data."""
        return ()

    def about(self) -> str:
        """Say what is started."""
        return f"the command {self.command}"

    def problems(self, bounds: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[str, str]]:
        """Yield nothing: only the program knows what clashes."""
        yield from ()

    def idle(self, bounds: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[str, str]]:
        """Yield the parameters that the template does not name and no file passes on."""
        named = set(re.findall(r"\{(\w+)\}", self.command))
        if "params_file" not in named:
            for name in bounds:
                if name not in named:
                    yield (
                        name,
                        f"the command does not name it: add {{{name}}}, or read it from the "
                        f"environment as {variable(name)}",
                    )

    def prepare(self, names: Names) -> None:
        """Check the template and that there is such a program.

        Raises:
            ObjectiveError: a quote or brace is not closed, a name that is no parameter, two that
                differ only in case, no such program, or no such script for it to run.
        """
        known = list(dict.fromkeys([*names, *self.constants, *self._given]))
        variables: dict[str, str] = {}
        for name in known:
            other = variables.setdefault(variable(name), name)
            if other != name:
                raise ObjectiveError(
                    f"the parameters '{other}' and '{name}' would share the environment variable "
                    f"{variable(name)}: rename one of them"
                )
        try:
            program, *_ = arguments = split_template(self.command)
            for each in arguments:
                fill(each, dict.fromkeys(known, ""))
        except KeyError as error:
            name = str(error.args[0])
            if name == "budget":
                raise ObjectiveError(
                    "the command names {budget}, which objective.epochs gives\n"
                    "Example: objective: {command: ..., epochs: 30}"
                ) from None
            meant = nearest(name, known)
            hint = f"Did you mean '{{{meant}}}'? " if meant else ""
            raise ObjectiveError(
                f"the command names {{{name}}}, which is no parameter\n"
                f"{hint}Known: {', '.join(known)}."
            ) from None
        except ValueError as error:
            raise ObjectiveError(f"the command cannot be read: {error}") from None
        if "{" not in program and not self._program(program):
            raise ObjectiveError(self._why_no_program(program))
        script = arguments[1] if len(arguments) > 1 else "-"
        runs_it = program in INTERPRETERS and not script.startswith("-") and "{" not in script
        if runs_it and not (Path(self.base) / script).exists():
            raise ObjectiveError(self._why_no_script(script))

    @property
    def _given(self) -> tuple[str, ...]:
        """What a template may name beside the parameters, as the config stands."""
        return tuple(name for name in GIVEN if name != "budget" or self.budget is not None)

    def _why_no_program(self, name: str) -> str:
        path = Path(self.base) / name
        if path.is_file() and "/" in name:
            return f"the program '{name}' may not be executed\nTo allow it: chmod +x {path}"
        if path.is_file():
            return f"there is no program '{name}' on the PATH\nFor the file write ./{name}"
        where = self.base if "/" in name else "the PATH"
        return f"there is no program '{name}' {'in' if '/' in name else 'on'} {where}"

    def _why_no_script(self, name: str) -> str:
        path = Path(self.base) / name
        beside = [each.name for each in path.parent.glob(f"*{path.suffix}") if each.is_file()]
        meant = nearest(path.name, sorted(beside))
        hint = f"\nDid you mean '{Path(name).parent / meant}'?" if meant else ""
        return f"there is no file {path}{hint}"

    def _program(self, name: str) -> str | None:
        """Return the path of a program; `python` is the one that runs hpsearch."""
        if name in ("python", "python3"):
            return sys.executable
        if "/" in name:
            return shutil.which(str(Path(self.base) / name))
        return shutil.which(name)

    def steps(self) -> Steps:
        """Return whether the command names its budget, and the epoch to go on from."""
        named = set(re.findall(r"\{(\w+)\}", self.command))
        return Steps("budget" in named, "start_epoch" in named)

    def evaluate(self, params: Params, context: Context) -> Generator[Metrics, bool | None, None]:
        """Start the program and yield the metrics that it prints.

        One that ends by budget.time gets SIGTERM and a moment to end, with all that it started; how
        it ends then is no failure.
        """
        given = {**self.constants, **params}
        values = {name: text_of(value) for name, value in given.items()}
        values["seed"] = str(context.seed)
        values["start_epoch"] = str(context.start)
        if context.budget is not None:
            values["budget"] = str(context.budget)
        if "{trial_dir}" in self.command:
            values["trial_dir"] = str(context.made())
        if "{params_file}" in self.command:
            file = context.made() / "params.json"
            file.write_text(json.dumps({k: plain(v) for k, v in given.items()}), encoding="utf-8")
            values["params_file"] = str(file)
        program, *arguments = filled(split_template(self.command), values)
        environment = {variable(name): value for name, value in values.items()}
        try:
            process = subprocess.Popen(
                [self._program(program) or program, *arguments],
                cwd=self.base,
                env={"PYTHONUNBUFFERED": "1", **os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise ReportError(f"the program '{program}' cannot start: {error.strerror}") from None
        except ValueError as error:  # a text that no program can be given
            raise ReportError(f"the program '{program}' cannot start: {error}") from None
        reports = 0
        with process:
            try:
                for metrics in self._reported(_lines(process), context.metric):
                    reports += 1
                    if (yield metrics):
                        _end(process)
                        return
            except BaseException:
                process.kill()
                raise
        code = process.returncode
        if code < 0:
            raise CrashedError(f"the program was ended by {_signal_name(-code)}")
        if code > 0:
            raise ReportError(f"the program ended with exit code {code}")
        if not reports:
            example = f"no JSON object with the metric, such as {json.dumps({context.metric: 0.5})}"
            wanted = f"nothing that matches {self.pattern!r}" if self.pattern else example
            raise ReportError(f"the program printed {wanted}")

    def _reported(self, lines: Iterable[str], metric: str) -> Iterator[dict[str, float]]:
        """Yield what each line that the pattern matches, or each JSON object, says."""
        if self.pattern is None:
            yield from (_metrics(found, metric) for found in json_objects(lines) if metric in found)
            return
        for line in lines:
            match = re.search(self.pattern, line.strip())
            if match is None:
                continue
            try:
                yield {metric: float(match[1])}
            except (TypeError, ValueError):
                raise ReportError(f"the pattern found {match[1]!r}, not a number") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a program and all that it started to end, and kill what is left after a moment."""
    import psutil

    family = []
    with contextlib.suppress(psutil.Error):
        program = psutil.Process(process.pid)
        family = [program, *program.children(recursive=True)]
    for each in family:
        with contextlib.suppress(psutil.Error):
            each.terminate()
    _, left = psutil.wait_procs(family, GRACE)
    for each in left:
        with contextlib.suppress(psutil.Error):
            each.kill()


def check_pattern(pattern: str) -> None:
    """Check that a pattern is a regular expression with a group.

    Raises:
        ValueError: it is not.
    """
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"it is no regular expression: {error}") from None
    if groups < 1:
        raise ValueError("it needs a group around the number: acc=([0-9.]+)")


def json_objects(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that begin a line, as soon as each is complete.

    One of several lines ends with a brace under its first one; its inner ones stand further right.
    """
    begun: list[str] = []
    size = 0
    for line in lines:
        text = line.lstrip()
        outside = not begun or _indent(line) <= _indent(begun[0])
        if text.startswith("{") and outside:
            yield from _object(begun)
            begun, size = [], 0
        elif not begun:
            continue
        begun.append(line)
        size += len(line)
        if len(begun) == 1 or (text.startswith("}") and outside):
            complete = list(_object(begun))
            yield from complete
            begun = [] if complete else begun
        if size > LONGEST_LINE:
            begun = []
    yield from _object(begun)


def _object(lines: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the JSON object that lines begin with, if it is whole."""
    with contextlib.suppress(ValueError, RecursionError):
        found, _ = json.JSONDecoder().raw_decode("".join(lines).lstrip())
        if isinstance(found, dict):
            yield found


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _metrics(found: Mapping[str, Any], metric: str) -> dict[str, float]:
    """Return the numbers in a JSON object; null for the metric is one that is not finite."""
    numbers = {
        name: value
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    value = float("nan") if found[metric] is None else found[metric]
    return metrics_from({**numbers, metric: value}, metric)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals, which have no names
        return f"signal {number}"


def variable(name: str) -> str:
    """Return the environment variable in which a parameter is passed."""
    return f"HPSEARCH_PARAM_{name.upper()}" if name not in GIVEN else f"HPSEARCH_{name.upper()}"


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield the lines on a program's stdout, and copy all that it prints to the trial's log.

    What waits on stdout is copied before what waits on stderr: why a program ended comes last.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            ready = {key.fileobj for key, _ in selector.select(TICK)}
            if not ready and process.poll() is not None:
                break  # what it left running in the background holds the pipes
            for stream in (process.stdout, process.stderr):
                if stream not in ready:
                    continue
                data = os.read(stream.fileno(), 1 << 16)
                if not data:
                    selector.unregister(stream)
                sys.stderr.buffer.write(data)
                sys.stderr.buffer.flush()
                if stream is process.stdout:
                    *lines, rest = (rest + data).split(b"\n")
                    yield from map(_text, lines)
                    if len(rest) > LONGEST_LINE:
                        yield _text(rest)
                        rest = b""
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    """Decode a line; of one that was written over, what a terminal shows in the end."""
    return line.decode(errors="replace").rstrip().rsplit("\r", 1)[-1] + "\n"
