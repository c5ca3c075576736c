"""The built-in NumPy network, trained on a data set and measured on its dev set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hpsearch.data import DataSource, prepare
from hpsearch.fields import STRICT, OneOf, doc
from hpsearch.nn.settings import Settings
from hpsearch.objectives.base import Context, Metrics, ObjectiveError, seen_from
from hpsearch.trial import Params, frozen

if TYPE_CHECKING:
    from hpsearch.data import Split


LOSSES = ("cross_entropy", "mse")


def load_split(source: DataSource) -> tuple[Split, ...]:
    """Read, split and normalise a data set, as `data.prepare`: one Split, or one for each fold."""
    from hpsearch.seeds import stream

    return prepare(source, stream)


@dataclass(frozen=True, kw_only=True)
class Section:
    """The keys of `objective` for the built-in network, beside its hyperparameters."""

    __pydantic_config__ = STRICT

    trainer: Annotated[str, OneOf(("mlp",))] = doc("a built-in network")
    loss: Annotated[str, OneOf(LOSSES)] = doc(
        "cross_entropy to tell classes apart, mse to predict a number", default=LOSSES[0]
    )


@dataclass(frozen=True)
class MLP:
    """Train the built-in network with a trial's settings."""

    constants: Params
    data: DataSource
    loss: str = LOSSES[0]

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
        data = {key: frozen(value) for key, value in spec["data"].items()}
        return cls(dict(spec["constants"]), DataSource(**data), spec["loss"])

    def spec(self) -> dict[str, Any]:
        """Return the objective as plain data."""
        return {"constants": self.constants, "data": asdict(self.data), "loss": self.loss}

    def settings(self, params: Params) -> Settings:
        """Merge a trial's parameters with the constants and the defaults."""
        return Settings(**{**self.constants, **params})

    def epochs(self, params: Params) -> int:
        """Return the number of epochs of a trial."""
        return self.settings(params).epochs

    def section(self, folder: Path) -> dict[str, Any]:
        """Return the objective's own keys in the config."""
        return {"trainer": "mlp", **({} if self.loss == LOSSES[0] else {"loss": self.loss})}

    def data_section(self, folder: Path) -> dict[str, Any]:
        """Return the section `data` of a config that is in `folder`, with the same split."""
        return self.data.section(lambda path: seen_from(folder, path))

    def identity(self) -> dict[str, Any]:
        """Return what decides a result: the data, their bytes rather than their paths."""
        return {"objective": self.section(self.folder()), "data": self.data.identity()}

    def sources(self) -> dict[str, str]:
        """Return the hash of each file of the data."""
        return dict(self.data.sha256)

    def folder(self) -> Path:
        """Return the folder that the data's path starts from."""
        return Path(self.data.folder)

    def about(self) -> str:
        """Say what is learned from how many examples."""
        splits = load_split(self.data)
        first = splits[0]
        sizes = [len(part.y) for part in (first.train, first.dev, first.test)]
        folds = f"{len(splits)} folds, each with " if len(splits) > 1 else ""
        learned = f"{len(first.classes)} classes" if first.classes else "1 target"
        return (
            f"{self.data.about()}: {sum(sizes)} examples ({folds}train {sizes[0]}, dev {sizes[1]}, "
            f"test {sizes[2]}), {len(first.features)} features, {learned}"
        )

    def notes(self) -> tuple[str, ...]:
        """Return what is worth knowing of the data."""
        return tuple(dict.fromkeys(note for each in load_split(self.data) for note in each.notes))

    def prepare(self, names: Iterable[str]) -> None:
        """Read the data."""
        load_split(self.data)

    def evaluate(self, params: Params, context: Context) -> Iterator[Metrics]:
        """Train, and yield the metrics after each epoch; not finite when training diverged."""
        import numpy as np

        from hpsearch.nn.train import Examples, train

        if self.loss != LOSSES[0]:
            raise ObjectiveError(f"the built-in network cannot be trained with loss: {self.loss}")
        split = load_split(self.data)[0]
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
        size = min(len(split.train.y) for split in load_split(self.data))
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
