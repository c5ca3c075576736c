"""From a YAML file to a checked Config: the one place that knows all tables."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hpsearch.config.data import data_source, read_data
from hpsearch.config.definitions import (
    KEYS,
    SECTIONS,
    Budget,
    Data,
    Metric,
    Range,
    Run,
    Top,
    TrialLimits,
    Values,
)
from hpsearch.config.parameters import read_parameters
from hpsearch.config.reading import Sections, found, one_of
from hpsearch.engines import address_problem
from hpsearch.errors import UserError
from hpsearch.fields import RUN_NAME, plain_name
from hpsearch.nn.losses import LOSSES
from hpsearch.nn.settings import Settings
from hpsearch.objectives import OBJECTIVES, Names, Objective, objective_class
from hpsearch.objectives.command import Command, check_pattern
from hpsearch.objectives.command import Section as CommandSection
from hpsearch.objectives.mlp import MLP
from hpsearch.objectives.mlp import Section as NetworkSection
from hpsearch.objectives.python import PythonFunction
from hpsearch.objectives.python import Section as PythonSection
from hpsearch.outline import Limits, Outline
from hpsearch.seeds import trial_seed
from hpsearch.space import Space
from hpsearch.strategies import BLIND, LISTED, STRATEGIES, Halving, Listed, Own, Strategy
from hpsearch.strategies.own import TARGET
from hpsearch.trial import Params, Result, frozen, plain
from hpsearch.yamlfile import Document, Place, parse_yaml, read_yaml


@dataclass(frozen=True, kw_only=True)
class Config:
    """One checked config file."""

    name: str
    parent: str | None
    metric: Metric
    metric_name: str
    goal: str
    """`minimize` or `maximize`."""
    objective: Objective
    kind: str
    """The key in OBJECTIVES."""
    data: Data | None
    """For the built-in trainer; a user's code reads its own."""
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
    earlier: tuple[Result, ...] = ()
    """Trials of another run, in this space, that the strategy knows from the start."""
    earlier_run: str | None = None
    """That run's name."""

    @property
    def names(self) -> Names:
        """The varied parameters that the objective is given."""
        space = self.space
        names = dict.fromkeys([*space.entries, *space.names])
        always = tuple(name for name in names if space.is_always_there(name))
        sometimes = tuple(name for name in space.entries if name not in always)
        return Names(always, sometimes, space.repeats)

    @cached_property
    def size(self) -> int | None:
        """The number of settings after which the strategy has nothing left; None for no end."""
        return self.strategy.size(self.space)

    @property
    def limit(self) -> int | None:
        """The number of trials at which the search ends; None when only something else ends it.

        A strategy that comes to an end by itself is not cut short unless the budget says so.
        """
        if self.size is None:
            return self.budget.limit
        return self.size if self.budget.trials is None else min(self.size, self.budget.trials)

    @property
    def in_steps(self) -> bool:
        """Whether trials may be trained in several steps."""
        return isinstance(self.strategy, Halving)

    @property
    def optimal_error(self) -> float:
        """The best achievable error."""
        return self.metric.optimal_error

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs of each rung of a halving; none for another method."""
        return self.strategy.rungs() if isinstance(self.strategy, Halving) else ()

    @property
    def outline(self) -> Outline:
        """What a leaderboard needs to know of it."""
        budget = self.budget
        return Outline(
            name=self.name,
            metric_name=self.metric_name,
            goal=self.goal,
            optimal_error=self.optimal_error,
            method=self.method,
            in_steps=self.in_steps,
            size=self.size,
            limit=self.limit,
            budget=Limits(budget.epochs, budget.time, budget.patience, budget.failures),
            kind=self.kind,
            fixed=self.objective.constants,
            space=Space(self.space.axes),
        )

    @property
    def learns(self) -> bool:
        """Whether the strategy goes by results that it may be given."""
        return (
            hasattr(self.strategy, "propose")
            and self.strategy.identity(None).get("propose", self.method) not in BLIND
        )

    def sources(self) -> dict[str, str]:
        """Return the SHA-256 of every file of code and data that the trials depend on, by name."""
        own = self.strategy.sources() if isinstance(self.strategy, Own) else {}
        return {**self.objective.sources(), **own}

    def training_seed(self, number: int) -> int:
        """Return the seed that trial `number` trains from."""
        return trial_seed(self.seed, number) if self.trial.seed is None else self.trial.seed

    def identity(self) -> dict[str, Any]:
        """Return, as plain data, all that decides which trials there are and how they end.

        Not in it: the name, the budget and where trials run, which may change between two
        commands on one run; the number of trials is, where the strategy shares them out.
        """
        given = {name: plain(value) for name, value in self.objective.constants.items()}
        own = {name: value for name, value in given.items() if name not in self.constants}
        measured = self.objective.identity()
        rules = self.space.constraints
        trial = asdict(self.trial)
        if self.trial.repeats == 1:
            del trial["repeats"]  # which the identity of an older run lacks
        return {
            "metric": {"name": self.metric_name, "goal": self.goal},
            **measured,
            "objective": {**measured["objective"], **own},
            "order": list(self.space.names),  # a point of the unit cube has its coordinates in it
            "parameters": {
                **self.space.spec(),
                **{name: given[name] for name in self.constants},
            },
            **({"constraints": [each.text for each in rules]} if rules else {}),
            "method": {"name": self.method, **self.strategy.identity(self.limit)},
            "seed": self.seed,
            "trial": trial,
            **({"warm_start": _hash(self.earlier)} if self.earlier else {}),
        }


def _hash(earlier: Sequence[Result]) -> str:
    known = [(result.unit, result.status, result.score, result.scores) for result in earlier]
    return hashlib.sha256(repr(known).encode()).hexdigest()


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
    sections = Sections(document, _homes())
    if document.value is None:
        raise UserError(f"{document.name}: empty; a config needs objective, data and parameters")
    top = sections.mapping((), KEYS)
    kind, cls = _kind(sections)
    for key in ("data", "parameters") if kind == "trainer" else ("parameters",):
        if key not in top:
            raise document.error((), f"the config has no section '{key}'", _EXAMPLES[key])
    single = {
        key: sections.field(Top, key, (key,)) for key in ("name", "parent", "seed") if key in top
    }
    for key in ("metric", "method"):
        _expand(document, key, "name")
    read: dict[str, Any] = {
        key: sections.read(each, (key,), example)
        for key, (each, example) in SECTIONS.items()
        if key != "data" or kind == "trainer"
    }
    data: Data | None = read.get("data")
    if cls.SETTINGS is None:
        sections.homes = {
            **_homes(),
            **{item.name: "under parameters" for item in fields(Settings)},
        }
    if "constraints" in top:
        sections.field(Top, "constraints", ("constraints",))
    own, constants = _objective_section(sections, kind, cls)
    space, parameter_constants = read_parameters(sections, cls.SETTINGS, constants)
    constants |= parameter_constants
    seed = single.get("seed", 0)
    objective: Objective
    if data is not None:
        assert isinstance(own, NetworkSection)
        source = data_source(sections, data, folder, seed, regression=LOSSES[own.loss].REGRESSION)
        read_source = read_data(document, source) if with_data else source
        objective = MLP(constants, read_source, own.loss, own.changes)
    elif "data" in top:
        raise document.error(
            ("data",),
            "the section 'data' belongs to the built-in trainer",
            "Remove it: your own code reads its own data.",
            at_key=True,
        )
    elif isinstance(own, PythonSection):
        objective = PythonFunction.build(own, folder, constants)
    else:
        assert isinstance(own, CommandSection)
        objective = Command.build(own, folder, constants, read["metric"].pattern)
    if with_data:
        _check_clashes(sections, objective, space)
        _check_folder(document, objective)
    metric_name, goal = _metric(sections, read["metric"], kind, objective)
    if cls.SETTINGS is None and metric_name in (sections.at(("parameters",)) or ()):
        raise document.error(
            ("parameters", metric_name),
            f"a parameter cannot be called '{metric_name}', which is the metric's name",
            at_key=True,
        )
    method, strategy = _strategy(sections, folder)
    epochs = _fixed_epochs(objective, space)
    if isinstance(strategy, Halving):
        if epochs is None and isinstance(objective, Command | PythonFunction):
            epochs = strategy.max
            objective = replace(objective, budget=epochs)
        strategy = _with_rungs(document, strategy, epochs)
    _check_epochs(document, read["budget"], strategy, epochs, objective, space)
    if with_data or not isinstance(strategy, Own):  # whose file may be gone
        for problem in strategy.problems(space, read["budget"].limit):
            place = ("method", *problem.keys)
            raise document.error(place, problem.text, problem.hint, at_key=problem.at_key)
    _check_address(document, read["run"])
    run_name = single.get("name", stem) if name is None else name
    _check_name(run_name, from_file=name is None and "name" in single)
    return Config(
        name=run_name,
        parent=single.get("parent"),
        metric=read["metric"],
        metric_name=metric_name,
        goal=goal,
        objective=objective,
        kind=kind,
        data=data,
        space=space,
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


def _kind(sections: Sections) -> tuple[str, type[Objective]]:
    """Return which objective the section `objective` names: its key, and its class."""
    place: Place = ("objective",)
    document = sections.document
    if place not in document.values:
        raise document.error((), "the config has no section 'objective'", _EXAMPLES["objective"])
    classes = {kind: objective_class(kind) for kind in OBJECTIVES}
    known = {item.name for cls in classes.values() for item in fields(cls.SECTION)}
    settings = {item.name for item in fields(Settings)}
    given = sections.mapping(place, known | settings, "objective: {trainer: mlp}")
    kinds = [kind for kind in OBJECTIVES if kind in given]
    if not kinds:
        raise document.error(
            place,
            f"objective needs one of the keys {', '.join(OBJECTIVES)}",
            "Example: objective: {trainer: mlp}",
            at_key=True,
        )
    if len(kinds) > 1:
        raise document.error(
            (*place, kinds[1]),
            f"objective has both '{kinds[0]}' and '{kinds[1]}'",
            "A search has one objective: remove one of them.",
            at_key=True,
        )
    return kinds[0], classes[kinds[0]]


def _objective_section(sections: Sections, kind: str, cls: type[Objective]) -> tuple[Any, Params]:
    """Read the section `objective`: its own keys, and constants."""
    place: Place = ("objective",)
    own = {item.name for item in fields(cls.SECTION)}
    settings = set() if cls.SETTINGS is None else {item.name for item in fields(cls.SETTINGS)}
    given = sections.mapping(place, own | settings)
    if kind == "trainer":
        sections.choose((*place, kind), "objective.trainer", ("mlp",))
    section = cls.SECTION(
        **{key: sections.field(cls.SECTION, key, (*place, key)) for key in given if key in own}
    )
    constants = {
        key: sections.field(cls.SETTINGS, key, (*place, key))
        for key in given
        if key not in own and cls.SETTINGS is not None
    }
    return section, constants


def _metric(sections: Sections, metric: Metric, kind: str, objective: Objective) -> tuple[str, str]:
    """Return the name of the metric and the goal."""
    place: Place = ("metric",)
    known = objective.metrics
    if metric.pattern is not None and kind != "command":
        raise sections.document.error(
            (*place, "pattern"), "metric.pattern reads what a command prints", at_key=True
        )
    if metric.pattern is not None:
        try:
            check_pattern(metric.pattern)
        except ValueError as error:
            raise sections.document.error((*place, "pattern"), f"metric.pattern: {error}") from None
    if metric.name is None and not known:
        raise sections.document.error(
            place if place in sections.document.values else (),
            "the config must name the metric that your code reports",
            "Example: metric: {name: accuracy, goal: maximize}",
        )
    if metric.name in objective.METRICS and metric.name not in known:
        raise sections.document.error(
            (*place, "name"),
            f"metric.name is {metric.name}, which is not measured with this loss",
            f"Set objective.loss, or choose {one_of([*known])}.",
        )
    if known and metric.name is not None:
        sections.choose((*place, "name"), "metric.name", known)
    name = metric.name or next(iter(known))
    if not name.isprintable():
        raise sections.document.error(
            (*place, "name"),
            f"metric.name is {name!a}, which holds a character that cannot be shown",
            "Name it with letters; what your code reports must have the same name.",
        )
    if metric.goal is None and name not in known:
        raise sections.document.error(
            place,
            f"metric needs the key 'goal': only you know which way {name} is better",
            f"Example: metric: {{name: {name}, goal: minimize}}",
            at_key=True,
        )
    return name, metric.goal or known[name]


def _homes() -> dict[str, str]:
    """Say where in a config each key belongs."""
    sections: dict[str, list[str]] = {}
    for section, (cls, _) in SECTIONS.items():
        for item in fields(cls):
            sections.setdefault(item.name, []).append(section)
    for item in fields(Settings):
        sections.setdefault(item.name, []).extend(["objective", "parameters"])
    homes = {key: f"under {' or '.join(names)}" for key, names in sections.items()}
    inside = dict.fromkeys(item.name for item in (*fields(Range), *fields(Values)))
    return {
        **homes,
        **dict.fromkeys(inside, "to one parameter, so indent it further"),
        **dict.fromkeys(KEYS, "to the top level"),
    }


def _expand(document: Document, key: str, inner: str) -> None:
    """Let `method: random` stand for `method: {name: random}`."""
    value = document.value.get(key)
    if isinstance(value, str):
        document.value[key] = {inner: value}
        document.values[(key, inner)] = document.values[(key,)]


def _check_name(name: str, *, from_file: bool) -> None:
    if from_file or re.fullmatch(RUN_NAME.pattern, name):
        return
    meant = plain_name(name, also=".-")
    raise UserError(
        f"'{name}' cannot name a run: it needs {RUN_NAME.words}.\n"
        f"Give one with --name{f', such as --name {meant}' if meant else ''}."
    )


def _strategy(sections: Sections, folder: Path) -> tuple[str, Strategy]:
    place: Place = ("method",)
    if place not in sections.document.values:
        return "random", STRATEGIES["random"]()
    value = sections.at(place)
    if not isinstance(value, dict):
        raise sections.document.error(
            place,
            f"method must be a name or a mapping with the key 'name', found {found(value)}",
            "Example: method: random",
        )
    if "python" in value:
        return "python", _own_strategy(sections, folder, value)
    if "name" not in value:
        known = {item.name for cls in STRATEGIES.values() for item in fields(cls)}  # type: ignore[arg-type]
        sections.mapping(place, {"name", "python", *known})
        raise sections.document.error(
            place, "method needs the key 'name'", "Example: method: random", at_key=True
        )
    cls: type[Strategy] = Listed
    if (name := value["name"]) != LISTED:
        name = sections.choose((*place, "name"), "method", STRATEGIES)
        cls = STRATEGIES[name]
    names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    given = sections.mapping(place, ["name", *names])
    return name, cls(
        **{key: sections.field(cls, key, (*place, key)) for key in given if key != "name"}
    )


def _own_strategy(sections: Sections, folder: Path, value: Mapping[str, Any]) -> Own:
    """Read a method that is the user's own; its other keys are whatever the class takes."""
    place: Place = ("method",)
    if "name" in value:
        raise sections.document.error(
            (*place, "name"),
            "method has both 'python' and 'name'",
            "A search has one method: remove one of them.",
            at_key=True,
        )
    target = value["python"]
    if not isinstance(target, str) or not re.fullmatch(TARGET.pattern, target):
        raise sections.document.error(
            (*place, "python"),
            f"method.python must be {TARGET.words}, found {found(target)}",
            'Example: method: {python: "my_strategy.py:MyStrategy"}',
        )
    return Own(target, folder.resolve(), {key: value[key] for key in value if key != "python"})


def _fixed_epochs(objective: Objective, space: Space) -> int | None:
    """Return the epochs of every trial; None where they vary or are not counted."""
    return None if "epochs" in space.entries and objective.SETTINGS else objective.epochs({})


def _with_rungs(document: Document, halving: Halving, epochs: int | None) -> Halving:
    """Return the strategy with the epochs of a whole training, which the objective has."""
    place: Place = ("method",)
    varied = ("parameters", "epochs")
    if epochs is None and varied in document.values:
        raise document.error(
            varied,
            "epochs cannot vary under halving, which decides how long each trial is trained",
            "Make it a constant: objective: {trainer: mlp, epochs: 30}",
            at_key=True,
        )
    if epochs is None:
        raise document.error(
            place,
            "halving needs objective.epochs: how long a whole training is",
            "Example: objective: {python: train.py:score, epochs: 27}",
        )
    if halving.max is not None and halving.max > epochs:
        raise document.error(
            (*place, "max"),
            f"method.max is {halving.max}, more than objective.epochs, which is {epochs}",
            f"Give at most {epochs}, or leave it out.",
        )
    return replace(halving, max=halving.max or epochs)


def _check_epochs(
    document: Document,
    budget: Budget,
    strategy: Strategy,
    epochs: int | None,
    objective: Objective,
    space: Space,
) -> None:
    """Check that budget.epochs counts something, and has room for a trial."""
    if budget.epochs is None:
        return
    place: Place = ("budget", "epochs")
    fewest = epochs
    if "epochs" in space.entries and objective.SETTINGS:
        fewest = min(space.reach()["epochs"])
    if isinstance(strategy, Halving):
        fewest = strategy.rungs()[0]
    if fewest is None:
        raise document.error(
            place,
            "budget.epochs counts epochs, and the objective does not say how many a trial has",
            "Add objective.epochs, or limit budget.trials.",
            at_key=True,
        )
    if budget.epochs < fewest:
        raise document.error(
            place,
            f"budget.epochs is {budget.epochs}, and one trial already takes {fewest}",
            f"Give at least {fewest}.",
        )


def _check_address(document: Document, run: Run) -> None:
    """Check that the engine's cluster can be at its address."""
    problem = address_problem(run.engine, run.address)
    if problem is not None:
        text, hint = problem
        raise document.error(("run", "address"), text, hint)


def _check_clashes(sections: Sections, objective: Objective, space: Space) -> None:
    for name, text in objective.problems(space.reach()):
        section = "parameters" if name in (sections.at(("parameters",)) or ()) else "objective"
        raise sections.document.error((section, name), text, at_key=True)


def _check_folder(document: Document, objective: Objective) -> None:
    """Check that the folder of the user's code is there, which only the config can know."""
    if isinstance(objective, Command | PythonFunction) and not Path(objective.base).is_dir():
        raise document.error(("objective", "folder"), f"there is no folder {objective.base}")


def allowed(config: Config, name: str, value: Any) -> bool:
    """Tell whether a hyperparameter of the objective may have a value at all."""
    settings = config.objective.SETTINGS
    if settings is None:
        return True
    try:
        Sections(config.document).field(settings, name, ("parameters", name), value)
    except UserError:
        return False
    return True


def read_value(config: Config, name: str, text: str) -> Any:
    """Read a hyperparameter's value as a config would, from what was typed.

    Raises:
        UserError: it cannot have that value; one sentence, and perhaps the way out.
    """
    settings = config.objective.SETTINGS
    try:
        document = parse_yaml(f"{name}: {text}".encode(), name)
    except UserError as error:
        raise UserError(f"{name} cannot be '{text}': {_without_place(error)[0]}") from None
    if settings is not None:
        try:
            return Sections(document).field(settings, name, (name,))
        except UserError as error:
            raise UserError("\n".join(filter(None, _without_place(error)))) from None
    value = document.value[name] if isinstance(document.value, dict) else None
    if value is None or isinstance(value, dict):
        raise UserError(f"{name} must be a number, text, true, false or a list, found '{text}'")
    return frozen(value)


def _without_place(error: UserError) -> tuple[str, str]:
    """Return the sentence and the hint of an error that points at a place in a text."""
    first, *rest = str(error).splitlines()
    return first.split(": ", 1)[-1], " ".join(line for line in rest[2:] if line.strip())
