"""One setting for a pipe: as YAML, JSON, flags or environment lines."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from hpsearch.errors import UserError
from hpsearch.trial import plain
from hpsearch.yamlfile import dump

Setting = Mapping[str, Any]


def value_text(value: Any) -> str:
    """Write a value as an argument: text as it is, numbers exactly, lists and truth as JSON."""
    return value if isinstance(value, str) else json.dumps(plain(value))


def as_yaml(setting: Setting) -> str:
    """A line for each parameter; an empty mapping where there is none."""
    return (
        "\n".join(f"{dump(name)}: {dump(plain(value))}" for name, value in setting.items()) or "{}"
    )


def as_json(setting: Setting) -> str:
    """One JSON object."""
    return json.dumps({name: plain(value) for name, value in setting.items()}, ensure_ascii=False)


def as_flags(setting: Setting) -> str:
    """`--name value` pairs on one line, quoted for a shell.

    A value that begins with a minus is joined by `=`: many parsers take it for another flag.
    """
    words = []
    for name, value in setting.items():
        text = value_text(value)
        words += [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]
    return shlex.join(words)


def as_env(setting: Setting) -> str:
    """`NAME=value` lines in capitals, quoted for a shell.

    Raises:
        UserError: two names differ in capitals only.
    """
    of: dict[str, str] = {}
    for name in setting:
        if of.setdefault(name.upper(), name) != name:
            raise UserError(
                f"{of[name.upper()]} and {name} would both be {name.upper()} in the environment; "
                "take --format flags, json or yaml"
            )
    return "\n".join(
        f"{name.upper()}={shlex.quote(value_text(value))}" for name, value in setting.items()
    )


SETTING_FORMATS: dict[str, Callable[[Setting], str]] = {
    "yaml": as_yaml,
    "json": as_json,
    "flags": as_flags,
    "env": as_env,
}
