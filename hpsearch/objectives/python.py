"""The user's own Python function: called with the parameters by name."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import textwrap
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from annotated_types import Ge, MinLen

from hpsearch.errors import nearest
from hpsearch.fields import STRICT, Matching, doc
from hpsearch.importing import BeginsSearchError, importing
from hpsearch.objectives.base import (
    Context,
    Metrics,
    Names,
    ObjectiveError,
    Steps,
    base_folder,
    seen_from,
)
from hpsearch.objectives.reported import ReportError, metrics_from
from hpsearch.trial import Params

TARGET = Matching(
    r"[^:\s][^:]*:[A-Za-z_]\w*",
    "a file or module and a function in it, such as train.py:score",
)
GIVEN = ("seed", "budget", "trial_dir", "start_epoch")
"""What a function gets when it has a parameter of that name."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """The keys of `objective` for a Python function."""

    __pydantic_config__ = STRICT

    python: Annotated[str, TARGET] = doc("file.py:function or module:function")
    folder: Annotated[str, MinLen(1)] | None = doc(
        "where the code is found; by default the config's own folder", default=None
    )
    epochs: Annotated[int, Ge(1)] | None = doc("what the function gets as budget", default=None)
    changes: tuple[dict[str, Any], ...] = doc(
        "parameters that change on the way: [{after: 10, learning_rate: 0.003}]", default=()
    )


@dataclass(frozen=True)
class PythonFunction:
    """Call a function of the user's, which returns a number or a dict, or yields one per epoch."""

    target: str
    home: str
    """The config's own folder."""
    place: str | None
    """The way from there to the code; None where that is there."""
    constants: Params
    budget: int | None
    changes: Sequence[Mapping[str, Any]] = ()
    """Parameters that change on the way: a generator is sent what is new after an epoch."""
    _loaded: list[Callable[..., Any]] = field(default_factory=list, compare=False)

    SECTION: ClassVar[type] = Section
    SETTINGS: ClassVar[type | None] = None
    METRICS: ClassVar[Mapping[str, str]] = {}
    NOT_FINITE: ClassVar[str] = "failed"
    FEWEST_EPOCHS: ClassVar[int] = 1

    @classmethod
    def build(cls, section: Section, folder: Path, constants: Params) -> Self:
        """Build the objective from its section of the config."""
        home = str(folder.resolve())
        return cls(section.python, home, section.folder, constants, section.epochs, section.changes)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Self:
        """Build the objective from plain data."""
        return cls(**{**spec, "changes": tuple(spec["changes"])})

    def spec(self) -> dict[str, Any]:
        """Return the objective as plain data."""
        return {
            "target": self.target,
            "home": self.home,
            "place": self.place,
            "constants": self.constants,
            "budget": self.budget,
            "changes": [dict(each) for each in self.changes],
        }

    def section(self, folder: Path) -> dict[str, Any]:
        """Return the objective's own keys in a config that is in `folder`."""
        place = seen_from(folder, Path(self.base))
        budget = {} if self.budget is None else {"epochs": self.budget}
        changes = {"changes": [dict(each) for each in self.changes]} if self.changes else {}
        found = {} if place == "." else {"folder": place}
        return {"python": self.target, **found, **budget, **changes}

    def data_section(self, folder: Path) -> dict[str, Any]:
        """Return nothing: the code reads its own data."""
        return {}

    def identity(self) -> dict[str, Any]:
        """Return what decides a result; the code itself may be mended between two commands."""
        changes = {"changes": [dict(each) for each in self.changes]} if self.changes else {}
        return {"objective": {"python": self.target, "epochs": self.budget, **changes}}

    def sources(self) -> dict[str, str]:
        """Return the hash of the function's file."""
        path = self._path
        if path is None or not path.is_file():
            return {}
        return {self.target.rpartition(":")[0]: hashlib.sha256(path.read_bytes()).hexdigest()}

    def folder(self) -> Path:
        """Return the config's folder."""
        return Path(self.home)

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
        """Say what is called."""
        return f"the function {self.target}"

    def problems(self, bounds: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with changes; all else only the function knows."""
        last, known = -1, {*self.constants, *bounds, "epochs"}
        for each in self.changes:
            after = each.get("after")
            if not isinstance(after, int) or isinstance(after, bool) or after <= last:
                text = "changes need 'after', a number of epochs, each larger than the one before"
                yield "changes", text
                return
            last = after
            for name in each.keys() - {"after"} - known:
                yield "changes", f"after epoch {after}: there is no parameter '{name}'"
                return
            ends = each.get("epochs", after)
            if not isinstance(ends, int) or ends != after:
                yield "changes", f"after epoch {after}: epochs, which ends it, can only be {after}"
                return

    def idle(self, bounds: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[str, str]]:
        """Yield nothing: a parameter that the function does not take is an error."""
        yield from ()

    @property
    def base(self) -> str:
        """The folder where the code is found."""
        return base_folder(Path(self.home), self.place)

    @property
    def _path(self) -> Path | None:
        """The function's file; None for a module."""
        module = self.target.rpartition(":")[0]
        return Path(os.path.normpath(Path(self.base) / module)) if module.endswith(".py") else None

    def prepare(self, names: Names) -> None:
        """Import the function and check that it takes the parameters.

        Raises:
            ObjectiveError: no such file, module or function, an exception while importing, a
                parameter that the function does not take, or one that nothing gives.
        """
        if self._loaded:
            return
        import numpy.random  # noqa: F401  so that it is seeded before code that imports it late

        module_name, _, function_name = self.target.rpartition(":")
        module = self._import(module_name)
        function = getattr(module, function_name, None)
        if not callable(function):
            callables = [
                name
                for name, value in vars(module).items()
                if inspect.isfunction(value) and not name.startswith("_")
            ]
            meant = nearest(function_name, callables)
            hint = f"Did you mean '{meant}'? " if meant else ""
            listed = ", ".join(callables) or "none"
            raise ObjectiveError(
                f"{module_name} has no function '{function_name}'\n{hint}Its functions: {listed}."
            )
        self._loaded.append(function)
        self._check_parameters(function, names)

    def _import(self, name: str) -> Any:
        with importing():
            return self._imported(name)

    def _imported(self, name: str) -> Any:
        path = self._path
        sys.path.insert(0, str(path.parent if path else self.base))
        if path and not path.is_file():
            near = {each.name: each for each in path.parent.glob("*.py")}
            meant = nearest(path.name, list(near))
            hint = f"\nDid you mean '{meant}'?" if meant else ""
            raise ObjectiveError(f"there is no file {path}{hint}")
        try:
            if path is None:
                return importlib.import_module(name)
            # A train.py is imported as `train`, but a json.py must not replace the library's.
            own = path.stem if path.stem not in sys.modules else f"objective_{path.stem}"
            spec = importlib.util.spec_from_file_location(own, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[module.__name__] = module
            with contextlib.suppress(BeginsSearchError):  # what it calls is defined above that
                spec.loader.exec_module(module)
            return module
        except BeginsSearchError:
            raise ObjectiveError(
                f"importing {name} begins a search\n"
                'Let only the script do that: if __name__ == "__main__": search(...)'
            ) from None
        except BaseException as error:
            advice = _where_it_failed(error)
            if isinstance(error, ModuleNotFoundError):
                advice = f"It is neither in {sys.path[0]} nor installed beside hpsearch.\n{advice}"
            raise ObjectiveError(
                f"importing {name} failed: {type(error).__name__}: {error}\n{advice}".rstrip()
            ) from None

    def _check_parameters(self, function: Callable[..., Any], names: Names) -> None:
        parameters = self._parameters
        if parameters is None:
            return
        by_name, any_name = _by_name(parameters)
        given = [*names.always, *self.constants]
        for name, parameter in parameters.items():
            if parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is parameter.empty:
                raise ObjectiveError(
                    f"the function {self.target} takes '{name}' by position only; "
                    "parameters are given by name\n"
                    "Remove the '/' from its definition."
                )
        repeats = self._repeats(names.repeats)
        lists = {part: name for name, parts in repeats.items() for part in parts}
        for name in [*given, *names.sometimes]:
            instead = [*repeats.get(name, ()), *([lists[name]] if name in lists else [])]
            one_by_one = bool(instead) and all(other in by_name for other in instead)
            if name not in by_name and not any_name and not one_by_one:
                meant = nearest(name, list(by_name))
                hint = f"Did you mean '{meant}'? " if meant else ""
                raise ObjectiveError(
                    f"the function {self.target} takes no parameter '{name}'\n"
                    f"{hint}It takes: {', '.join(by_name) or 'none'}."
                )
        for name, parameter in by_name.items():
            if parameter.default is not parameter.empty or name in given:
                continue
            if name in names:
                raise ObjectiveError(
                    f"the function {self.target} needs '{name}', which not every trial has\n"
                    f"Give it a default: def {function.__name__}(..., {name}=None)"
                )
            if name == "budget" and self.budget is None:
                raise ObjectiveError(
                    f"the function {self.target} needs 'budget', which objective.epochs gives\n"
                    f'Example: objective: {{python: "{self.target}", epochs: 30}}'
                )
            if name not in GIVEN:
                raise ObjectiveError(
                    f"the function {self.target} needs '{name}', which is not under parameters\n"
                    f"Add it there, or give it a default: def {function.__name__}(..., {name}=...)"
                )

    def steps(self) -> Steps:
        """Return whether the function asks for its budget, and for the epoch to go on from.

        Raises:
            ObjectiveError: it neither asks for a budget nor yields after each epoch.
        """
        function = self._loaded[0]
        asked = set(self._parameters or ())
        told = "budget" in asked and "budget" not in self.constants
        if not told and not inspect.isgeneratorfunction(function):
            raise ObjectiveError(
                f"halving ends trials after some epochs, but {self.target} neither takes a "
                "'budget' nor yields after each epoch\n"
                "Let it take the number of epochs as 'budget', or yield a number after each one."
            )
        return Steps(told, "start_epoch" in asked and "start_epoch" not in self.constants)

    def evaluate(
        self, params: Params, context: Context
    ) -> Generator[Metrics, bool | None, Metrics | None]:
        """Call the function with the parameters, and what else it asks for.

        A generator that ends by budget.time is closed, so that its `finally` runs.
        """
        before = {
            name: value
            for each in self.changes
            if each["after"] <= context.start
            for name, value in each.items()
        }
        given = {**self.constants, **params}
        given |= {name: value for name, value in before.items() if name in given}
        reported = self.call(given, context)
        if not isinstance(reported, Iterator):
            if self.changes:
                raise ReportError(f"{self.target} has changes, but yields no epochs")
            return metrics_from(reported, context.metric)
        epoch, news = context.start, None
        while True:
            try:
                each = reported.send(news) if isinstance(reported, Generator) else next(reported)
            except StopIteration:
                return None
            epoch += 1
            over = yield metrics_from(each, context.metric)
            news = next((dict(c) for c in self.changes if c["after"] == epoch), None)
            ends = news is not None and "epochs" in news
            if over or ends:
                if isinstance(reported, Generator):
                    reported.close()
                return None
            if news is not None:
                del news["after"]

    def call(self, given: Params, context: Context) -> Any:
        """Call the function with the parameters, and what else it asks for."""
        arguments = self._taken(given)
        arguments.update(self._asked_for(arguments, context))
        return self._loaded[0](**arguments)

    def takes_changes(self) -> bool:
        """Tell whether the function is a generator that reads what its `yield` gives."""
        function = self._loaded[0]
        if not inspect.isgeneratorfunction(function):
            return False
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        except (OSError, TypeError, SyntaxError):
            return True  # its source is not there to be read
        ignored = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        return any(
            isinstance(node, ast.Yield | ast.YieldFrom) and id(node) not in ignored
            for node in ast.walk(tree)
        )

    def _repeats(self, varied: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """Return the repeated parameters, those that do not vary any more too."""
        fixed = {
            name: [f"{name}_{number}" for number in range(1, len(value) + 1)]
            for name, value in self.constants.items()
            if isinstance(value, tuple | list) and value
        }
        known = {name: parts for name, parts in fixed.items() if set(parts) <= {*self.constants}}
        return {**known, **varied}

    @cached_property
    def _parameters(self) -> Mapping[str, inspect.Parameter] | None:
        """What the function takes; None for one written in C, which may not tell."""
        try:
            return inspect.signature(self._loaded[0]).parameters
        except (TypeError, ValueError):
            return None

    def _taken(self, given: Params) -> Params:
        """Leave out the list of a repeated parameter, or its repeats, if the function wants none.

        Everything else it must take, as was checked before.
        """
        if self._parameters is None:
            return given
        by_name, any_name = _by_name(self._parameters)
        return given if any_name else {n: value for n, value in given.items() if n in by_name}

    def _asked_for(self, arguments: Params, context: Context) -> dict[str, Any]:
        wanted = (self._parameters or {}).keys() - arguments.keys()
        found: dict[str, Any] = {}
        if "seed" in wanted:
            found["seed"] = context.seed
        if "budget" in wanted and context.budget is not None:  # else its own default holds
            found["budget"] = context.budget
        if "start_epoch" in wanted:
            found["start_epoch"] = context.start
        if "trial_dir" in wanted:
            found["trial_dir"] = context.made()
        return found


def _by_name(
    parameters: Mapping[str, inspect.Parameter],
) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return what a function takes by name, and whether it takes any name."""
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: p for name, p in parameters.items() if p.kind in kinds}, any_name


def _where_it_failed(error: BaseException) -> str:
    """Return the line of the user's code that was read last, as a traceback shows it."""
    import traceback

    if isinstance(error, SyntaxError):  # its text says the line, and no frame is at it
        return "".join(traceback.format_exception_only(error)[:-1]).rstrip()
    frames = traceback.extract_tb(error.__traceback__)
    skipped = (__file__, importlib.__file__)
    users = [
        f for f in frames if not f.filename.startswith("<frozen") and f.filename not in skipped
    ]
    return "".join(traceback.format_list(users[-1:])).rstrip()
