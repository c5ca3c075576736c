"""The JSON Schema of a config, generated from the definitions of its sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.config.definitions import KEYS, SECTIONS, Metric, Range, Top, Values
from hpsearch.config.parameters import RESERVED
from hpsearch.config.reading import section_schema
from hpsearch.nn.settings import Settings
from hpsearch.objectives import OBJECTIVES, Objective, objective_class
from hpsearch.objectives.mlp import MLP
from hpsearch.strategies import LISTED, STRATEGIES, Listed
from hpsearch.strategies.own import TARGET

ANY_VALUE = {"type": ["number", "string", "boolean", "array", "null"]}


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a config, for editors."""
    settings = section_schema(Settings)["properties"]
    top = section_schema(Top)["properties"]
    numbers, choice = section_schema(Range), section_schema(Values)
    metric, method = section_schema(Metric), _method_schema()
    parameters = {}
    for name, each in settings.items():
        one = {key: part for key, part in each.items() if key not in ("default", "description")}
        ranges = [numbers] if _is_number(each) else []
        parameters[name] = {
            "description": each["description"],
            "anyOf": [one, *ranges, _options(choice, one)],
        }
    own_metric = {
        "description": metric["properties"]["name"]["description"],
        "enum": list(MLP.METRICS),
    }
    objectives = [_objective(objective_class(kind)) for kind in OBJECTIVES]
    nested = [each.pop("$defs", {}) for each in objectives]
    sections = {key: section_schema(cls) for key, (cls, _) in SECTIONS.items()}
    properties = {
        **top,
        **sections,
        "metric": {
            "description": metric["description"],
            "anyOf": [{"type": "string", "minLength": 1}, metric],
        },
        "objective": {
            "description": "what a setting is measured by",
            "anyOf": objectives,
        },
        "parameters": {
            "type": "object",
            "description": "what varies: a range, a list of values, or a plain value",
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        },
        "method": method,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hpsearch config",
        "type": "object",
        "properties": {key: properties[key] for key in KEYS},
        "required": ["objective", "parameters"],
        "additionalProperties": False,
        "if": {"properties": {"objective": {"required": ["trainer"]}}},
        "then": {
            "required": ["data"],
            "properties": {
                "parameters": {
                    "description": "what varies: a range, a list of values, or a plain value",
                    "properties": parameters,
                    "additionalProperties": False,
                },
                "metric": {
                    "description": metric["description"],
                    "anyOf": [
                        own_metric,
                        {"type": "object", "properties": {"name": own_metric}},
                    ],
                },
            },
        },
        "else": {
            "not": {"required": ["data"]},
            "properties": {
                "parameters": {
                    "additionalProperties": {
                        "anyOf": [ANY_VALUE, numbers, _options(choice, ANY_VALUE)]
                    },
                    "propertyNames": {"not": {"enum": sorted(RESERVED)}},
                },
                "metric": {"type": "object", "required": ["name", "goal"]},
            },
            "required": ["metric"],
        },
        "allOf": [
            {
                "if": {"properties": {"objective": {"not": {"required": ["command"]}}}},
                "then": {"properties": {"metric": {"properties": {"pattern": False}}}},
            }
        ],
        "$defs": {
            name: each
            for part in (sections["data"].pop("$defs", {}), *nested)
            for name, each in part.items()
        },
    }


def _objective(cls: type[Objective]) -> dict[str, Any]:
    """Return the schema of the section `objective` for one objective."""
    schema = section_schema(cls.SECTION)
    settings = {} if cls.SETTINGS is None else section_schema(cls.SETTINGS)["properties"]
    return {**schema, "properties": {**schema["properties"], **settings}}


def _is_number(schema: Mapping[str, Any]) -> bool:
    kinds = {part.get("type") for part in [schema, *schema.get("anyOf", [])]}
    return bool(kinds & {"number", "integer"})


def _options(choice: Mapping[str, Any], option: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a choice whose options must each be as `option` says."""
    values = {**choice["properties"]["values"], "items": option, "minItems": 1}
    return {**choice, "properties": {**choice["properties"], "values": values}}


def _method_schema() -> dict[str, Any]:
    shapes = []
    for name, cls in {**STRATEGIES, LISTED: Listed}.items():
        schema = section_schema(cls)
        key = {"description": "how the next setting is chosen", "const": name}
        schema["properties"] = {"name": key, **schema.get("properties", {})}
        shapes.append({**schema, "required": ["name", *schema.get("required", [])]})
    own = {
        "type": "object",
        "properties": {
            "python": {
                "type": "string",
                "description": "a class of your own: file.py:Class; its keys are beside this one",
                "pattern": f"^(?:{TARGET.pattern})$",
            },
        },
        "required": ["python"],
        "not": {"required": ["name"]},
    }
    return {
        "description": "how the next setting is chosen",
        "anyOf": [{"enum": list(STRATEGIES)}, *shapes, own],
    }
