"""YAML in and out: lines kept for messages, 1e-4 a number, equal keys refused.

The one place that parses YAML. It reads the core schema of YAML 1.2 (`on` and `yes` are text) and
refuses what a config never needs and what can do harm: aliases, tags, merge keys, several
documents, nesting over 32 levels, files over 1 MiB.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
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
    raw: bytes = b""
    """The file as it was read, so that what is kept is what was checked."""

    def error(self, place: Place, text: str, hint: str = "", *, at_key: bool = False) -> UserError:
        """Build the error that points at `place`, or at the nearest enclosing thing in the file.

        at_key: Point at its key rather than its value, as happens anyway where the value is empty.
        """
        while place and place not in self.values:
            place, at_key = place[:-1], True
        mark = self.values.get(place, Mark(1, 1, 1))
        if at_key or not mark.length:
            mark = self.keys.get(place, mark)
        return pointed(self.name, self.lines, mark, text, hint)


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
    error = UserError(f"{message}\n{hint}" if hint else message)
    error.has_place = True
    error.bare = f"{text}\n{hint}" if hint else text
    return error


_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


_FORBIDDEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
"""What YAML forbids, and the line ends (U+0085, U+2028, U+2029) that its versions disagree on."""


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

    def __init__(self, at: yaml.Event | yaml.Node, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.mark = _mark(at)
        self.hint = hint


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
        folders = (Path("configs"), path.parent / "configs", path.parent)
        if path.exists():
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        there = {each.stem: each for folder in folders for each in folder.glob("*.y*ml")}
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
        read, before = error.object.decode(errors="replace"), error.object[: error.start].decode()
        problem = f"not UTF-8 text (byte {error.object[error.start]:#04x})"
        raise _unprintable(name, read, before, problem, "Save it as UTF-8.") from None
    forbidden = _FORBIDDEN.search(text)
    if forbidden:
        problem = f"a character that no config needs (U+{ord(forbidden[0]):04X}, shown as \ufffd)"
        raise _unprintable(name, text, text[: forbidden.start()], problem, "Remove it.")
    lines = text.splitlines()
    loader = _Composer(text)
    try:
        root = loader.get_single_node()
    except _RefusedError as refused:
        raise pointed(name, lines, refused.mark, str(refused), refused.hint) from None
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(name, lines, error) from None
    except (ValueError, OverflowError):  # PyYAML converts "\\U..." and %YAML numbers unchecked
        where = loader.get_mark()
        mark = Mark(where.line + 1, where.column + 1, 1)
        raise pointed(name, lines, mark, "not valid YAML: no such character or version") from None
    document = Document(name, lines, None, raw=raw)
    if root is None:
        return document
    try:
        value = _value(root, (), document)
    except _RefusedError as refused:
        raise pointed(name, lines, refused.mark, str(refused), refused.hint) from None
    return replace(document, value=value)


def _unprintable(name: str, text: str, before: str, problem: str, hint: str) -> UserError:
    """Build an error that points behind the text `before` and shows no control characters."""
    lines = (_FORBIDDEN.sub("\ufffd", before) + "x").splitlines()
    shown = _FORBIDDEN.sub("\ufffd", text).splitlines()
    return pointed(name, shown, Mark(len(lines), len(lines[-1]), 1), problem, hint)


def _not_yaml(name: str, lines: list[str], error: yaml.MarkedYAMLError) -> UserError:
    """Say what PyYAML could not parse, in words for someone who does not know its parser."""
    problem, context = error.problem or "not YAML", error.context or ""
    where, opened = error.problem_mark or error.context_mark, error.context_mark
    hint = ""
    if "single document" in context or "<document start>" in problem:
        problem, hint = "a second document begins here", "One file is one config."
    elif "'\\t'" in problem:
        hint = "Use spaces instead of tabs."
    elif "found unexpected end of stream" in problem and opened:
        problem, where = "this quote is never closed", opened
    elif "parsing a flow node" in context and "<stream end>" in problem:
        problem = "the file ends inside brackets"
    elif "parsing a flow" in context and opened:
        bracket = "[" if "sequence" in context else "{"
        if "<stream end>" in problem:
            problem, where = f"this '{bracket}' is never closed", opened
        else:
            hint = f"Is a ',' missing before it, or the end of the '{bracket}' "
            hint += f"in line {opened.line + 1}?"
    elif "could not find expected ':'" in problem and opened:
        problem, where = "a key without a ':'", opened
    elif "mapping values are not allowed" in problem:
        problem = "a ':' where none can be"
        hint = (
            "Is a ':' missing before it, is this line indented differently from the one above, "
            "or does a text with ': ' need quotes?"
        )
    elif "<block end>" in problem:
        problem = "this does not line up with the lines above"
        hint = "The keys of one section begin in the same column."
    elif "cannot start any token" in problem or "an alias" in context or "an anchor" in context:
        hint = "A text that begins with a special character needs quotes."
    line, column = (where.line + 1, where.column + 1) if where else (1, 1)
    length = 1
    if line > len(lines):  # the end of the file: show the last line that there is
        line, column = len(lines), len(lines[-1]) + 1
    elif where is opened:  # what was never ended, to the end of its line
        length = len(lines[line - 1])
    return pointed(name, lines, Mark(line, column, length), f"not valid YAML: {problem}", hint)


def _value(node: yaml.Node, place: Place, document: Document) -> Any:
    """Turn a node into plain values and note where each stands."""
    document.values[place] = _mark(node)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _key(key_node, alone=node.flow_style and value_node.value == "")
            if key in mapping:
                first = document.keys[(*place, key)].line
                raise _RefusedError(
                    key_node, f"the key {quoted(key)} is given twice (first in line {first})"
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


def _key(node: yaml.Node, *, alone: bool) -> str:
    """Return a key's text; `alone` when nothing follows it, as the 5 in `{min: 1,5}`."""
    if not isinstance(node, yaml.ScalarNode):
        raise _RefusedError(node, "a key must be text, not a list or a mapping")
    if node.style is not None:
        return str(node.value)
    if node.value == "<<":
        raise _RefusedError(node, "merge keys (<<) are refused: write the keys out")
    try:
        key = plain_scalar(node.value)
    except ValueError:
        key = None
    fraction = alone and re.fullmatch("0[0-9]+", node.value)  # the 001 in `{min: 0,001}`
    if isinstance(key, str) and not fraction:
        return key
    hint = "Put it in quotes."
    if fraction or (alone and isinstance(key, int | float)):
        hint = "A decimal number has a point, as in 0.5: a comma begins the next key."
    raise _RefusedError(node, f"a key must be text, found {quoted(node.value)}", hint)


def quoted(text: str) -> str:
    """Quote a text for a message: on one line, unprintable characters escaped, long ones cut."""
    cut = text if len(text) <= 60 else text[:57] + "..."
    return f"'{cut}'" if cut.isprintable() else repr(cut)


def dump(value: Any) -> str:
    """Write a plain value on one line, as YAML that `parse_yaml` reads back equal.

    Limits that are YAML's and `parse_yaml`'s: no number that is not finite, at most 31 lists or
    mappings in each other, no key of more than 1,000 characters.
    """
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


_ESCAPED = re.compile(rf"\ufeff|{_FORBIDDEN.pattern}")
"""What JSON may hold as it is and YAML may not, or not everywhere."""


def _dump_text(text: str) -> str:
    """Leave a word unquoted when it reads back as itself, else write a JSON string."""
    import json

    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", text) and plain_scalar(text) == text
    if plain:
        return text
    return _ESCAPED.sub(lambda c: f"\\u{ord(c[0]):04x}", json.dumps(text, ensure_ascii=False))
