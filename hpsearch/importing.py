"""Importing a file of the user's that may be a script which begins a search."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_IMPORTING: ContextVar[bool] = ContextVar("importing", default=False)


class BeginsSearchError(BaseException):
    """Ends the import of a script where it begins a search.

    Not an Exception, which the script may catch.
    """


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Let no search begin in what is imported meanwhile."""
    token = _IMPORTING.set(True)
    try:
        yield
    finally:
        _IMPORTING.reset(token)


def refuse_while_importing() -> None:
    """Raise BeginsSearchError where a file is being imported."""
    if _IMPORTING.get():
        raise BeginsSearchError
