"""Words that declare what a field of a section may hold: checks and JSON Schema come from them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

STRICT: Any = {"strict": True, "extra": "forbid", "allow_inf_nan": False}
"""The `__pydantic_config__` of every section: no conversions, no unknown keys."""

WORDS = "x-words"
"""The key of a JSON Schema under which a type says what it allows in words of its own."""


def doc(text: str, **keywords: Any) -> Any:
    """A dataclass field with one line of help, which also enters the JSON Schema."""
    return field(metadata={"description": text}, **keywords)


@dataclass(frozen=True)
class OneOf:
    """Annotates a field that must be one of `names`, the keys of a family's table."""

    names: tuple[Any, ...]

    def __init__(self, names: Iterable[Any]) -> None:
        object.__setattr__(self, "names", tuple(names))

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.literal_schema(list(self.names))


@dataclass(frozen=True)
class Matching:
    """Annotates a text field that must match `pattern` as a whole; `words` says so in English."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.str_schema(pattern=f"^(?:{self.pattern})$", strict=True)

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(core), WORDS: self.words}


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"[0-9]{1,9}(?:\.[0-9]{1,9})?[dhms]"
_NOT_ZERO = r"(?:0*[1-9][0-9]{0,8}(?:\.[0-9]{1,9})?|0+\.0*[1-9][0-9]{0,8})[dhms]"
_DURATION = rf"(?:{_PART})*{_NOT_ZERO}(?:{_PART})*"


def seconds(duration: str) -> float:
    """Turn a duration such as `90s`, `30m` or `1h30m` into seconds."""
    parts = re.findall(r"([0-9.]+)([dhms])", duration)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


_SIZES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def size_bytes(size: str) -> int:
    """Turn a size such as `500M` or `2G` into bytes; K is 1,024."""
    return int(float(size[:-1]) * _SIZES[size[-1]])


SIZE = Matching(
    r"(?:0\.[0-9]{0,8}[1-9]|[1-9][0-9]{0,8}(?:\.[0-9]{1,9})?)[KMGT]",
    "a size above 0 such as 500M or 2G",
)
DURATION = Matching(_DURATION, "a duration above 0 such as 90s, 30m, 1h30m or 2d")
RUN_NAME = Matching(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
    "a name of letters, digits, '.', '_' and '-' that begins with a letter or digit "
    "(at most 100 characters)",
)


def plain_name(text: str, also: str = "") -> str:
    """Return the nearest name of ASCII letters, digits, '_' and what is in `also`.

    Accents are left out and the German umlauts written with an e; what else cannot stand in a name
    becomes '_', or '-' where `also` has it. It may be empty.
    """
    text = unicodedata.normalize("NFC", text)
    for letter, written in zip("äöüÄÖÜß", ("ae", "oe", "ue", "Ae", "Oe", "Ue", "ss"), strict=True):
        text = text.replace(letter, written)
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    joint = "-" if "-" in also else "_"
    text = re.sub(rf"[^A-Za-z0-9_{re.escape(also)}]+", joint, text)
    return text.strip("._-")[:100]
