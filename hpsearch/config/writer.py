"""Configs that hpsearch writes: the one that reproduces the best trial, and the narrowed one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any

from hpsearch.config.definitions import KEYS
from hpsearch.config.load import Config
from hpsearch.data import DATASETS
from hpsearch.data.readers import reads_columns
from hpsearch.objectives.base import seen_from
from hpsearch.objectives.mlp import MLP
from hpsearch.objectives.python import PythonFunction
from hpsearch.space import Among, values_within
from hpsearch.strategies import LISTED, Listed, Own
from hpsearch.strategies.grid import Grid
from hpsearch.trial import Params, Result, plain
from hpsearch.yamlfile import dump
from hpsearch.zoom import Zoomed


def best_yaml(config: Config, result: Result, folder: Path, trials: int) -> str:
    """Write the config of one trial that repeats `result` to the last bit, unless time ended it.

    folder: Where the file will be, so that it finds the data.
    """
    again = "# It trains that one setting again, from the same seed, to the same score.\n"
    whole = config.objective.epochs(config.space.given(result.params))
    if result.rung is not None and whole != result.budget:
        again = (
            f"# That trial was trained for {result.budget} of {whole} epochs. This trains it from "
            "the same\n# seed to the last, so the score will be another one.\n"
        )
    if result.ended_early:
        again = (
            f"# That trial {result.ended_early}. This trains it again from the same\n"
            "# seed, but to its last epoch, so the score will be another one.\n"
        )
    title = (
        f"# The best of {trials} trials of the run {config.name}: trial {result.trial}, "
        f"{config.metric_name} {result.score:.4g}.\n"
        f"{again}"
        "# The best of many is partly luck: with another trial.seed it may be a little worse.\n"
    )
    sections = _sections(config, folder)
    parameters = {**settled(config, result.params), **config.constants}
    sections["parameters"] = _block(
        "parameters", {name: dump(value) for name, value in parameters.items()}
    )
    sections.pop("constraints", None)
    return title + _joined(
        {
            **sections,
            "name": f"name: {config.name[:95]}-best",
            "parent": f"parent: {config.name}",
            "method": "method: random",
            "budget": "budget: {trials: 1}",
            "trial": f"trial: {dump(_given(config.trial, seed=result.seed))}",
        }
    )


def by_hand_yaml(
    config: Config,
    params: Params,
    seed: int,
    changes: Sequence[Mapping[str, Any]],
    folder: Path,
    *,
    title: Sequence[str],
) -> str:
    """Write the config that trains one setting by a schedule, from the same seed.

    params: The setting at the beginning.
    changes: As `objective.changes` has them.
    title: Lines that say where it comes from.
    """
    objective = config.objective
    assert isinstance(objective, MLP | PythonFunction)
    constants = {
        name: value
        for name, value in objective.constants.items()
        if name not in params and not (name == "early_stopping" and config.kind == "trainer")
    }
    objective = replace(objective, constants=constants, changes=tuple(changes))
    own = {name: value for name, value in config.constants.items() if name in constants}
    config = replace(config, objective=objective, constants=own)
    sections = _sections(config, folder)
    parameters = {name: dump(plain(value)) for name, value in {**params, **own}.items()}
    sections.pop("constraints", None)
    sections.pop("method", None)
    text = _joined(
        {
            **sections,
            "parameters": _block("parameters", parameters),
            "budget": "budget: {trials: 1}",
            "trial": f"trial: {dump(_given(replace(config.trial, repeats=1), seed=seed))}",
        }
    )
    return "".join(f"# {_one_line(line)}\n" for line in title) + text


def settled(config: Config, params: Params) -> Params:
    """Return a setting as constants: repeats as a list, and for the user's code one by one too."""
    given = config.space.given(params)
    if config.kind != "trainer":
        return given
    parts = {part for each in config.space.repeats.values() for part in each}
    no_layers = {name for name in config.space.repeats if given.get(name) == ()}
    return {name: value for name, value in given.items() if name not in parts | no_layers}


def refined_yaml(
    config: Config,
    zoomed: Mapping[str, Zoomed],
    folder: Path,
    *,
    name: str,
    best: list[Result],
    trials: int | None,
) -> str:
    """Write the config that searches the narrowed space, with the reason for each bound.

    Its own seed gives new trials; the data keep the parent's, so that scores can be compared.
    """
    numbers = ", ".join(str(result.trial) for result in best)
    title = (
        f"# The region around the best trials of the run {config.name}: {numbers}.\n"
        "# Each bound says what it was, what it is now, and why.\n"
        + ("# The data are split as in the parent run; t" if config.data else "# T")
        + "he seed is new, so the trials are.\n"
    )
    if isinstance(config.strategy, Grid):
        left = [axis_name for axis_name, new in zoomed.items() if new.axis is not None]
        config = replace(config, strategy=config.strategy.within(left))
    lines = ["parameters:"]
    for axis_name, new in zoomed.items():
        if new.left_out:
            lines.append(f"  #{_comment(f'{axis_name} is left out: {new.left_out}')[3:]}")
            continue
        if new.axis is None:
            lines.append(f"  {axis_name}: {dump(new.value)}{_comment(new.notes['values'])}")
            continue
        lines.append(f"  {axis_name}:")
        for key, value in {**new.axis.spec(), **_words(config, axis_name, zoomed)}.items():
            note = _comment(new.notes[key]) if key in new.notes else ""
            lines.append(f"    {key}: {dump(value)}{note}")
    lines += [f"  {constant}: {dump(value)}" for constant, value in config.constants.items()]
    budget = _given(config.budget, **({} if trials is None else {"trials": trials}))
    return title + _joined(
        {
            **_sections(config, folder),
            "name": f"name: {name}",
            "parent": f"parent: {config.name}",
            "parameters": "\n".join(lines),
            "seed": f"seed: {(config.seed + 1) % 2**63}",
            **({"budget": f"budget: {dump(budget)}"} if budget else {}),
        }
    )


def retest_yaml(
    config: Config,
    chosen: Sequence[Result],
    folder: Path,
    *,
    name: str,
    repeats: int,
    seed: int,
    data: Path | None,
) -> str:
    """Write the config that tries some settings of a run again, each on the same fresh seeds.

    folder: Where the new config will be, so that it finds the data and the code.
    seed: What the seeds of the repeats come from.
    data: A file to take instead of the run's data.
    """
    lines = [
        f"# {len(chosen)} settings of the run {config.name} again, on {repeats} fresh seeds each.",
        *(f"# trial {each.trial}: {_one_line(config.space.text(each.params))}" for each in chosen),
    ]
    parameters = {**config.space.spec(), **config.constants}
    strategy = Listed(tuple(each.unit for each in chosen), tuple(each.trial for each in chosen))
    again = asdict(config.trial) | {"repeats": repeats, "seed": seed}
    sections = _sections(config, folder)
    if data is not None:
        sections["data"] = f"data: {dump(_on_other_data(config, folder, data))}"
    method = {"name": LISTED, **{key: plain(each) for key, each in asdict(strategy).items()}}
    text = {
        **sections,
        "name": f"name: {name}",
        "parent": f"parent: {config.name}",
        "parameters": _block(
            "parameters", {key: dump(plain(value)) for key, value in parameters.items()}
        ),
        "method": f"method: {dump(method)}",
        "trial": f"trial: {dump({key: each for key, each in again.items() if each is not None})}",
    }
    text["budget"] = f"budget: {{failures: {len(chosen) + 1}}}"  # all of them are tried
    return "\n".join(lines) + "\n" + _joined(text)


def _on_other_data(config: Config, folder: Path, data: Path) -> dict[str, Any]:
    """Return the section `data` with another file in the place of the run's."""
    section = config.objective.data_section(folder)
    source = section["source"]
    shipped = DATASETS.get(source) if isinstance(source, str) else None
    label = shipped.label if shipped and reads_columns(data.name) else section.get("label")
    rest = {key: value for key, value in section.items() if key not in ("source", "label")}
    return {
        "source": seen_from(folder, data),
        **({} if label is None else {"label": label}),
        **rest,
    }


def _one_line(text: str) -> str:
    """Keep a comment on its line whatever an option is called."""
    return " ".join(text.split())


def _words(config: Config, name: str, zoomed: Mapping[str, Zoomed]) -> Params:
    """Return `repeat` and `when` of a parameter, without what the narrower space fulfils or lacks.

    A condition on what became a constant holds, or the parameter was left out.
    """
    words = dict(config.space.words.get(name, {}))
    when = {}
    for other, wanted in (words.pop("when", None) or {}).items():
        new = zoomed.get(other)
        if new is None:
            when[other] = wanted
        elif new.axis is not None:
            values = wanted if isinstance(wanted, list) else [wanted]
            can_be = Among(other, tuple(values_within(new.axis)))
            when[other] = [value for value in values if can_be.met(value)]
    return {**words, **({"when": when} if when else {})}


def _sections(config: Config, folder: Path) -> dict[str, str]:
    """Write every section as in `config`, its data found from `folder` and split as before."""
    metric = _given(config.metric, name=config.metric_name, goal=config.goal)
    constants = {
        name: value
        for name, value in config.objective.constants.items()
        if name not in config.constants
    }
    if isinstance(config.strategy, Own):
        strategy = config.strategy.section(folder)
    else:
        strategy = {"name": config.method, **_given(config.strategy)}
    lines = {
        "metric": metric,
        "objective": {**config.objective.section(folder), **constants},
        "data": config.objective.data_section(folder),
        "constraints": [each.text for each in config.space.constraints],
        "method": strategy if len(strategy) > 1 else config.method,
        "seed": config.seed,
        "budget": _given(config.budget),
        "trial": _given(config.trial),
        "run": _given(config.run),
    }
    return {key: f"{key}: {dump(value)}" for key, value in lines.items() if value not in ({}, [])}


def _given(section: Any, **other: Any) -> dict[str, Any]:
    """Return a section's values that are not the defaults, and those in `other`."""
    values: dict[str, Any] = {}
    for item in fields(section):
        value = other.get(item.name, getattr(section, item.name))
        if item.name in other or item.default is MISSING or value != item.default:
            values[item.name] = _given(value) if hasattr(value, "__dataclass_fields__") else value
    return values


def _comment(text: str) -> str:
    """Write a comment that stays on its line whatever an option is called."""
    return f"  # {' '.join(text.split())}"


def _block(key: str, lines: Mapping[str, str]) -> str:
    if not lines:
        return f"{key}: {{}}"
    return "\n".join([f"{key}:", *(f"  {name}: {text}" for name, text in lines.items())])


def _joined(sections: Mapping[str, str]) -> str:
    return "".join(f"{sections[key]}\n" for key in KEYS if key in sections)
