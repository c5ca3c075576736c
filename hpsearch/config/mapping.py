"""A config given as a dict: written as the YAML that the run folder keeps, and read like a file."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError
from hpsearch.objectives.named import file_of, target_of
from hpsearch.strategies import STRATEGIES
from hpsearch.yamlfile import MAX_DEPTH, Document, dump, parse_yaml

NAME = "<dict>"
"""What messages call it; the line that they show is of the YAML."""

TITLE = "# Written from a dict that was given in Python.\n"


def document_of(config: Mapping[str, Any], folder: Path) -> Document:
    """Write a mapping as YAML and parse it, so that it is checked and kept like a file.

    Values are what YAML has, beside tuples, ranges, paths, and NumPy's numbers and arrays.
    `objective` or `objective.python` may be a function, `method` or `method.python` a class with
    `suggest`, and `method` an object of a dataclass with it.

    folder: Where relative paths start.
    Raises:
        UserError: a value that a config cannot hold, with its place.
    """
    value = _plain({key: _named(key, each, folder) for key, each in config.items()}, ())
    lines = []
    for key, each in value.items():
        if isinstance(each, dict) and each and key == "parameters":
            lines += [f"{key}:", *(f"  {dump(name)}: {dump(axis)}" for name, axis in each.items())]
        else:
            lines.append(f"{dump(key)}: {dump(each)}")
    return parse_yaml((TITLE + "\n".join(lines) + "\n").encode(), NAME)


def _named(key: Any, value: Any, folder: Path) -> Any:
    """Put the name of a function or a class in its place, where one may be given."""
    if key == "method":
        return _method(value, folder)
    if key != "objective":
        return value
    if callable(value):
        value = {"python": value}
    if not isinstance(value, Mapping) or not callable(value.get("python")):
        return value
    target, place = target_of(value["python"], folder)
    return {**value, "python": target, **({} if place is None else {"folder": place})}


def _method(value: Any, folder: Path) -> Any:
    """Put the name of a strategy's class in its place, and what an object was made with."""
    if isinstance(value, Mapping):
        cls = value.get("python")
        return {**value, "python": file_of(cls, folder)} if inspect.isclass(cls) else value
    if inspect.isclass(value):
        return {"python": file_of(value, folder)}
    if not hasattr(value, "suggest"):
        return value
    cls = type(value)
    if cls in STRATEGIES.values():
        name = next(each for each, known in STRATEGIES.items() if known is cls)
        raise UserError(f"{NAME}: give a strategy of hpsearch's by its name: 'method': '{name}'")
    if not dataclasses.is_dataclass(value):
        raise UserError(
            f"{NAME}: what the {cls.__name__} in method was made with is not known, so the run "
            "could not be repeated\n"
            f"Make {cls.__name__} a dataclass, or give the class and its arguments: "
            f"{{'python': {cls.__name__}, 'step': 0.2}}"
        )
    made = {each.name: getattr(value, each.name) for each in dataclasses.fields(value) if each.init}
    return {"python": file_of(cls, folder), **made}


def _plain(value: Any, place: tuple[Any, ...]) -> Any:
    """Return a value as plain data.

    Raises:
        UserError: it cannot be written as YAML.
    """
    if len(place) > MAX_DEPTH:
        raise UserError(f"{NAME}: nested deeper than {MAX_DEPTH} levels")
    if hasattr(value, "tolist"):  # a number or an array of NumPy's
        value = value.tolist()
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    where = ".".join(map(str, place)) or "the config"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UserError(f"{NAME}: {where} is {value}, which is not a finite number")
        return value
    if isinstance(value, list | tuple | range):
        return [_plain(each, (*place, i)) for i, each in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise UserError(f"{NAME}: {where} has the key {key!r}: a key must be text")
        return {str(key): _plain(each, (*place, key)) for key, each in value.items()}
    kind = type(value).__name__
    raise UserError(
        f"{NAME}: {where} is of type {kind}: a config holds numbers, text, truth values, lists and "
        "dicts, a function only as its objective, and a class only as its method"
    )
