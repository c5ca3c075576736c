"""The user's own program, in any language: started once per trial, without a shell."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
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
    ObjectiveError,
    base_folder,
    seen_from,
)
from hpsearch.objectives.reported import ReportError, metrics_from
from hpsearch.trial import Params, plain

GIVEN = ("seed", "budget", "trial_dir", "params_file")
"""What a template may name beside the parameters."""
LONGEST_LINE = 1 << 20
"""Bytes of one line of output that are looked at."""


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


def text_of(value: Any) -> str:
    """Write a setting as an argument: numbers exactly, lists as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(plain(value))


@dataclass(frozen=True)
class Command:
    """Start a program per trial, and read the metric from what it prints."""

    command: str
    base: str
    """The config's folder, where the program runs."""
    constants: Params
    budget: int | None
    pattern: str | None

    SECTION: ClassVar[type] = Section
    SETTINGS: ClassVar[type | None] = None
    METRICS: ClassVar[Mapping[str, str]] = {}
    NOT_FINITE: ClassVar[str] = "failed"

    @classmethod
    def build(cls, section: Section, folder: Path, constants: Params, pattern: str | None) -> Self:
        """Build the objective from its section of the config and the metric's pattern."""
        return cls(
            section.command, base_folder(folder, section.folder), constants, section.epochs, pattern
        )

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Self:
        """Build the objective from plain data."""
        return cls(**spec)

    def spec(self) -> dict[str, Any]:
        """Return the objective as plain data."""
        return {
            "command": self.command,
            "base": self.base,
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
            if "{" not in argument and path.is_file() and path.stat().st_size < 1 << 24:
                found[argument] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def folder(self) -> Path:
        """Return the config's folder."""
        return Path(self.base)

    def epochs(self, params: Params) -> int | None:
        """Return the budget."""
        return self.budget

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

    def prepare(self, names: Iterable[str]) -> None:
        """Check the template and that there is such a program.

        Raises:
            ObjectiveError: a quote or brace is not closed, a name that is no parameter, no such
                program, or a pattern that is no regular expression with a group.
        """
        known = [*names, *self.constants, *GIVEN]
        try:
            arguments = [
                fill(each, dict.fromkeys(known, "0")) for each in split_template(self.command)
            ]
        except KeyError as error:
            name = str(error.args[0])
            meant = nearest(name, known)
            hint = f"Did you mean '{{{meant}}}'? " if meant else ""
            raise ObjectiveError(
                f"the command names {{{name}}}, which is no parameter\n"
                f"{hint}Known: {', '.join(known)}."
            ) from None
        except ValueError as error:
            raise ObjectiveError(f"the command cannot be read: {error}") from None
        program = arguments[0]
        if not self._program(program):
            raise ObjectiveError(
                f"there is no program '{program}', neither on the PATH nor in {self.base}"
            )
        if self.pattern is not None:
            try:
                groups = re.compile(self.pattern).groups
            except re.error as error:
                raise ObjectiveError(f"the pattern is no regular expression: {error}") from None
            if groups < 1:
                raise ObjectiveError("the pattern needs a group around the number: acc=([0-9.]+)")

    def _program(self, name: str) -> str | None:
        """Return the path of a program; `python` is the one that runs hpsearch."""
        if name in ("python", "python3"):
            return sys.executable
        if "/" in name:
            return shutil.which(str(Path(self.base) / name))
        return shutil.which(name)

    def evaluate(self, params: Params, context: Context) -> Iterator[Metrics]:
        """Start the program and yield the metrics that it prints."""
        given = {**self.constants, **params}
        values = {name: text_of(value) for name, value in given.items()}
        values |= {"seed": str(context.seed), "budget": text_of(context.budget)}
        if "{trial_dir}" in self.command:
            values["trial_dir"] = str(context.made())
        if "{params_file}" in self.command:
            file = context.made() / "params.json"
            file.write_text(json.dumps({k: plain(v) for k, v in given.items()}), encoding="utf-8")
            values["params_file"] = str(file)
        program, *arguments = [fill(each, values) for each in split_template(self.command)]
        environment = {variable(name): value for name, value in values.items()}
        try:
            process = subprocess.Popen(
                [self._program(program) or program, *arguments],
                cwd=self.base,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
        except OSError as error:
            raise ReportError(f"the program '{program}' cannot start: {error.strerror}") from None
        assert process.stdout is not None
        reports, printed = 0, b""
        with process:
            for line in _lines(process.stdout):
                sys.stderr.buffer.write(line)  # what it prints belongs to the trial's log
                printed = (printed + line)[-LONGEST_LINE:]
                reported = self._reported(line, context.metric)
                if reported is not None:
                    reports += 1
                    yield reported
            sys.stderr.flush()
        code = process.returncode
        if code < 0:
            raise CrashedError(f"the program was ended by {signal.Signals(-code).name}")
        if code > 0:
            raise ReportError(f"the program ended with exit code {code}")
        if not reports:
            yield self._reported_at_the_end(printed, context.metric)

    def _reported(self, line: bytes, metric: str) -> dict[str, float] | None:
        text = line.decode(errors="replace").strip()
        if self.pattern is not None:
            match = re.search(self.pattern, text)
            if match is None:
                return None
            try:
                return {metric: float(match[1])}
            except (TypeError, ValueError):
                raise ReportError(f"the pattern found {match[1]!r}, not a number") from None
        return _metrics_in(text, metric) if text.startswith("{") else None

    def _reported_at_the_end(self, printed: bytes, metric: str) -> dict[str, float]:
        """Find the metric in a JSON object of several lines, the last one printed."""
        if self.pattern is not None:
            raise ReportError(f"the program printed nothing that matches {self.pattern!r}")
        text = printed.decode(errors="replace").rstrip()
        for start in reversed([match.start() for match in re.finditer(r"^\{", text, re.M)]):
            found = _metrics_in(text[start:], metric)
            if found is not None:
                return found
        example = json.dumps({metric: 0.5})
        raise ReportError(f"the program printed no JSON object with the metric, such as {example}")


def _metrics_in(text: str, metric: str) -> dict[str, float] | None:
    """Return the metrics of the JSON object that a text begins with, if it has the one sought."""
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None
    if not isinstance(found, dict) or metric not in found:
        return None
    others = {
        name: value
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return metrics_from({**others, metric: found[metric]}, metric)


def variable(name: str) -> str:
    """Return the environment variable in which a parameter is passed."""
    return f"HPSEARCH_PARAM_{name.upper()}" if name not in GIVEN else f"HPSEARCH_{name.upper()}"


def _lines(stream: Any) -> Iterator[bytes]:
    """Read lines, an endless one in pieces."""
    while line := stream.readline(LONGEST_LINE):
        yield line
