"""A line of a record: strict JSON, sealed with a checksum of itself."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from hpsearch.errors import UserError
from hpsearch.trial import Result, frozen

FORMAT = 3
"""The version of the record's lines; those of 1 lack `scores` and `note`, those of 2 what counts
epochs and steps."""

OPTIONAL: dict[str, tuple[Any, ...]] = {
    "scores": ([],),
    "note": (None, {}),
    "epochs": (None,),
    "step": (None,),
    "start": (0,),
    "rung": (None,),
}
"""What a line has only where there is something to say, and what says nothing."""

_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_READER = json.JSONDecoder()


def encode(result: Result) -> bytes:
    """Write a result as a line of the record; as `sealed`."""
    record = {"format": FORMAT, **vars(result)}  # asdict copies all that is in it, slowly
    for name, empty in OPTIONAL.items():
        if record[name] in empty:
            del record[name]
    return sealed(record)


def sealed(record: Mapping[str, Any]) -> bytes:
    """Write plain data as one line of strict JSON whose last member is a checksum of the rest."""
    body = _JSON.encode(record).encode()
    return b'%s,"checksum":"%08x"}\n' % (body[:-1], zlib.crc32(body[:-1]))


def unsealed(line: bytes, format: int, what: str) -> dict[str, Any]:
    """Read a line that `sealed` wrote.

    format: The newest that can be read.
    what: What the line is of, for the error.

    Raises:
        ValueError: not a whole, unchanged line.
        UserError: written by a newer hpsearch.
    """
    body, _, end = line.rpartition(b',"checksum":"')
    if end != b'%08x"}\n' % zlib.crc32(body):
        raise ValueError("damaged")
    record: dict[str, Any] = _READER.decode(f"{body.decode()}}}")
    version = record.pop("format")
    if version not in range(1, format + 1):
        raise UserError(
            f"{what} has format {version}, and this hpsearch reads up to {format}: upgrade hpsearch"
        )
    return record


def decode(line: bytes, *, curves: bool = True) -> Result:
    """Read one line of the record.

    curves: False to leave the curves out, which are large.

    Raises:
        ValueError: not a whole, unchanged line.
        UserError: written by a newer hpsearch.
    """
    record = unsealed(line, FORMAT, "the record")
    record["params"] = {name: frozen(value) for name, value in record["params"].items()}
    if not curves:
        record["curve"] = {}
    return Result(**{**record, "unit": tuple(record["unit"])})
