"""The JSON Schema of a config, generated from the definitions of its sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.config.definitions import KEYS, SECTIONS, TRAINERS, Metric, Range, Top, Values
from hpsearch.config.reading import section_schema
from hpsearch.objectives.mlp import MLP
from hpsearch.strategies import STRATEGIES


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a config, for editors."""
    settings = section_schema(MLP.SETTINGS)["properties"]
    top = section_schema(Top)["properties"]
    values, choice = section_schema(Range), section_schema(Values)
    metric, method = section_schema(Metric), _method_schema()
    parameters = {
        name: {
            "description": each.get("description", ""),
            "anyOf": [
                {key: part for key, part in each.items() if key != "default"},
                *([values] if _is_number(each) else []),
                choice,
            ],
        }
        for name, each in settings.items()
    }
    sections = {key: section_schema(cls) for key, (cls, _) in SECTIONS.items()}
    properties = {
        **top,
        **sections,
        "metric": {"anyOf": [metric["properties"]["name"], metric]},
        "objective": {
            "type": "object",
            "description": "what is trained; its constants",
            "properties": {"trainer": {"enum": list(TRAINERS)}, **settings},
            "required": ["trainer"],
            "additionalProperties": False,
        },
        "parameters": {
            "type": "object",
            "description": "what varies: a range, a list of values, or a plain value",
            "properties": parameters,
            "additionalProperties": False,
        },
        "method": method,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hpsearch config",
        "type": "object",
        "properties": {key: properties[key] for key in KEYS},
        "required": ["objective", "data", "parameters"],
        "additionalProperties": False,
        "$defs": sections["data"].pop("$defs", {}),
    }


def _is_number(schema: Mapping[str, Any]) -> bool:
    kinds = {part.get("type") for part in [schema, *schema.get("anyOf", [])]}
    return bool(kinds & {"number", "integer"})


def _method_schema() -> dict[str, Any]:
    shapes = []
    for name, cls in STRATEGIES.items():
        schema = section_schema(cls)
        schema["properties"] = {"name": {"const": name}, **schema.get("properties", {})}
        shapes.append({**schema, "required": ["name", *schema.get("required", [])]})
    return {"anyOf": [{"enum": list(STRATEGIES)}, *shapes]}
