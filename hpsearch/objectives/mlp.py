"""The built-in NumPy network, trained on a data set and measured on its dev set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hpsearch.errors import DataError
from hpsearch.fields import STRICT, OneOf, doc
from hpsearch.nn.settings import Settings
from hpsearch.objectives.base import Context, Metrics, seen_from
from hpsearch.trial import Params

if TYPE_CHECKING:
    from hpsearch.data import Split


@dataclass(frozen=True)
class DataSource:
    """All that fixes what a training sees."""

    source: str
    """A shipped data set's name, or a path relative to `folder`."""
    folder: str
    label: str | None
    fractions: tuple[tuple[str, float], ...]
    """Shares of train, dev and test, by name."""
    seed: int
    """Decides which example goes where."""
    sha256: str
    """Of the file's bytes, so that a file that changed under a run is noticed."""


@lru_cache(maxsize=1)
def load_split(source: DataSource) -> Split:
    """Read, split and normalise a data set; once per process.

    Raises:
        DataError: the file cannot be used, or is another one than when the run began.
    """
    from hpsearch.data import fingerprint, load, split
    from hpsearch.seeds import stream

    folder = Path(source.folder)
    if fingerprint(source.source, folder) != source.sha256:
        raise DataError(f"{source.source} changed after the run began")
    dataset = load(source.source, source.label, folder)
    return split(dataset, dict(source.fractions), stream(source.seed, "split"))


@dataclass(frozen=True, kw_only=True)
class Section:
    """The keys of `objective` for the built-in network, beside its hyperparameters."""

    __pydantic_config__ = STRICT

    trainer: Annotated[str, OneOf(("mlp",))] = doc("a built-in network")


@dataclass(frozen=True)
class MLP:
    """Train the built-in network with a trial's settings."""

    constants: Params
    data: DataSource

    SECTION: ClassVar[type] = Section
    SETTINGS: ClassVar[type | None] = Settings
    """One field per hyperparameter: its range, default and help."""
    METRICS: ClassVar[Mapping[str, str]] = {
        "dev_error": "minimize",
        "dev_loss": "minimize",
        "dev_accuracy": "maximize",
        "train_error": "minimize",
        "train_loss": "minimize",
        "train_accuracy": "maximize",
    }
    """What it reports after each epoch, and which way is better; the first is the default."""
    NOT_FINITE: ClassVar[str] = "diverged"

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> MLP:
        """Build the objective from plain data."""
        data = {**spec["data"], "fractions": tuple(map(tuple, spec["data"]["fractions"]))}
        return cls(dict(spec["constants"]), DataSource(**data))

    def spec(self) -> dict[str, Any]:
        """Return the objective as plain data."""
        return {"constants": self.constants, "data": asdict(self.data)}

    def settings(self, params: Params) -> Settings:
        """Merge a trial's parameters with the constants and the defaults."""
        return Settings(**{**self.constants, **params})

    def epochs(self, params: Params) -> int:
        """Return the number of epochs of a trial."""
        return self.settings(params).epochs

    def section(self, folder: Path) -> dict[str, Any]:
        """Return the objective's own keys in the config."""
        return {"trainer": "mlp"}

    def data_section(self, folder: Path) -> dict[str, Any]:
        """Return the section `data` of a config that is in `folder`, with the same split."""
        from hpsearch.data import DATASETS

        data = self.data
        source = data.source
        if source not in DATASETS and not Path(source).is_absolute():
            source = seen_from(folder, Path(data.folder) / source)
        label = {} if data.label is None else {"label": data.label}
        return {"source": source, **label, "split": dict(data.fractions), "seed": data.seed}

    def identity(self) -> dict[str, Any]:
        """Return what decides a result: the data, its bytes rather than its path."""
        data = self.data
        return {
            "objective": {"trainer": "mlp"},
            "data": {
                "sha256": data.sha256,
                "label": data.label,
                "split": dict(data.fractions),
                "seed": data.seed,
            },
        }

    def sources(self) -> dict[str, str]:
        """Return the hash of the data."""
        return {self.data.source: self.data.sha256}

    def folder(self) -> Path:
        """Return the folder that the data's path starts from."""
        return Path(self.data.folder)

    def about(self) -> str:
        """Say what is learned from how many examples."""
        split = load_split(self.data)
        sizes = [len(part.y) for part in (split.train, split.dev, split.test)]
        return (
            f"{self.data.source}: {sum(sizes)} examples (train {sizes[0]}, dev {sizes[1]}, "
            f"test {sizes[2]}), {len(split.features)} features, {len(split.classes)} classes"
        )

    def prepare(self, names: Iterable[str]) -> None:
        """Read the data."""
        load_split(self.data)

    def evaluate(self, params: Params, context: Context) -> Iterator[Metrics]:
        """Train, and yield the metrics after each epoch; not finite when training diverged."""
        import numpy as np

        from hpsearch.nn.train import Examples, train

        split = load_split(self.data)
        examples = (Examples(*split.train), Examples(*split.dev))
        rng = np.random.default_rng(context.seed)
        for epoch in train(self.settings(params), *examples, len(split.classes), rng):
            yield {
                "train_loss": epoch.train_loss,
                "train_error": epoch.train_error,
                "train_accuracy": 1 - epoch.train_error,
                "dev_loss": epoch.dev_loss,
                "dev_error": epoch.dev_error,
                "dev_accuracy": 1 - epoch.dev_error,
            }

    def _reach(self, bounds: Mapping[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        """Return what each hyperparameter can be: bounds, else the constant, else the default."""
        single = {**asdict(Settings()), **self.constants}
        return {**{name: (value,) for name, value in single.items()}, **bounds}

    def problems(self, bounds: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[str, str]]:
        """Yield (parameter, sentence) for what single ranges cannot show: settings that clash.

        bounds: for each varied parameter, both ends of its range or all of its options.
        """
        reach = self._reach(bounds)
        lists = [units for units in reach["hidden_units"] if isinstance(units, tuple)]
        layers = [count for count in reach["layers"] if count is not None]
        for units in lists:
            if any(count != len(units) for count in layers):
                yield (
                    "hidden_units",
                    (
                        f"hidden_units lists {len(units)} layers, but layers can be "
                        f"{' or '.join(str(count) for count in layers)}"
                    ),
                )
        size = len(load_split(self.data).train.y)
        if max(reach["batch_size"]) > size:
            yield (
                "batch_size",
                (
                    f"batch_size can be {max(reach['batch_size'])}, "
                    f"but the training set has {size} examples"
                ),
            )
        if min(reach["batch_size"]) == 1 and True in reach["batch_norm"]:
            yield (
                "batch_size",
                (
                    "batch_size can be 1 while batch_norm is true: "
                    "one example has no variance to normalise by"
                ),
            )

    def idle(self, bounds: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[str, str]]:
        """Yield (parameter, why) for varied parameters that no trial would use."""
        reach = self._reach(bounds)
        used_by = {
            "momentum": ("optimizer", {"momentum", "adam"}),
            "beta2": ("optimizer", {"rmsprop", "adam"}),
            "epsilon": ("optimizer", {"rmsprop", "adam"}),
            "decay_rate": ("decay", {option for option in reach["decay"] if option != "none"}),
        }
        for name, (chooser, users) in used_by.items():
            if name in bounds and not users & set(reach[chooser]):
                yield name, f"no trial uses it: {chooser} is {', '.join(reach[chooser])}"
