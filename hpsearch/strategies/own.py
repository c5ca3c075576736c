"""The user's own strategy: a Python class with the same `suggest`."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import inspect
import json
import math
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from hpsearch.errors import nearest
from hpsearch.fields import Matching
from hpsearch.importing import BeginsSearchError, importing
from hpsearch.strategies.base import Problem, StrategyError, Suggestion

if TYPE_CHECKING:
    from hpsearch.history import History
    from hpsearch.space import Point, Space

TARGET = Matching(
    r"[^:]*\.py:[A-Za-z_]\w*", "a file and a class in it, such as my_strategy.py:MyStrategy"
)


@dataclass(frozen=True)
class Own:
    """Asks an object of the user's, and checks what it answers."""

    target: str
    """FILE.py:CLASS, as in the config."""
    home: Path
    """The folder that FILE.py starts from: the config's own."""
    keys: Mapping[str, Any]
    """What the class is called with."""
    _built: list[Any] = field(default_factory=list, compare=False, repr=False)

    @property
    def path(self) -> Path:
        """The file."""
        return Path(os.path.normpath(self.home / self.target.rpartition(":")[0]))

    def suggest(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Suggestion | None:
        """Return what the object suggests.

        Raises:
            StrategyError: it raises, or what it returns is no point of the space.
        """
        try:
            answer = self.build().suggest(space, history, number, rng)
        except StrategyError:
            raise
        except Exception as error:
            _raise(f"{self.target}: suggest raised at trial {number}", error)
        if answer is None:
            return None
        point, note = answer[:2] if isinstance(answer, Suggestion) else (answer, None)
        try:
            json.dumps(note, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise StrategyError(
                f"{self.target}: the note of trial {number} is not plain data\n"
                "It may hold text, finite numbers, lists and dicts with text keys."
            ) from None
        return Suggestion(self._checked(space, point, number), note)

    def _checked(self, space: Space, answer: Any, number: int) -> Point:
        numbers = answer.tolist() if isinstance(answer, np.ndarray) else answer
        good = isinstance(numbers, Sequence) and not isinstance(numbers, str)
        if not good or len(numbers) != len(space.axes) or not all(map(_is_coordinate, numbers)):
            shown = repr(answer)
            raise StrategyError(
                f"{self.target}: suggest returned {shown[:100]} for trial {number}\n"
                f"It must be None, or {len(space.axes)} numbers from 0 to 1, one for each of "
                f"{', '.join(space.axes)}; space.point(params) makes them from values."
            )
        point = tuple(map(float, numbers))
        if not space.allows(point):
            raise StrategyError(
                f"{self.target}: suggest returned a setting for trial {number} that the "
                f"constraints exclude: {space.text(space.params(point))}\n"
                "space.allows(point) tells, and space.draw(rng) draws one that is allowed."
            )
        return point

    def size(self, space: Space) -> None:
        """Leave the end to the object, which may return None for good."""

    def problems(self, space: Space, trials: int | None) -> Iterator[Problem]:
        """Yield why the object cannot be built."""
        try:
            self.build()
        except StrategyError as error:
            text, _, hint = str(error).partition("\n")
            yield Problem(text, hint, ("python",))

    def at_once(self) -> None:
        """Leave it to the object."""

    def identity(self, trials: int | None) -> dict[str, Any]:
        """Return what is called with what; the code itself may be mended between two commands."""
        return {"python": self.target, **self.keys}

    def section(self, folder: Path) -> dict[str, Any]:
        """Return the section `method` of a config that is in `folder`."""
        file, _, name = self.target.rpartition(":")
        place = Path(os.path.relpath(self.home / file, folder.resolve())).as_posix()
        return {"python": f"{place}:{name}", **self.keys}

    def sources(self) -> dict[str, str]:
        """Return the hash of the file."""
        if not self.path.is_file():
            return {}
        name = self.target.rpartition(":")[0]
        return {name: hashlib.sha256(self.path.read_bytes()).hexdigest()}

    def build(self) -> Any:
        """Return the object, made when it is first needed.

        Raises:
            StrategyError: no such file or class, an exception, keys that it does not take.
        """
        if not self._built:
            self._built.append(self._build())
        return self._built[0]

    def _build(self) -> Any:
        name = self.target.rpartition(":")[2]
        module = self._import()
        cls = getattr(module, name, None)
        own = [
            each
            for each, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__
        ]
        if not inspect.isclass(cls):
            meant = nearest(name, own)
            hint = f"Did you mean '{meant}'? " if meant else ""
            raise StrategyError(
                f"{self.path.name} has no class '{name}'\n"
                f"{hint}Its classes: {', '.join(own) or 'none'}."
            )
        if not callable(getattr(cls, "suggest", None)):
            raise StrategyError(
                f"the class {name} has no method 'suggest'\n"
                "It needs suggest(self, space, history, number, rng)."
            )
        try:
            inspect.signature(cls).bind(**self.keys)
        except TypeError as error:
            takes = ", ".join(inspect.signature(cls).parameters) or "none"
            raise StrategyError(
                f"the class {name} cannot be called with the keys of method: {error}\n"
                f"It takes: {takes}."
            ) from None
        except ValueError:  # written in C, without a signature
            pass
        try:
            return cls(**self.keys)
        except Exception as error:
            _raise(f"{self.target} could not be made", error)

    def _import(self) -> Any:
        path = self.path
        if not path.is_file():
            near = {each.name for each in path.parent.glob("*.py")}
            meant = nearest(path.name, sorted(near))
            raise StrategyError(
                f"there is no file {path}" + (f"\nDid you mean '{meant}'?" if meant else "")
            )
        # A name of its own: a random.py of the user's must not replace the library's.
        spec = importlib.util.spec_from_file_location(f"strategy_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module.__name__] = module  # dataclasses look their module up
        try:
            # Of a script that begins a search the class is above that.
            with contextlib.suppress(BeginsSearchError), importing():
                spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            _raise(f"importing {path.name} failed", error)
        return module


def _is_coordinate(value: Any) -> bool:
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0 <= value <= 1


def _raise(what: str, error: BaseException) -> NoReturn:
    """Raise StrategyError with the exception in one line, and the line of code it comes from."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith("<frozen")
    ]
    where = "".join(traceback.format_list(frames[-1:]))
    if isinstance(error, SyntaxError):  # its text says the line, and no frame is at it
        where = "".join(traceback.format_exception_only(error)[:-1])
    text = " ".join(str(error).split())
    raise StrategyError(f"{what}: {type(error).__name__}: {text}\n{where}".rstrip()) from None
