"""YAML in and out: lines kept for messages, 1e-4 a number, equal keys refused.

The one place that parses YAML. It reads the core schema of YAML 1.2 (`on` and `yes` are text) and
refuses what a config never needs and what can do harm: aliases, tags, merge keys, several
documents, nesting over 32 levels, files over 1 MiB.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hpsearch.errors import UserError, nearest

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_DIGITS = 100

Place = tuple[str | int, ...]
"""The way to a value from the top of the file: keys and list positions."""


@dataclass(frozen=True)
class Mark:
    """Where a key or value stands: line and column from 1, and its length on that line."""

    line: int
    column: int
    length: int


@dataclass(frozen=True)
class Document:
    """A parsed YAML file: its plain value, and where each part of it stands."""

    name: str
    """The file as the user named it, for messages."""
    lines: list[str]
    value: Any
    """dict, list, str, int, float, bool or None; every dict has text keys."""
    keys: dict[Place, Mark] = field(default_factory=dict)
    values: dict[Place, Mark] = field(default_factory=dict)

    def error(self, place: Place, text: str, hint: str = "", *, at_key: bool = False) -> UserError:
        """Build the error that points at `place`, or at the nearest enclosing thing in the file."""
        while place and place not in self.values:
            place, at_key = place[:-1], True
        mark = (self.keys if at_key else self.values).get(place) or self.values.get(place)
        return pointed(self.name, self.lines, mark or Mark(1, 1, 1), text, hint)


def pointed(name: str, lines: list[str], mark: Mark, text: str, hint: str = "") -> UserError:
    """Build an error of the form `file:line:column: text`, the line, a caret below it, a hint."""
    message = f"{name}:{mark.line}:{mark.column}: {text}"
    if mark.line <= len(lines):
        line, start = lines[mark.line - 1], mark.column - 1
        if len(line) > 96:  # a config written as one long line still shows the right part
            cut = max(0, start - 40)
            line, start = line[cut : cut + 92], start - cut
        length = max(1, min(mark.length, len(line) - start))
        margin = "".join(c if c == "\t" else " " for c in line[:start])
        number = str(mark.line)
        message += f"\n    {number} | {line}\n    {' ' * len(number)} | {margin}{'^' * length}"
    return UserError(f"{message}\n{hint}" if hint else message)


_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def plain_scalar(text: str) -> str | int | float | bool | None:
    """Give an unquoted YAML word its value by the core schema of YAML 1.2 (section 10.3).

    Hexadecimal, octal, `1_000` and `007` stay text: where a number is wanted, the message says how
    to write it, because other YAML readers disagree on what they mean.

    Raises:
        ValueError: a number that is not finite or has more than 100 characters.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"'{text}' is not a finite number")
    is_int = bool(_INT.fullmatch(text))
    if not is_int and not (_FLOAT.fullmatch(text) and re.search(r"[.eE]", text)):
        return text
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} characters is too long")
    if is_int:
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"'{text}' is too large for a number")
    return number


class _Composer(yaml.SafeLoader):
    """PyYAML's parser with everything refused that the core schema of a config does not need."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _RefusedError(
                event, "anchors and aliases (& and *) are refused: write the value out"
            )
        if getattr(event, "tag", None):
            raise _RefusedError(
                event, f"tags are refused, found '{event.tag}': write a plain value"
            )
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _RefusedError(event, f"nested deeper than {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _RefusedError(Exception):
    """Valid YAML that a config must not hold."""

    def __init__(self, at: yaml.Event | yaml.Node, text: str) -> None:
        super().__init__(text)
        self.mark = _mark(at)


def _mark(at: yaml.Event | yaml.Node) -> Mark:
    start, end = at.start_mark, at.end_mark
    assert start is not None and end is not None  # noqa: PT018  of what was parsed from text
    one_line = start.line == end.line
    return Mark(start.line + 1, start.column + 1, end.column - start.column if one_line else 1)


def read_yaml(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        UserError: no such file, not readable, too large, not UTF-8, not YAML, or YAML that is
            refused; the message has the line and column where there is one.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        there = {each.stem: each for each in path.parent.glob("*.y*ml")}
        meant = nearest(path.stem, list(there))
        hint = f"\nDid you mean '{there[meant]}'?" if meant else ""
        raise UserError(f"{path}: cannot be read: {error.strerror}{hint}") from None
    if len(raw) > MAX_BYTES:
        raise UserError(f"{path}: larger than 1 MiB, which no config is")
    return parse_yaml(raw, str(path))


def parse_yaml(raw: bytes, name: str) -> Document:
    """Parse the bytes of a YAML file; `name` is what messages call it. Errors as `read_yaml`."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(f"{name}:{line}: not UTF-8 text (byte {raw[error.start]:#04x})") from None
    lines = text.splitlines()
    try:
        loader = _Composer(text)
        root = loader.get_single_node()
    except _RefusedError as refused:
        raise pointed(name, lines, refused.mark, str(refused)) from None
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark or error.context_mark
        mark = Mark(where.line + 1, where.column + 1, 1) if where else Mark(1, 1, 1)
        problem = error.problem or "not YAML"
        hint = ""
        if "single document" in str(error.context or ""):
            problem, hint = "a second document ('---') begins here", "One file is one config."
        elif "'\\t'" in problem or "\t" in (lines[mark.line - 1 : mark.line] or [""])[0]:
            hint = "YAML indents with spaces, never with tabs."
        elif "mapping values are not allowed" in problem:
            hint = "Is a line above indented differently, or a value with ': ' not quoted?"
        raise pointed(name, lines, mark, f"not valid YAML: {problem}", hint) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise UserError(
            f"{name}:{line}: a character that YAML does not allow "
            f"(U+{ord(str(error.character)[:1] or chr(0)):04X})"
        ) from None
    document = Document(name, lines, None)
    if root is None:
        return document
    try:
        value = _value(root, (), document)
    except _RefusedError as refused:
        raise pointed(name, lines, refused.mark, str(refused)) from None
    return Document(name, lines, value, document.keys, document.values)


def _value(node: yaml.Node, place: Place, document: Document) -> Any:
    """Turn a node into plain values and note where each stands."""
    document.values[place] = _mark(node)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _key(key_node)
            if key in mapping:
                first = document.keys[(*place, key)].line
                raise _RefusedError(
                    key_node, f"the key '{key}' is given twice (first in line {first})"
                )
            document.keys[(*place, key)] = _mark(key_node)
            mapping[key] = _value(value_node, (*place, key), document)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*place, i), document) for i, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    if node.style is not None:  # quoted, or a block of text
        return str(node.value)
    try:
        return plain_scalar(node.value)
    except ValueError as error:
        raise _RefusedError(node, str(error)) from None


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _RefusedError(node, "a key must be text, not a list or a mapping")
    if node.value == "<<" and node.style is None:
        raise _RefusedError(node, "merge keys (<<) are refused: write the keys out")
    try:
        key = node.value if node.style is not None else plain_scalar(node.value)
    except ValueError:
        key = None
    if not isinstance(key, str):
        raise _RefusedError(node, f"a key must be text, found {node.value!r}: put it in quotes")
    return key


def dump(value: Any) -> str:
    """Write a plain value as YAML that `parse_yaml` reads back equal; short values on one line."""
    if isinstance(value, float):
        text = repr(value)
        return text if re.search(r"[.]", text) else text.replace("e", ".0e")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{dump(k)}: {dump(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(dump(item) for item in value) + "]"
    if isinstance(value, str):
        return _dump_text(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _dump_text(text: str) -> str:
    """Leave a word unquoted when it reads back as itself, else write a JSON string."""
    import json

    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", text) and plain_scalar(text) == text
    return text if plain else json.dumps(text, ensure_ascii=False)
