"""The sections of a config: one frozen dataclass each, whose fields are the keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Interval, Le, MaxLen, MinLen

from hpsearch.data import DATASETS
from hpsearch.engines import ENGINES, LOCAL
from hpsearch.fields import DURATION, RUN_NAME, SIZE, STRICT, OneOf, doc, seconds, size_bytes
from hpsearch.scales import ALIASES, SCALES

DEFAULT_TRIALS = 20

MOST_REPEATS = 100

Share = Annotated[float, Interval(gt=0, lt=1)]
Count = Annotated[int, Ge(1)]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What a trial is scored by."""

    __pydantic_config__ = STRICT

    name: Annotated[str, MinLen(1)] | None = doc(
        "the metric of the last epoch that is the score; dev_error for the built-in trainer",
        default=None,
    )
    goal: Annotated[str, OneOf(("minimize", "maximize"))] | None = doc(
        "which way is better; by default what the metric's name says", default=None
    )
    pattern: Annotated[str, MinLen(1)] | None = doc(
        "for a command that prints no JSON: a regular expression whose group is the metric",
        default=None,
    )
    optimal_error: Annotated[float, Interval(ge=0, lt=1)] = doc(
        "the best achievable error, which the diagnosis measures bias from", default=0.0
    )


@dataclass(frozen=True, kw_only=True)
class Fractions:
    """How the examples are shared out: shares, each class alike, or numbers of examples."""

    __pydantic_config__ = STRICT

    train: Share | Count = doc("share, or number of examples, to learn from")
    dev: Share | Count | None = doc(
        "share or number that chooses the best setting; not needed with folds or a file for it",
        default=None,
    )
    test: Annotated[float, Interval(ge=0, lt=1)] | Annotated[int, Ge(0)] | None = doc(
        "share or number kept for one last look; none by default", default=None
    )


@dataclass(frozen=True, kw_only=True)
class Files:
    """One file for each part."""

    __pydantic_config__ = STRICT

    train: str = doc("the file to learn from")
    dev: str | None = doc("the file that chooses the best setting", default=None)
    test: str | None = doc("the file kept for one last look", default=None)


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is learned."""

    __pydantic_config__ = STRICT

    source: str | Files = doc(
        f"a shipped data set ({', '.join(DATASETS)}), a file, or a file for each of train, dev and "
        "test, from here"
    )
    label: str | Files | None = doc(
        "the column to learn (CSV, Parquet), or the file with the labels (.npy, IDX)", default=None
    )
    split: Fractions = doc(
        "shares of train, dev and test, or numbers of examples",
        default=Fractions(train=0.6, dev=0.2, test=0.2),
    )
    stratify: bool = doc("share out each class in the same proportions", default=True)
    folds: Annotated[int, Interval(ge=2, le=100)] | None = doc(
        "share out train and dev together in k folds, each of which is dev once", default=None
    )
    categorical: tuple[str, ...] = doc(
        "columns of categories, each of which gets a column of 0 and 1; columns of words are "
        "categorical by themselves",
        default=(),
    )
    ignore: tuple[str, ...] = doc("columns to leave out", default=())
    missing: Annotated[str, OneOf(("refuse", "median"))] = doc(
        "what is done about missing values: median fills in the training part's median, or its "
        "most frequent category",
        default="refuse",
    )
    image: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(2), MaxLen(3)] | None = doc(
        "height, width and, unless it is 1, channels of the image that each row is", default=None
    )
    seed: Annotated[int, Ge(0)] | None = doc(
        "decides which example goes where; by default the search's seed", default=None
    )


Repeat = Annotated[int, Interval(ge=1, le=MOST_REPEATS)] | Annotated[str, MinLen(1)]


@dataclass(frozen=True, kw_only=True)
class Varied:
    """What ranges and options have in common."""

    __pydantic_config__ = STRICT

    repeat: Repeat | None = doc(
        "one value for each of so many: a whole number, or the parameter that counts them",
        default=None,
    )
    when: Annotated[dict[str, Any], MinLen(1)] | None = doc(
        "only where other parameters have these values: {optimizer: adam}, {layers: [2, 3]}",
        default=None,
    )


@dataclass(frozen=True, kw_only=True)
class Range(Varied):
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
class Values(Varied):
    """Options to choose from."""

    __pydantic_config__ = STRICT

    values: tuple[Any, ...] = doc("the options, equally likely unless weighted")
    weights: tuple[Annotated[float, Interval(ge=0, le=1_000_000)], ...] | None = doc(
        "how likely each option is, relative to the others", default=None
    )


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When the search ends: the first limit reached."""

    __pydantic_config__ = STRICT

    trials: Annotated[int, Ge(1), Le(10_000_000)] | None = doc(
        f"how many trials; {DEFAULT_TRIALS} unless another key limits them", default=None
    )
    epochs: Annotated[int, Ge(1)] | None = doc(
        "how many epochs in all trials together; none begins that could go beyond", default=None
    )
    time: Annotated[str, DURATION] | None = doc(
        "no trial starts after this long, and running ones end at their next epoch", default=None
    )
    patience: Annotated[int, Ge(1)] | None = doc(
        "end after this many trials without a better score", default=None
    )
    failures: Annotated[int, Ge(1)] = doc(
        "end after this many failed trials in a row, since then the objective is broken", default=10
    )

    @property
    def limit(self) -> int | None:
        """The number of trials, or None when only something else ends the search."""
        unlimited = self.trials is None and (self.time or self.patience or self.epochs)
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
    memory: Annotated[str, SIZE] | None = doc(
        "a trial that uses more, with all that it starts, ends", default=None
    )
    retries: Annotated[int, Ge(0), Le(10)] = doc(
        "how often a trial whose process died is tried again", default=1
    )
    repeats: Annotated[int, Interval(ge=1, le=100)] = doc(
        "how many seeds each setting is tried on; its score is the mean", default=1
    )
    seed: Annotated[int, Interval(ge=0, lt=2**32)] | None = doc(
        "one training seed for every trial; by default each has its own, from seed and number",
        default=None,
    )

    @property
    def memory_bytes(self) -> int | None:
        """The memory limit of a trial in bytes."""
        return None if self.memory is None else size_bytes(self.memory)

    @property
    def timeout_seconds(self) -> float | None:
        """The time limit of a trial in seconds."""
        return None if self.timeout is None else seconds(self.timeout)


Jobs = Annotated[int, Interval(ge=1, le=10_000)] | Annotated[int, OneOf((-1,))]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where and how trials run; never changes a result."""

    __pydantic_config__ = STRICT

    engine: Annotated[str, OneOf(ENGINES)] = doc("what runs the trials", default=LOCAL)
    address: Annotated[str, MinLen(1)] | None = doc(
        "where the cluster is, such as tcp://10.0.0.1:8786 (dask) or auto (ray); without it one is "
        "started on this machine",
        default=None,
    )
    jobs: Jobs = doc(
        "trials at once; -1 is one per core, on a cluster one per thread of a worker", default=-1
    )
    cluster_timeout: Annotated[str, DURATION] = doc(
        "a worker that is silent for so long is lost, and a cluster without workers for so long "
        "ends the search",
        default="60s",
    )
    files: tuple[Annotated[str, MinLen(1)], ...] = doc(
        "files that your code reads, from here, for workers that do not have this disk: data/*.csv",
        default=(),
    )
    sync: Annotated[str, OneOf(("group", "each"))] = doc(
        "the record is synced to disk for several short trials at once, or after each; no trial "
        "is announced before",
        default="group",
    )

    @property
    def cluster_seconds(self) -> float:
        """The cluster's time limit in seconds."""
        return seconds(self.cluster_timeout)


@dataclass(frozen=True, kw_only=True)
class Top:
    """The keys of a config that are single values."""

    __pydantic_config__ = STRICT

    name: Annotated[str, RUN_NAME] = doc("the run's folder under runs/; by default the file's name")
    parent: Annotated[str, RUN_NAME] = doc("the run that this one refines")
    constraints: tuple[Annotated[str, MinLen(1)], ...] = doc(
        "what must hold of every setting, such as layers * max(hidden_units) <= 300", default=()
    )
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
    "constraints",
    "method",
    "seed",
    "budget",
    "trial",
    "run",
)
"""The top level of a config, in the order in which it is written."""
