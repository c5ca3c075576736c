"""Errors meant for the terminal, each with its exit code."""

from __future__ import annotations


class HpsearchError(Exception):
    """An error whose text is written for the person at the terminal."""

    exit_code = 1

    has_place = False
    """Whether the text begins with a file and a line."""

    bare: str | None = None
    """Where it does: the text without them, and the hint."""


class UserError(HpsearchError):
    """A mistake in the config, the data or the command line; nothing was written."""

    exit_code = 2


class DataError(UserError):
    """A data set that cannot be used as asked.

    key: the key of the config's section `data` to point at, or None when the text already names a
        place in the data file.
    """

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class InVainError(HpsearchError):
    """A search that came to nothing: no trial was complete, or too many failed in a row."""


class MachineError(HpsearchError):
    """The disk, the record or the processes failed; nothing announced is lost."""

    exit_code = 3


def nearest(word: object, known: list[str]) -> str | None:
    """Return the known name a person most likely meant by `word`, or None."""
    import difflib

    if not isinstance(word, str) or not word:
        return None
    by_lower = {name.lower(): name for name in known}
    text = word.lower().replace("-", "_").replace(" ", "_")
    longer = [name for name in by_lower if len(text) > 1 and name.startswith(text)]
    found = longer if len(longer) == 1 else difflib.get_close_matches(text, by_lower, n=1)
    return by_lower[found[0]] if found else None
