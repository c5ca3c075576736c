"""From a mapping in a YAML file to a frozen dataclass, with a sentence for every mistake.

A section's dataclass is its definition: the fields are the keys, their annotations the ranges.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from hpsearch.errors import nearest
from hpsearch.fields import STRICT, WORDS, plain_name
from hpsearch.trial import frozen
from hpsearch.yamlfile import MAX_DIGITS, Document, Place, dump, plain_scalar, quoted

Section = TypeVar("Section")

OTHER_TOOLS_WORDS = {
    "run_cap": "budget.trials",
    "n_trials": "budget.trials",
    "max_trials": "budget.trials",
    "num_samples": "budget.trials",
    "timeout_seconds": "trial.timeout",
    "n_jobs": "run.jobs",
    "parallelism": "run.jobs",
    "distribution": "scale",
    "low": "min",
    "lower": "min",
    "minimum": "min",
    "high": "max",
    "upper": "max",
    "maximum": "max",
    "choices": "values",
    "condition": "when",
    "conditions": "when",
    "depends_on": "when",
    "constraint": "constraints",
    "categories": "values",
    "options": "values",
    "probabilities": "weights",
    "sampler": "method",
    "pruner": "method",
    "eta": "factor",
    "reduction_factor": "factor",
    "min_resource": "min",
    "grace_period": "min",
    "min_t": "min",
    "max_resource": "max",
    "max_t": "max",
    "hyperband": "halving",
    "asha": "halving",
    "successive_halving": "halving",
    "gp": "bayes",
    "bayesian": "bayes",
    "algorithm": "method",
    "space": "parameters",
    "search_space": "parameters",
    "hyperparameters": "parameters",
    "direction": "metric.goal",
    "mode": "metric.goal",
    "random_state": "seed",
    "lr": "learning_rate",
    "beta": "momentum",
    "beta1": "momentum",
    "beta_1": "momentum",
    "beta_2": "beta2",
    "alpha": "learning_rate",
    "n_epochs": "epochs",
    "num_layers": "layers",
    "weight_decay": "l2",
    "dropout": "keep_prob",
    "dropout_rate": "keep_prob",
    "class_weight": "class_weights",
    "gradient_clip": "clip_norm",
    "gradient_clip_val": "clip_norm",
    "max_grad_norm": "clip_norm",
    "clipnorm": "clip_norm",
    "warmup_epochs": "warmup",
    "scheduler": "decay",
    "lr_scheduler": "decay",
    "smoothing": "label_smoothing",
    "cross_validation": "folds",
    "sgd": "gradient_descent",
    "integer": "int",
    "real": "float",
    "double": "float",
    "number": "float",
    "dataset": "data.source",
    "path": "source",
    "target": "label",
    "valid": "dev",
    "validation": "dev",
    "val": "dev",
    "cv": "folds",
    "k_folds": "folds",
    "n_splits": "folds",
    "exclude": "ignore",
    "drop": "ignore",
    "na": "missing",
    "fillna": "missing",
    "image_shape": "image",
    "loss_function": "loss",
    "mean_squared_error": "mse",
}
"""What other tools call a thing -> what it is called here."""


REMARKS = {
    **dict.fromkeys(["dropout", "dropout_rate"], " (1 - dropout, the share that is kept)"),
    "weight_decay": " (λ of λ / (2m) Σ ||W||²: weight_decay times the size of the training set)",
}
"""What to mind about one of the words of other tools, whose values mean something else here."""


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


@contextmanager
def _without_plugins() -> Iterator[None]:
    """Build checks without pydantic's plugins, which are not about a config.

    Where it has none, it looks for them in the metadata of every package that is installed, which
    takes longer than to build all checks.
    """
    before = os.environ.get(NO_PLUGINS)
    os.environ[NO_PLUGINS] = "__all__"
    try:
        yield
    finally:
        if before is None:
            del os.environ[NO_PLUGINS]
        else:
            os.environ[NO_PLUGINS] = before


NO_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"


@cache
def _adapter(cls: type, name: str) -> TypeAdapter[Any]:
    with _without_plugins():
        return TypeAdapter(_hints(cls)[name], config=STRICT)


def key_path(place: Place) -> str:
    """Write the way to a value as people say it: parameters.learning_rate.min, values[2]."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".") or "the config"


def found(value: Any) -> str:
    """Say what was found, with its kind where that is the mistake."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{dump(value)} (true or false)"
    if isinstance(value, str):
        return f"{quoted(value)} (text)"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"the list {short(value)}"
    return dump(value)


def short(value: Any) -> str:
    """Write a value as YAML on one line that is not too long for a message."""
    text = dump(value)
    return text if len(text) <= 100 else text[:97] + "..."


def one_of(options: Collection[Any]) -> str:
    """List what is allowed."""
    return ("one of " if len(options) > 1 else "") + ", ".join(map(str, options))


def words(schema: Mapping[str, Any]) -> str:
    """Say in English what a JSON Schema of one field allows."""
    if WORDS in schema:
        return str(schema[WORDS])
    if "$ref" in schema:
        return "a mapping"
    if "anyOf" in schema:
        return " or ".join(words(part) for part in schema["anyOf"] if part.get("type") != "null")
    if "enum" in schema or "const" in schema:
        return one_of(schema.get("enum") or [schema["const"]])
    kind = schema.get("type")
    if kind == "array":
        if not schema.get("items"):
            return "a list"
        items = words(schema["items"]).removeprefix("a ").replace("number", "numbers", 1)
        few = f"{schema['minItems']} to {schema['maxItems']} " if "maxItems" in schema else ""
        return f"a list of {few}{items}"
    if kind in ("integer", "number"):
        text = "a whole number" if kind == "integer" else "a number"
        if "minimum" in schema and "maximum" in schema:
            return f"{text} from {schema['minimum']} to {schema['maximum']}"
        limits = [
            (f"at least {schema['minimum']}" if "minimum" in schema else ""),
            (f"above {schema['exclusiveMinimum']}" if "exclusiveMinimum" in schema else ""),
            (f"at most {schema['maximum']}" if "maximum" in schema else ""),
            (f"below {schema['exclusiveMaximum']}" if "exclusiveMaximum" in schema else ""),
        ]
        return " ".join([text, " and ".join(limit for limit in limits if limit)]).strip()
    names = {"boolean": "true or false", "string": "text", "object": "a mapping"}
    return names.get(str(kind), "a value")


def options(schema: Mapping[str, Any]) -> list[str]:
    """Return the texts that a JSON Schema of one field lists, if any."""
    listed = [*schema.get("enum", []), *([schema["const"]] if "const" in schema else [])]
    for part in schema.get("anyOf", []):
        listed += options(part)
    return [option for option in listed if isinstance(option, str)]


def numbers_meant(text: str) -> list[str]:
    """Return what may be meant by a number that is written in a way YAML readers disagree on."""
    text = text.strip()
    if len(text) > MAX_DIGITS:
        return []
    if re.fullmatch(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?", text):
        return [re.sub(r"^([-+]?)0+(?=[0-9])", r"\1", text.replace("_", ""))]
    if re.fullmatch(r"[-+]?[0-9]+,[0-9]+", text):
        return [text.replace(",", "."), *([text.replace(",", "")] if text[-4:-3] == "," else [])]
    if re.fullmatch(r"[-+]?[0-9]{1,3}([ ,'][0-9]{3})+", text):
        return [re.sub("[ ,']", "", text)]
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+", text):
        return [str(int(text, 0))]
    power = re.fullmatch(r"10\s*(?:\*\*|\^)\s*\(?(-?[0-9]+)\)?", text)
    return [f"1e{power[1]}"] if power else []


def way_out(value: Any, accepts: Callable[[Any], bool]) -> str:
    """Say how to write a value of the wrong type; `accepts` tells what the field may hold."""
    if value is None:
        return "Give it a value, or remove the key."
    if isinstance(value, float) and value.is_integer() and accepts(int(value)):
        return f"Write {int(value)}."
    is_duration = accepts("1s") and not accepts("word")
    if is_duration and isinstance(value, int | float) and accepts(f"{dump(value)}s"):
        return f"Write {dump(value)}s, {dump(value)}m or {dump(value)}h."
    if isinstance(value, int | float) and accepts(dump(value)):
        return f'Put it in quotes: "{dump(value)}".'
    if not isinstance(value, str):
        return ""
    if value in ("yes", "on", "no", "off") and accepts(True):
        return f"Write {'true' if value in ('yes', 'on') else 'false'}."
    if accepts([value]):
        return f"Write [{dump(value)}]."
    if accepts("a") and not accepts("a b"):  # a name
        meant_name = plain_name(value, also=".-")
        return f"Write {meant_name}." if accepts(meant_name) else ""
    duration = re.fullmatch(r"([0-9.]+)\s*([smhd])[a-z]*", value.strip())
    if is_duration and duration and accepts(duration[1] + duration[2]):
        return f"Write {duration[1]}{duration[2]}."
    with suppress(ValueError):  # beyond what a float holds
        meant = [text for text in numbers_meant(value) if accepts(plain_scalar(text))]
        plain = value.strip() in meant  # only the quotes are wrong
        return f"Write {' or '.join(meant)}{', without quotes' * plain}." if meant else ""
    return ""


class Sections:
    """Reads the sections of one document; every method raises UserError with the place."""

    def __init__(self, document: Document, homes: Mapping[str, str] | None = None) -> None:
        """Read `document`; `homes` says where each key belongs, for one at the wrong place."""
        self.document = document
        self.homes = homes or {}

    def at(self, place: Place) -> Any:
        """Return the value at a place, or None where there is none."""
        value = self.document.value
        for part in place:
            if isinstance(value, list) and isinstance(part, int):
                value = value[part]
            else:
                value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def mapping(self, place: Place, known: Collection[str], example: str = "") -> dict[str, Any]:
        """Return the mapping at `place`, whose keys must all be known."""
        value = self.at(place)
        if not isinstance(value, dict):
            hint = f"Example: {example}" if example else f"Known keys: {', '.join(sorted(known))}."
            raise self.document.error(
                place, f"{key_path(place)} must be a mapping, found {found(value)}", hint
            )
        for key in value:
            if key not in known:
                raise self.unknown((*place, key), known)
        return value

    def choose(self, place: Place, label: str, options: Collection[str]) -> str:
        """Return the word at `place`, which must be one of `options`."""
        value = self.at(place)
        if isinstance(value, str) and value in options:
            return value
        ours, meant = OTHER_TOOLS_WORDS.get(str(value)), nearest(value, list(options))
        hint = f"Did you mean '{meant}'?" if meant else ""
        if ours in options:
            hint = f"hpsearch calls it '{ours}'."
        text = f"{label} must be {one_of(options)}, found {found(value)}"
        raise self.document.error(place, text, hint)

    def unknown(self, place: Place, known: Collection[str]) -> Exception:
        """Build the error for a key that does not exist at its place."""
        key, where = str(place[-1]), key_path(place[:-1])
        names = sorted(known)
        ours = OTHER_TOOLS_WORDS.get(key)
        meant = nearest(key, names)
        hint = f"Known: {', '.join(names)}."
        before, colon, after = key.partition(":")
        first = key.split(" ")[0]
        if ours and (ours in known or "." in ours or len(place) == 1):
            hint = f"hpsearch calls it '{ours}'{REMARKS.get(key, '')}. {hint}"
        elif key in self.homes:
            other = f" Or did you mean '{meant}'?" if meant else ""
            hint = f"It belongs {self.homes[key]}.{other} {hint}"
        elif colon and before in known and len(key) <= MAX_DIGITS:
            hint = f"Put a space after the colon: '{before}: {after}'. {hint}"
        elif first in known:
            hint = f"Is a ':' missing after '{first}'? {hint}"
        elif meant:
            hint = f"Did you mean '{meant}'? {hint}"
        return self.document.error(
            place, f"unknown key {quoted(key)} in {where}", hint, at_key=True
        )

    def read(self, cls: type[Section], place: Place, example: str = "") -> Section:
        """Build a section from the mapping at `place`; a section that is not given is all defaults.

        Raises:
            UserError: not a mapping, an unknown or missing key, a wrong type, an impossible value.
        """
        names = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]
        value = self.at(place)
        given = (
            {}
            if value is None and place not in self.document.values
            else self.mapping(place, names, example)
        )
        for name, item in names.items():
            required = item.default is MISSING and item.default_factory is MISSING
            if required and name not in given:
                hint = f"Example: {example}" if example else ""
                raise self.document.error(
                    place, f"{key_path(place)} needs the key '{name}'", hint, at_key=True
                )
        return cls(**{name: self.field(cls, name, (*place, name)) for name in given})

    def field(self, cls: type, name: str, place: Place, value: Any = ...) -> Any:
        """Check one value against a field of a section; by default the value at `place`."""
        hint_type = _hints(cls)[name]
        if is_dataclass(hint_type):
            return self.read(hint_type, place)  # type: ignore[arg-type]
        value = self.at(place) if value is ... else value
        parts = (each for each in get_args(hint_type) if isinstance(each, type))
        inner = next((each for each in parts if is_dataclass(each)), None)
        if inner is not None and isinstance(value, Mapping):
            return self.read(inner, place)
        if inner is not None and isinstance(value, list):
            for index in range(len(value)):
                self.read(inner, (*place, index))
            return tuple({name: frozen(part) for name, part in each.items()} for each in value)
        adapter = _adapter(cls, name)
        try:
            return adapter.validate_python(frozen(value))
        except ValidationError as error:
            schema, item = adapter.json_schema(), _wrong_item(value, error)

        def accepts(other: Any) -> bool:
            if isinstance(item, str):
                whole: Any = {**value, item: other}
            else:
                whole = other if item is None else [*value[:item], other, *value[item + 1 :]]
            try:
                adapter.validate_python(frozen(whole))
            except ValidationError:
                return False
            return True

        wrong = value
        if item is not None:
            inside = "items" if isinstance(item, int) else "additionalProperties"
            schema = next(part for part in [schema, *schema.get("anyOf", [])] if inside in part)
            schema, wrong, place = schema[inside], value[item], (*place, item)
        known = options(schema)
        ours, meant = OTHER_TOOLS_WORDS.get(str(wrong)), nearest(wrong, known)
        if ours in known:
            hint = f"hpsearch calls it '{ours}'."
        elif meant:
            hint = f"Did you mean '{meant}'?"
        else:
            hint = "" if known else way_out(wrong, accepts)
        text = f"{key_path(place)} must be {words(schema)}, found {found(wrong)}"
        raise self.document.error(place, text, hint)


def _wrong_item(value: Any, error: ValidationError) -> int | str | None:
    """Return which item of a list or mapping is wrong, when it is one item and not the whole."""
    places = [part for each in error.errors() for part in each["loc"]]
    if isinstance(value, list):
        return next((part for part in places if isinstance(part, int)), None)
    if isinstance(value, dict):
        return next((part for part in places if isinstance(part, str) and part in value), None)
    return None


def section_schema(cls: type) -> dict[str, Any]:
    """Return the JSON Schema of a section's dataclass, which the caller may change."""
    return deepcopy(_schema_of(cls))


@cache
def _schema_of(cls: type) -> dict[str, Any]:
    with _without_plugins():
        schema = TypeAdapter(cls).json_schema()
    for each in schema.get("properties", {}).values():
        each.pop("title", None)
    schema.pop("title", None)
    return schema
