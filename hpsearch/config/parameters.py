"""Reads the section `parameters`: ranges, choices, plain values, repeats and conditions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from typing import Any

from hpsearch.config.definitions import MOST_REPEATS, Range, Values
from hpsearch.config.reading import Sections, found, key_path, one_of, section_schema, short
from hpsearch.config.structure import build_space
from hpsearch.fields import plain_name
from hpsearch.scales import ALIASES, REFUSED, SCALES, Integer, Real
from hpsearch.space import Axis, Choice, Space
from hpsearch.trial import Params, frozen
from hpsearch.yamlfile import Place, dump

LARGEST_INTEGER = 2**53
"""Beyond it neighbouring whole numbers are one floating-point number."""


Settings = type | None
"""The dataclass that knows each hyperparameter; None when any name and value will do."""

RESERVED = {
    *("trial", "status", "score", "seconds", "rank", "run", "diagnosis"),  # columns of tables
    *("score_error", "tied", "ended_early"),  # and of those that only some tables have
    *(
        "seed",
        "budget",
        "trial_dir",
        "params_file",
        "start_epoch",
    ),  # what a trial is given beside parameters
}


def read_parameters(
    sections: Sections, settings: Settings, constants: Params
) -> tuple[Space, Params]:
    """Read the section `parameters`: what varies, and plain values.

    constants: Those that the section `objective` gives.
    """
    axes, plain_values = _entries(sections, settings)
    defaults = {} if settings is None else asdict(settings())
    fixed = {**defaults, **constants, **plain_values}
    fixed = {name: value for name, value in fixed.items() if name not in axes}
    return build_space(sections, axes, fixed), plain_values


def _entries(sections: Sections, settings: Settings) -> tuple[dict[str, Axis], Params]:
    """Read what varies, each repeated parameter once, and plain values."""
    known = _free_names(sections) if settings is None else {item.name for item in fields(settings)}
    given = sections.mapping(
        ("parameters",), known, "parameters: {learning_rate: {scale: log, ...}}"
    )
    constant_too = set() if settings is None else set(sections.at(("objective",)) or ())
    axes: dict[str, Axis] = {}
    constants: Params = {}
    for name, value in given.items():
        place: Place = ("parameters", name)
        if name in constant_too:
            line = sections.document.keys[("objective", name)].line
            raise sections.document.error(
                place,
                f"{name} is under objective (line {line}) and under parameters",
                "Remove one of them.",
                at_key=True,
            )
        if not isinstance(value, dict):
            if isinstance(value, list) and settings is not None and not _takes_list(settings, name):
                raise sections.document.error(
                    place,
                    f"parameters.{name} is a list",
                    f"To choose from it, write: {name}: {{values: {short(value)}}}",
                )
            constants[name] = _value(sections, settings, name, place)
        elif list(value) == ["value"]:
            raise sections.document.error(
                (*place, "value"),
                f"unknown key 'value' in {key_path(place)}",
                f"A constant is written without it: {name}: {short(value['value'])}",
                at_key=True,
            )
        else:
            _check_structure(sections, place, value)
            if "values" in value or "weights" in value:
                _refuse_mixture(sections, place, value)
                axes[name] = _choice(sections, settings, place, name)
            else:
                axes[name] = _range(sections, settings, place, name)
    return axes, constants


def _check_structure(sections: Sections, place: Place, given: Mapping[str, Any]) -> None:
    """Check the keys `repeat` and `when`, as far as they can be wrong by themselves."""
    if "repeat" in given:
        repeat = given["repeat"]
        whole = isinstance(repeat, int) and not isinstance(repeat, bool)
        if not (isinstance(repeat, str) or (whole and 1 <= repeat <= MOST_REPEATS)):
            raise sections.document.error(
                (*place, "repeat"),
                f"{key_path((*place, 'repeat'))} must be a whole number from 1 to {MOST_REPEATS}, "
                f"or the name of a parameter that counts, found {found(repeat)}",
            )
    if "when" in given and not (isinstance(given["when"], dict) and given["when"]):
        raise sections.document.error(
            (*place, "when"),
            f"{key_path((*place, 'when'))} must name a parameter and its value, "
            f"found {'nothing in it' if given['when'] == {} else found(given['when'])}",
            "Example: when: {optimizer: adam}",
        )


def _takes_list(settings: type, name: str) -> bool:
    """Tell whether a hyperparameter may be a list, one number per layer or class."""
    schema = section_schema(settings)["properties"][name]
    return any(part.get("type") == "array" for part in [schema, *schema.get("anyOf", [])])


def _refuse_mixture(sections: Sections, place: Place, given: Collection[str]) -> None:
    """Refuse options that also have the keys of a range."""
    for name in ("min", "max", "scale", "type"):
        if name in given:
            other = "values" if "values" in given else "weights"
            raise sections.document.error(
                (*place, name),
                f"{key_path(place)} has '{name}', of a range, beside '{other}', of options",
                "A range takes min, max, scale and type; options take values and weights.",
                at_key=True,
            )


def _free_names(sections: Sections) -> set[str]:
    """Return the parameters' names, all of which the user's code must be able to take."""
    place: Place = ("parameters",)
    given = sections.at(place)
    for name in given if isinstance(given, dict) else ():
        if name in RESERVED:
            raise sections.document.error(
                (*place, name),
                f"a parameter cannot be called '{name}', which hpsearch itself uses",
                "For one training seed for all trials: trial: {seed: 1}." if name == "seed" else "",
                at_key=True,
            )
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            meant = plain_name(name)
            raise sections.document.error(
                (*place, name),
                f"a parameter's name has letters, digits and '_', found {found(name)}",
                f"Write {meant}." if re.match("[A-Za-z]", meant) else "",
                at_key=True,
            )
    return set(given) if isinstance(given, dict) else set()


def _value(
    sections: Sections, settings: Settings, name: str, place: Place, value: Any = ...
) -> Any:
    """Check one value of a parameter; by default the value at `place`."""
    if settings is not None:
        return sections.field(settings, name, place, value)
    constant = value is ...
    value = sections.at(place) if constant else value
    left_empty = constant and value is None and not sections.document.values[place].length
    if isinstance(value, dict) or left_empty:
        raise sections.document.error(
            place,
            f"{key_path(place)} must be a number, text, true, false, null or a list, "
            f"found {found(value)}",
        )
    return frozen(value)


def _choice(sections: Sections, settings: Settings, place: Place, name: str) -> Choice:
    entry = sections.read(Values, place, f"{name}: {{values: [1, 2]}}")
    options = tuple(
        _value(sections, settings, name, (*place, "values", index), option)
        for index, option in enumerate(sections.at(place)["values"])
    )
    try:
        return Choice(options, entry.weights)
    except ValueError as error:
        key = "weights" if "weight" in str(error) else "values"
        raise sections.document.error((*place, key), f"{key_path(place)}: {error}") from None


def _range(sections: Sections, settings: Settings, place: Place, name: str) -> Real | Integer:
    document = sections.document
    given = sections.mapping(place, [item.name for item in fields(Range)] + ["values", "weights"])
    _check_scale_word(sections, (*place, "scale"))
    entry = sections.read(Range, place, f"{name}: {{scale: log, min: 1e-4, max: 1}}")
    ints = entry.type == "int"
    for end in ("min", "max"):
        value = given[end]
        if ints and not isinstance(value, int):
            raise document.error(
                (*place, end),
                f"{key_path((*place, end))} must be a whole number, found {found(value)}",
                f"Write {int(value)}." if value.is_integer() else "Or leave out 'type: int'.",
            )
        if ints and abs(value) > LARGEST_INTEGER:
            raise document.error((*place, end), f"{key_path((*place, end))} is too large: {value}")
    if entry.min == entry.max:
        raise document.error(
            (*place, "max"),
            f"{key_path(place)}: min and max are both {dump(given['min'])}",
            f"For a constant write: {name}: {dump(given['min'])}",
        )
    scale_name = ALIASES.get(entry.scale, entry.scale)
    low, high = (int(given["min"]), int(given["max"])) if ints else (entry.min, entry.max)
    try:
        scale = SCALES[scale_name](low, high)
    except ValueError as error:
        hint = "min and max are swapped." if low > high else ""
        if scale_name == "log" and low <= 0:
            hint = (
                "Ends are values, never exponents: write 1e-4 rather than -4."
                if low < 0
                else (
                    "0 has no logarithm: begin at the smallest value worth a trial, such as 1e-4."
                )
            )
        end = "min"
        if scale_name == "one_minus_log" and high >= 1:
            end, hint = "max", "1 itself is out of reach: end at a value below it, such as 0.999."
        raise document.error((*place, end), f"{key_path(place)}: {error}", hint) from None
    axis = Integer(scale, scale_name) if ints else Real(scale, scale_name)
    if settings is not None:
        _check_ends(sections, settings, place, name, axis)
    return axis


def _check_scale_word(sections: Sections, place: Place) -> None:
    word = sections.at(place)
    if not isinstance(word, str):
        return  # the check of its type says what it must be
    refused = REFUSED.get(word.lower().replace("-", "_").removesuffix("_values"))
    if refused:
        raise sections.document.error(place, refused)
    others = {"loguniform": "log", "uniform": "linear", "lin": "linear", "logarithmic": "log"}
    plain = word.lower().replace("-", "").replace("_", "").removesuffix("values")
    plain = plain.removeprefix("q").removeprefix("int") if plain.endswith("uniform") else plain
    if word not in SCALES and word not in ALIASES and plain in others:
        raise sections.document.error(
            place,
            f"{key_path(place)} must be {one_of((*SCALES, *ALIASES))}, found {found(word)}",
            f"hpsearch calls it '{others[plain]}'.",
        )


def _check_ends(
    sections: Sections, settings: type, place: Place, name: str, axis: Real | Integer
) -> None:
    """Refuse a range that leaves what the hyperparameter can be."""
    schema = section_schema(settings)["properties"][name]
    kinds = {part.get("type") for part in [schema, *schema.get("anyOf", [])]}
    if not kinds & {"number", "integer"}:
        known = schema.get("enum") or ["true", "false"]
        raise sections.document.error(
            place,
            f"parameters.{name} is not a number, so it has no range",
            f"Write: {name}: {{values: [{', '.join(map(str, known))}]}}",
            at_key=True,
        )
    if "number" not in kinds and isinstance(axis, Real):
        raise sections.document.error(
            place,
            f"parameters.{name} takes whole numbers, but its range is of real numbers",
            "Add 'type: int'.",
            at_key=True,
        )
    for end in ("min", "max"):
        sections.field(settings, name, (*place, end))
