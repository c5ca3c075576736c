"""The config: its sections, their defaults and checks. The only module that knows all tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Interval, Le

from hpsearch.errors import DataError, UserError, nearest
from hpsearch.fields import DURATION, RUN_NAME, STRICT, OneOf, doc, seconds
from hpsearch.objectives import OBJECTIVES
from hpsearch.objectives.mlp import MLP, DataSource, load_split
from hpsearch.scales import ALIASES, REFUSED, SCALES, Integer, Real
from hpsearch.sections import Sections, key_path, section_schema
from hpsearch.space import Axis, Choice, Space, ends
from hpsearch.strategies import STRATEGIES, Strategy
from hpsearch.trial import Params
from hpsearch.yamlfile import Document, Place, dump, read_yaml

ENGINES = ("local",)
DEFAULT_TRIALS = 20
TRAINERS = ("mlp",)
LARGEST_INTEGER = 2**53
"""Beyond it neighbouring whole numbers are one floating-point number."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What a trial is scored by."""

    __pydantic_config__ = STRICT

    name: Annotated[str, OneOf(MLP.METRICS)] = doc(
        "the metric of the last epoch that is the score", default=next(iter(MLP.METRICS))
    )
    goal: Annotated[str, OneOf(("minimize", "maximize"))] | None = doc(
        "which way is better; by default what the metric's name says", default=None
    )
    optimal_error: Annotated[float, Interval(ge=0, lt=1)] = doc(
        "the best achievable error, which the diagnosis measures bias from", default=0.0
    )


@dataclass(frozen=True, kw_only=True)
class Fractions:
    """How the examples are shared out; each class alike."""

    __pydantic_config__ = STRICT

    train: Annotated[float, Interval(gt=0, lt=1)] = doc("share to learn from")
    dev: Annotated[float, Interval(gt=0, lt=1)] = doc("share that chooses the best setting")
    test: Annotated[float, Interval(ge=0, lt=1)] = doc("share kept for one last look", default=0.0)


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is learned."""

    __pydantic_config__ = STRICT

    source: str = doc("a shipped data set (digits), or a .csv, .csv.gz or .npz file, from here")
    label: str | None = doc("a CSV file's column with the classes", default=None)
    split: Fractions = doc(
        "shares of train, dev and test", default=Fractions(train=0.6, dev=0.2, test=0.2)
    )
    seed: Annotated[int, Ge(0)] | None = doc(
        "decides which example goes where; by default the search's seed", default=None
    )


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number to vary, from min to max, both included."""

    __pydantic_config__ = STRICT

    min: float = doc("the lower end: a value, never an exponent")
    max: float = doc("the upper end")
    scale: Annotated[str, OneOf((*SCALES, *ALIASES))] = doc(
        "where equal steps mean equal effects", default="linear"
    )
    type: Annotated[str, OneOf(("float", "int"))] = doc(
        "int for whole numbers; never guessed from the ends", default="float"
    )


@dataclass(frozen=True, kw_only=True)
class Values:
    """Options to choose from."""

    __pydantic_config__ = STRICT

    values: tuple[Any, ...] = doc("the options, equally likely unless weighted")
    weights: tuple[Annotated[float, Ge(0)], ...] | None = doc(
        "how likely each option is, relative to the others", default=None
    )


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When the search ends: the first limit reached."""

    __pydantic_config__ = STRICT

    trials: Annotated[int, Ge(1), Le(10_000_000)] | None = doc(
        f"how many trials; {DEFAULT_TRIALS} unless time or patience limits them", default=None
    )
    time: Annotated[str, DURATION] | None = doc(
        "no trial starts after this long; running ones finish", default=None
    )
    patience: Annotated[int, Ge(1)] | None = doc(
        "end after this many trials without a better score", default=None
    )
    failures: Annotated[int, Ge(1)] = doc(
        "end after this many failed trials in a row, since then the objective is broken", default=10
    )

    @property
    def limit(self) -> int | None:
        """The number of trials, or None when only time or patience ends the search."""
        unlimited = self.trials is None and (self.time or self.patience)
        return None if unlimited else self.trials or DEFAULT_TRIALS

    @property
    def seconds(self) -> float | None:
        """The time limit in seconds."""
        return None if self.time is None else seconds(self.time)


@dataclass(frozen=True, kw_only=True)
class TrialLimits:
    """What holds for each trial."""

    __pydantic_config__ = STRICT

    timeout: Annotated[str, DURATION] | None = doc("a trial that takes longer ends", default=None)
    retries: Annotated[int, Ge(0), Le(10)] = doc(
        "how often a trial whose process died is tried again", default=1
    )
    seed: Annotated[int, Interval(ge=0, lt=2**32)] | None = doc(
        "one training seed for every trial; by default each has its own, from seed and number",
        default=None,
    )

    @property
    def timeout_seconds(self) -> float | None:
        """The time limit of a trial in seconds."""
        return None if self.timeout is None else seconds(self.timeout)


Jobs = Annotated[int, Ge(1), Le(10_000)] | Annotated[int, Ge(-1), Le(-1)]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where and how trials run; never changes a result."""

    __pydantic_config__ = STRICT

    engine: Annotated[str, OneOf(ENGINES)] = doc("what runs the trials", default="local")
    jobs: Jobs = doc("trials at once; -1 is one per core", default=-1)


@dataclass(frozen=True, kw_only=True)
class Top:
    """The keys of a config that are single values."""

    __pydantic_config__ = STRICT

    name: Annotated[str, RUN_NAME] = doc("the run's folder under runs/; by default the file's name")
    parent: Annotated[str, RUN_NAME] = doc("the run that this one refines")
    seed: Annotated[int, Interval(ge=0, lt=2**63)] = doc(
        "fixes every random choice of the search", default=0
    )


SECTIONS: dict[str, tuple[type, str]] = {
    "metric": (Metric, "metric: {name: dev_error, goal: minimize}"),
    "data": (Data, "data: {source: digits}"),
    "budget": (Budget, "budget: {trials: 25}"),
    "trial": (TrialLimits, "trial: {timeout: 5m}"),
    "run": (Run, "run: {jobs: -1}"),
}
KEYS = (
    "name",
    "parent",
    "metric",
    "objective",
    "data",
    "parameters",
    "method",
    "seed",
    "budget",
    "trial",
    "run",
)
"""The top level of a config, in the order in which it is written."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """One checked config file."""

    name: str
    parent: str | None
    metric: Metric
    objective: MLP
    kind: str
    """The key in OBJECTIVES."""
    data: Data
    space: Space
    constants: Params
    """The plain values under `parameters`; the objective has them too."""
    method: str
    strategy: Strategy
    seed: int
    budget: Budget
    trial: TrialLimits
    run: Run
    document: Document

    @property
    def goal(self) -> str:
        """`minimize` or `maximize`."""
        return self.metric.goal or MLP.METRICS[self.metric.name]

    def identity(self) -> dict[str, Any]:
        """Return, as plain data, all that decides which trials there are and how they end.

        Not in it: the name, the budget and where trials run, which may change between two
        commands on one run.
        """
        given = {name: _plain(value) for name, value in self.objective.constants.items()}
        constants = {name: given[name] for name in self.constants}
        return {
            "metric": {"name": self.metric.name, "goal": self.goal},
            "objective": {n: value for n, value in given.items() if n not in constants},
            "data": {
                "sha256": self.objective.data.sha256,
                "label": self.data.label,
                "split": asdict(self.data.split),
                "seed": self.objective.data.seed,
            },
            "parameters": {
                **{name: axis.spec() for name, axis in self.space.axes.items()},
                **constants,
            },
            "method": {"name": self.method, **asdict(self.strategy)},  # type: ignore[call-overload]
            "seed": self.seed,
            "trial": asdict(self.trial),
        }

    def traps(self) -> Iterator[tuple[str, str]]:
        """Yield (parameter, sentence) for what is allowed but probably not meant."""
        for name, axis in self.space.axes.items():
            if isinstance(axis, Real | Integer) and axis.name == "linear":
                yield from ((name, text) for text in _linear_traps(axis))
        bounds = {name: tuple(ends(axis)) for name, axis in self.space.axes.items()}
        yield from self.objective.idle(bounds)
        settings, trials = self.space.settings(), self.budget.limit
        if trials and settings < trials and self.space.axes:
            yield (
                "",
                (
                    f"there are only {settings:.0f} distinct settings for {trials} trials: "
                    "some will be tried more than once, with other seeds"
                ),
            )
        if not self.space.axes:
            yield "", "nothing varies: the trials differ in their seed only"
        if self.goal != MLP.METRICS[self.metric.name]:
            yield "", f"the goal is to {self.goal} {self.metric.name}: is that what you want?"


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _linear_traps(axis: Real | Integer) -> Iterator[str]:
    low, high = axis.scale.min, axis.scale.max
    if low > 0 and high / low >= 1000:
        share = (high - high / 10) / (high - low)
        yield (
            f"a linear scale from {low:g} to {high:g} spends {share:.0%} of the trials above "
            f"{high / 10:g}; scale: log gives every decade its share"
        )
    elif isinstance(axis, Real) and 0.5 <= low < high < 1 and (1 - low) / (1 - high) >= 10:
        yield (
            f"a linear scale up to {high:g} hardly tries values near 1, where 1 - value matters; "
            "scale: one_minus_log does"
        )


def load_config(
    path: Path, name: str | None = None, folder: Path | None = None, *, with_data: bool = True
) -> Config:
    """Read and check a config file, and the data that it names.

    Args:
        path: The YAML file.
        name: The run's name instead of the one in the file.
        folder: Where relative data paths start instead of the file's own folder.
        with_data: False to leave the data unread, for a report of a run whose data may be gone.
    Raises:
        UserError: anything wrong with the file or its data, with the place.
    """
    document = read_yaml(path)
    return build_config(document, name, path.stem, folder or path.parent, with_data=with_data)


def build_config(
    document: Document, name: str | None, stem: str, folder: Path, *, with_data: bool = True
) -> Config:
    """Check a parsed config; `stem` names the run if nothing else does. As `load_config`."""
    sections = Sections(document)
    if document.value is None:
        raise UserError(f"{document.name}: empty; a config needs objective, data and parameters")
    top = sections.mapping((), KEYS)
    for key in ("objective", "data", "parameters"):
        if key not in top:
            raise document.error((), f"the config has no section '{key}'", _EXAMPLES[key])
    single = {
        key: sections.field(Top, key, (key,)) for key in ("name", "parent", "seed") if key in top
    }
    _expand(document, "metric", "name")
    _expand(document, "method", "name")
    read = {key: sections.read(cls, (key,), example) for key, (cls, example) in SECTIONS.items()}
    data: Data = read["data"]
    _check_split(sections, data.split)
    axes, parameter_constants = _parameters(sections)
    constants = {**_objective_constants(sections), **parameter_constants}
    seed = single.get("seed", 0)
    kind = "trainer"
    source = DataSource(
        source=data.source,
        folder=str(folder.resolve()),
        label=data.label,
        fractions=tuple(asdict(data.split).items()),
        seed=seed if data.seed is None else data.seed,
        sha256="",
    )
    if with_data:
        source = _read_data(document, source)
    objective = MLP(constants, source)
    if with_data:
        _check_clashes(sections, objective, axes)
    method, strategy = _strategy(sections)
    run_name = name or single.get("name") or stem
    _check_name(sections, run_name, from_file=name is None and "name" in single)
    return Config(
        name=run_name,
        parent=single.get("parent"),
        metric=read["metric"],
        objective=objective,
        kind=kind,
        data=data,
        space=Space(axes),
        constants=parameter_constants,
        method=method,
        strategy=strategy,
        seed=seed,
        budget=read["budget"],
        trial=read["trial"],
        run=read["run"],
        document=document,
    )


_EXAMPLES = {
    "objective": "Example: objective: {trainer: mlp, epochs: 30}",
    "data": "Example: data: {source: digits}",
    "parameters": "Example: parameters: {learning_rate: {scale: log, min: 1e-4, max: 1}}",
}


def _expand(document: Document, key: str, inner: str) -> None:
    """Let `method: random` stand for `method: {name: random}`."""
    value = document.value.get(key)
    if isinstance(value, str):
        document.value[key] = {inner: value}
        document.values[(key, inner)] = document.values[(key,)]


def _check_name(sections: Sections, name: str, *, from_file: bool) -> None:
    import re

    if from_file or re.fullmatch(RUN_NAME.pattern, name):
        return
    raise UserError(
        f"'{name}' cannot name a run: it needs {RUN_NAME.words}.\nGive one with --name."
    )


def _check_split(sections: Sections, split: Fractions) -> None:
    total = split.train + split.dev + split.test
    if abs(total - 1) > 1e-9:
        raise sections.document.error(
            ("data", "split"),
            f"the shares in data.split must add up to 1, found {total:g}",
            "Example: split: {train: 0.6, dev: 0.2, test: 0.2}",
        )


def _objective_constants(sections: Sections) -> Params:
    """Read the section `objective`: which one, and its constants."""
    place: Place = ("objective",)
    settings = {item.name for item in fields(MLP.SETTINGS)}
    if isinstance(sections.at(place), str):
        raise sections.document.error(
            place, "objective must be a mapping", "Example: objective: {trainer: mlp}"
        )
    given = sections.mapping(place, {*OBJECTIVES, *settings}, "objective: {trainer: mlp}")
    if "trainer" not in given:
        raise sections.document.error(
            place,
            "objective needs the key 'trainer'",
            "Example: objective: {trainer: mlp}",
            at_key=True,
        )
    if given["trainer"] not in TRAINERS:
        raise sections.document.error(
            (*place, "trainer"),
            f"objective.trainer must be {', '.join(TRAINERS)}, found {given['trainer']!r}",
        )
    return {
        name: sections.field(MLP.SETTINGS, name, (*place, name))
        for name in given
        if name != "trainer"
    }


def _parameters(sections: Sections) -> tuple[dict[str, Axis], Params]:
    """Read the section `parameters`: what varies, and plain values."""
    known = {item.name for item in fields(MLP.SETTINGS)}
    given = sections.mapping(
        ("parameters",), known, "parameters: {learning_rate: {scale: log, ...}}"
    )
    constant_too = set(sections.at(("objective",)) or ())
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
            if isinstance(value, list) and name != "hidden_units":
                raise sections.document.error(
                    place,
                    f"parameters.{name} is a list",
                    f"To choose from it, write: {name}: {{values: {dump(value)}}}",
                )
            constants[name] = sections.field(MLP.SETTINGS, name, place)
        elif "values" in value or "weights" in value:
            axes[name] = _choice(sections, place, name)
        else:
            axes[name] = _range(sections, place, name)
    return axes, constants


def _choice(sections: Sections, place: Place, name: str) -> Choice:
    entry = sections.read(Values, place, f"{name}: {{values: [1, 2]}}")
    options = tuple(
        sections.field(MLP.SETTINGS, name, (*place, "values", index), option)
        for index, option in enumerate(sections.at(place)["values"])
    )
    try:
        return Choice(options, entry.weights)
    except ValueError as error:
        key = "weights" if "weight" in str(error) else "values"
        raise sections.document.error((*place, key), f"{key_path(place)}: {error}") from None


def _range(sections: Sections, place: Place, name: str) -> Real | Integer:
    document = sections.document
    given = sections.mapping(place, [item.name for item in fields(Range)] + ["values", "weights"])
    _check_scale_word(sections, (*place, "scale"))
    entry = sections.read(Range, place, f"{name}: {{scale: log, min: 1e-4, max: 1}}")
    ints = entry.type == "int"
    for end in ("min", "max"):
        value = given[end]
        if ints and not isinstance(value, int):
            raise document.error(
                (*place, end), f"{key_path((*place, end))} must be a whole number, found {value}"
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
        end = "max" if scale_name == "one_minus_log" and high >= 1 else "min"
        raise document.error((*place, end), f"{key_path(place)}: {error}", hint) from None
    axis = Integer(scale, scale_name) if ints else Real(scale, scale_name)
    _check_ends(sections, place, name, axis)
    return axis


def _check_scale_word(sections: Sections, place: Place) -> None:
    word = sections.at(place)
    if isinstance(word, str) and word in REFUSED:
        raise sections.document.error(place, REFUSED[word])
    others = {"loguniform": "log", "uniform": "linear", "lin": "linear", "logarithmic": "log"}
    plain = str(word).lower().replace("-", "").replace("_", "").removesuffix("values")
    plain = plain.removeprefix("q").removeprefix("int") if plain.endswith("uniform") else plain
    if isinstance(word, str) and word not in SCALES and word not in ALIASES and plain in others:
        raise sections.document.error(
            place,
            f"{key_path(place)} must be one of {', '.join((*SCALES, *ALIASES))}, found '{word}'",
            f"hpsearch calls it '{others[plain]}'.",
        )


def _check_ends(sections: Sections, place: Place, name: str, axis: Real | Integer) -> None:
    """Refuse a range that leaves what the hyperparameter can be."""
    schema = section_schema(MLP.SETTINGS)["properties"][name]
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
    for end, value in zip(("min", "max"), ends(axis), strict=True):
        sections.field(MLP.SETTINGS, name, (*place, end), value)


def _strategy(sections: Sections) -> tuple[str, Strategy]:
    place: Place = ("method",)
    value = sections.at(place)
    if value is None:
        return "random", STRATEGIES["random"]()
    if not isinstance(value, dict) or "name" not in value:
        raise sections.document.error(
            place,
            "method must be a name or a mapping with the key 'name'",
            "Example: method: random",
        )
    name = value["name"]
    if not isinstance(name, str) or name not in STRATEGIES:
        meant = nearest(name, list(STRATEGIES))
        raise sections.document.error(
            (*place, "name"),
            f"method must be one of {', '.join(STRATEGIES)}, found {name!r}",
            f"Did you mean '{meant}'?" if meant else "",
        )
    cls = STRATEGIES[name]
    names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    given = sections.mapping(place, ["name", *names])
    return name, cls(
        **{key: sections.field(cls, key, (*place, key)) for key in given if key != "name"}
    )


def _read_data(document: Document, source: DataSource) -> DataSource:
    """Name the data exactly, and read it once to find every mistake before anything starts."""
    from hpsearch.data import fingerprint

    try:
        exact = replace(source, sha256=fingerprint(source.source, Path(source.folder)))
        load_split(exact)
    except DataError as error:
        if error.key is None:
            raise
        text, _, hint = str(error).partition("\n")
        raise document.error(("data", error.key), text, hint) from None
    return exact


def _check_clashes(sections: Sections, objective: MLP, axes: Mapping[str, Axis]) -> None:
    bounds = {name: tuple(ends(axis)) for name, axis in axes.items()}
    for name, text in objective.problems(bounds):
        section = "parameters" if name in (sections.at(("parameters",)) or ()) else "objective"
        raise sections.document.error((section, name), text, at_key=True)


def allowed(config: Config, name: str, value: Any) -> bool:
    """Tell whether a hyperparameter of the objective may have a value at all."""
    try:
        Sections(config.document).field(MLP.SETTINGS, name, ("parameters", name), value)
    except UserError:
        return False
    return True


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
