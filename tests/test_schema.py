"""The JSON Schema for editors: generated from the definitions that the checks come from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from test_bad_input import BAD, GOOD, Bad

from conftest import ROOT
from hpsearch.cli import cli
from hpsearch.config import config_schema
from hpsearch.config.definitions import KEYS, SECTIONS, Files, Fractions, Range, Values
from hpsearch.errors import UserError
from hpsearch.nn.settings import Settings
from hpsearch.objectives import OBJECTIVES, objective_class
from hpsearch.scales import ALIASES, SCALES
from hpsearch.strategies import STRATEGIES, Listed
from hpsearch.yamlfile import parse_yaml

SCHEMA = config_schema()
VALIDATOR = Draft202012Validator(SCHEMA)

MEANING = (
    # between two values
    *("min < max", "got 1 and", "both 2", "no logarithm", "never exponents", "Add 'type: int'"),
    *("lists 2 layers", "under objective (", "given twice", "as many weights", "weights must not"),
    *("batch_norm is true", "add up to 1"),
    # between a range's ends and what the setting can be
    *("number above 0, found 0", "below 1, found 1\n", "at least 1, found 0", "too large: 9007"),
    # in how a whole number is written
    *("found 16", "found 100.0", "Write 32.", "found 'a\\n'"),
    # in the data
    *("the training set", "no file", "Did you mean 'wine.csv'", "is a folder", "no reader"),
    *("which column", "'cultivar'", "Remove `label", "split mixes", "split asks", "the key 'dev'"),
    *("cannot hold", "its own file", "one name in all", "'colour'", "is the label", "has only"),
    *("mixes shares", "images of", "an example has", "no columns to name", "there is no file"),
)
"""What is said of the mistakes that no schema sees."""


def parsed() -> Iterator[tuple[Bad, Any]]:
    """Yield the bad configs that are YAML."""
    for bad in BAD:
        with suppress(UserError):
            yield bad, parse_yaml(bad.text.encode(), "f.yaml").value


def described(schema: dict[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every key that the schema knows, by its place, with its description."""
    for key, each in schema.get("properties", {}).items():
        yield f"{place}.{key}", each.get("description", "")
        yield from described(each, f"{place}.{key}")
    for each in schema.get("anyOf", []):
        yield from described(each, place)
    if "then" in schema:
        yield from described(schema["then"], place)
    if "$ref" in schema:
        yield from described(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], place)


def test_the_schema_is_a_valid_schema_of_draft_2020_12() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


def test_the_command_prints_the_schema_as_json() -> None:
    result = CliRunner().invoke(cli, ["schema"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == json.loads(json.dumps(SCHEMA))


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_every_file_in_configs_is_as_the_schema_says(path: Path) -> None:
    value = parse_yaml(path.read_bytes(), path.name).value
    assert [error.message for error in VALIDATOR.iter_errors(value)] == []


@pytest.mark.parametrize(
    "more",
    [
        "metric: dev_error",
        "metric: {name: dev_loss, goal: minimize, optimal_error: 0.1}",
        *(f"method: {name}" for name in STRATEGIES),
        *(f"method: {{name: {name}}}" for name in STRATEGIES),
        "budget: {time: 1h30m, patience: 5, failures: 3}",
        "trial: {timeout: 90s, retries: 0, repeats: 3, seed: 3}",
        "run: {engine: local, jobs: -1}",
        "name: a.b-c\nparent: a\nseed: 9223372036854775807",
        "  momentum: {scale: 1-beta, min: 0.9, max: 0.99}",
        "  layers: {scale: linear, type: int, min: 1, max: 3}",
        "  hidden_units: {values: [32, [64], [64, 32]], weights: [1, 2, 3]}",
        "  hidden_units: [64, 32]\n  layers: null",
        "  batch_norm: {values: [true, false]}",
        "  optimizer: adam",
    ],
)
def test_each_way_to_write_a_section_is_as_the_schema_says(more: str) -> None:
    value = parse_yaml(f"{GOOD}{more}\n".encode(), "f.yaml").value
    assert [error.message for error in VALIDATOR.iter_errors(value)] == []


@pytest.mark.parametrize(
    ("bad", "value"),
    [pytest.param(*pair, id=pair[0].parts[0][:60]) for pair in parsed()],
)
def test_the_schema_refuses_all_that_is_wrong_by_structure_and_nothing_else(
    bad: Bad, value: Any
) -> None:
    by_meaning = any(fragment in part for part in bad.parts for fragment in MEANING)
    assert VALIDATOR.is_valid(value) == by_meaning


def test_most_mistakes_are_seen_by_the_schema_alone() -> None:
    seen = [bad for bad, value in parsed() if not VALIDATOR.is_valid(value)]
    assert len(seen) >= 140


def test_every_key_has_a_description() -> None:
    assert [place for place, text in described(SCHEMA) if not text.strip()] == []


def test_every_section_and_setting_is_in_the_schema() -> None:
    places = {place for place, _ in described(SCHEMA)}
    settings = [item.name for item in fields(Settings)]
    expected = {f".{key}" for key in KEYS}
    expected |= {f".objective.{name}" for name in ["trainer", *settings]}
    expected |= {f".parameters.{name}" for name in settings}
    expected |= {f".data.split.{item.name}" for item in fields(Fractions)}
    expected |= {f".data.source.{item.name}" for item in fields(Files)}
    expected |= {f".data.label.{item.name}" for item in fields(Files)}
    for section, (cls, _) in SECTIONS.items():
        expected |= {f".{section}.{item.name}" for item in fields(cls)}
    for method in (*STRATEGIES.values(), Listed):
        expected |= {f".method.{item.name}" for item in fields(method)}  # type: ignore[arg-type]
    for objective in map(objective_class, OBJECTIVES):
        expected |= {f".objective.{item.name}" for item in fields(objective.SECTION)}
    inside = [item.name for item in (*fields(Range), *fields(Values))]
    expected |= {f".parameters.learning_rate.{name}" for name in inside}
    assert expected <= places
    assert places - expected == {
        f".parameters.{name}.{key}" for name in settings for key in inside
    } & places - expected | {".method.name", ".method.python"}


def test_only_numbers_have_a_range_in_the_schema() -> None:
    places = {place for place, _ in described(SCHEMA)}
    ranged = {
        place.split(".")[2] for place in places if re.fullmatch(r"\.parameters\..*\.min", place)
    }
    words = {"activation", "batch_norm", "optimizer", "decay", "initializer", "dtype"}
    words |= {"class_weights", "horizontal_flip"}
    assert ranged == {item.name for item in fields(Settings)} - words


@pytest.mark.parametrize("scale", [*SCALES, *ALIASES])
def test_every_scale_and_its_alias_is_allowed(scale: str) -> None:
    VALIDATOR.validate(parse_yaml(GOOD.replace("log", scale).encode(), "f.yaml").value)
