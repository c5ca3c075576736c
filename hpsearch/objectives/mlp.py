"""The built-in NumPy network, trained on a data set and measured on its dev set."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hpsearch.data import DataSource, prepare
from hpsearch.fields import STRICT, OneOf, doc
from hpsearch.nn.changes import Change, Changes
from hpsearch.nn.losses import LOSSES
from hpsearch.nn.schedules import SCHEDULES
from hpsearch.nn.settings import Settings
from hpsearch.objectives.base import Context, Metrics, Names, Steps, seen_from
from hpsearch.trial import Params, frozen, plain

if TYPE_CHECKING:
    from hpsearch.data import Split
    from hpsearch.nn.losses import Loss
    from hpsearch.nn.train import Trainer


NUMBERS = 2
"""Raised whenever the same config, data and seed give other numbers than before, by a change of how
data are prepared or networks trained: a run that began before cannot go on."""


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
        "what it is trained to lower: cross_entropy for classes, mse for numbers (regression)",
        default="cross_entropy",
    )
    changes: tuple[Change, ...] = doc(
        "hyperparameters that change on the way: [{after: 10, learning_rate: 0.003}]", default=()
    )


HIDDEN = (
    *("hidden_units", "activation", "keep_prob"),
    *("batch_norm", "batch_norm_epsilon", "batch_norm_average"),
)
"""What only hidden layers have."""

Reach = Mapping[str, tuple[Any, ...]]
"""What each hyperparameter can be: both ends of a range, all options, or the constant."""


@dataclass(frozen=True)
class MLP:
    """Train the built-in network with a trial's settings."""

    constants: Params
    data: DataSource
    loss: str = "cross_entropy"
    changes: Sequence[Mapping[str, Any]] = ()
    """What becomes of the settings on the way, as `nn.changes.Changes` takes it."""

    SECTION: ClassVar[type] = Section
    SETTINGS: ClassVar[type | None] = Settings
    """One field per hyperparameter: its range, default and help."""
    METRICS: ClassVar[Mapping[str, str]] = {
        f"{part}_{name}": goal
        for loss in LOSSES.values()
        for part in ("dev", "train")
        for name, goal in loss.FIGURES.items()
    }
    """What it reports after each epoch, and which way is better."""
    NOT_FINITE: ClassVar[str] = "diverged"
    FEWEST_EPOCHS: ClassVar[int] = 1

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> MLP:
        """Build the objective from plain data."""
        data = {key: frozen(value) for key, value in spec["data"].items()}
        changes = tuple(
            {name: frozen(value) for name, value in each.items()} for each in spec["changes"]
        )
        return cls(dict(spec["constants"]), DataSource(**data), spec["loss"], changes)

    def spec(self) -> dict[str, Any]:
        """Return the objective as plain data."""
        return {
            "constants": self.constants,
            "data": asdict(self.data),
            "loss": self.loss,
            "changes": self._plain_changes(),
        }

    def _plain_changes(self) -> list[dict[str, Any]]:
        return [{name: plain(value) for name, value in each.items()} for each in self.changes]

    def settings(self, params: Params) -> Settings:
        """Merge a trial's parameters with the constants and the defaults."""
        given = {**self.constants, **params}
        known = (item.name for item in fields(Settings))  # repeats come one by one too
        return Settings(**{name: frozen(given[name]) for name in known if name in given})

    def epochs(self, params: Params) -> int:
        """Return the number of epochs of a trial."""
        return Changes(self.changes).length(self.settings(params))

    def section(self, folder: Path) -> dict[str, Any]:
        """Return the objective's own keys in the config."""
        loss = {} if self.loss == Section.loss else {"loss": self.loss}
        changes = {"changes": self._plain_changes()} if self.changes else {}
        return {"trainer": "mlp", **loss, **changes}

    def data_section(self, folder: Path) -> dict[str, Any]:
        """Return the section `data` of a config that is in `folder`, with the same split."""
        return self.data.section(lambda path: seen_from(folder, path))

    def identity(self) -> dict[str, Any]:
        """Return what decides a result: the data, their bytes rather than their paths."""
        objective = {**self.section(self.folder()), "numbers": NUMBERS}
        return {"objective": objective, "data": self.data.identity()}

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

    def prepare(self, names: Names) -> None:
        """Read the data."""
        load_split(self.data)

    @property
    def metrics(self) -> Mapping[str, str]:
        """What it reports with its loss, the default first."""
        figures = LOSSES[self.loss].FIGURES
        return {f"{part}_{name}": figures[name] for part in ("dev", "train") for name in figures}

    def steps(self) -> Steps:
        """Return that it is ended from outside, and goes on from its saved state."""
        return Steps(told=False, resumes=True)

    def evaluate(
        self, params: Params, context: Context
    ) -> Generator[Metrics, bool | None, Metrics]:
        """Train, yield the metrics after each epoch, and return those of the weights kept.

        They are not finite when training diverged. With folds they are the mean over the folds.
        A training that ends by budget.time keeps what it would keep had it run out of epochs: the
        last weights, or with early stopping those of the best epoch so far, however near that is.
        So does a step that others may follow; it leaves its whole state in the trial's folder.
        Schedules and early stopping go by the whole training, so steps add up to what one training
        without an end in between comes to, bit for bit.
        """
        settings, splits = self.settings(params), load_split(self.data)
        return mean_over_folds(
            [
                self._train(settings, split, context, fold if len(splits) > 1 else None)
                for fold, split in enumerate(splits)
            ]
        )

    def _train(
        self, settings: Settings, split: Split, context: Context, fold: int | None
    ) -> Generator[Metrics, bool | None, Metrics]:
        """Train on one split; as `evaluate`."""
        from hpsearch.nn.train import Epoch, Examples, train

        def metrics(epoch: Epoch) -> dict[str, float]:
            return in_units(epoch.metrics, trainer.loss, split)

        trainer = self.trainer(settings, split, context.seed, fold)
        state = context.folder / f"state{'' if fold is None else f'-{fold}'}.npz"
        if context.start:
            restore_state(trainer, state, context.start)
        training = train(trainer, Examples(*split.dev))
        while True:
            try:
                epoch = next(training)
            except StopIteration as end:
                epoch = end.value
                break
            if trainer.epochs <= context.start:  # the state was lost
                continue
            if (yield metrics(epoch)):
                if trainer.epochs == context.until and not trainer.at_end:
                    _keep(trainer, state, context)
                epoch = trainer.best[0] if trainer.best else epoch
                break
        if settings.early_stopping is None:
            return metrics(epoch)
        return {**metrics(epoch), "best_epoch": epoch.epoch}

    def trainer(
        self, settings: Settings, split: Split, seed: int, fold: int | None = None
    ) -> Trainer:
        """Return the network of a trial with that seed, before its first epoch."""
        import numpy as np

        from hpsearch.nn.train import Examples, Trainer

        own = () if fold is None else (fold,)
        return Trainer(
            settings,
            Examples(*split.train),
            len(split.classes),
            np.random.default_rng(np.random.SeedSequence(seed, spawn_key=own)),
            loss=self.loss,
            image=split.image,
            changes=Changes(self.changes),
        )

    def _reach(self, bounds: Reach) -> dict[str, tuple[Any, ...]]:
        """Return what each hyperparameter can be: bounds, else the constant, else the default."""
        single = {**asdict(Settings()), **self.constants}
        return {**{name: (value,) for name, value in single.items()}, **bounds}

    def problems(self, bounds: Reach) -> Iterator[tuple[str, str]]:
        """Yield (parameter, sentence) for what single ranges cannot show: settings that clash.

        bounds: for each varied parameter, both ends of its range or all of its options.
        """
        reach = self._reach(bounds)
        splits = load_split(self.data)
        yield from _wrong_lists(reach)
        yield from _wrong_batches(reach, min(len(split.train.y) for split in splits))
        yield from _wrong_images(reach, splits[0].image)
        yield from _wrong_classes(reach, len(splits[0].classes))
        yield from self._wrong_changes(reach, splits)

    def _wrong_changes(
        self, reach: dict[str, tuple[Any, ...]], splits: tuple[Split, ...]
    ) -> Iterator[tuple[str, str]]:
        """Find changes out of order, after the end, or to what these data do not allow."""
        last, ends = -1, max(reach["epochs"])
        for each in self.changes:
            after = each["after"]
            if after <= last:
                yield "changes", f"changes must be in the order of their epochs: {after}, {last}"
                return
            if after > ends or (after == ends and "epochs" not in each):
                yield (
                    "changes",
                    f"changes after epoch {after} come too late: training ends at {ends}",
                )
                return
            if each.get("epochs", after) < after:
                yield "changes", f"changes after epoch {after} cannot make epochs {each['epochs']}"
                return
            last, ends = after, each.get("epochs", ends)
            reach = {**reach, **{name: (each[name],) for name in each if name != "after"}}
            for clash in (
                *_wrong_lists(reach),
                *_wrong_batches(reach, min(len(split.train.y) for split in splits)),
                *_wrong_images(reach, splits[0].image),
                *_wrong_classes(reach, len(splits[0].classes)),
            ):
                yield "changes", f"after epoch {after}: {clash[1]}"
                return

    def idle(self, bounds: Reach) -> Iterator[tuple[str, str]]:
        """Yield (parameter, why) for what no trial would use."""
        from hpsearch.yamlfile import dump  # which no child needs

        reach = self._reach(bounds)
        if max(_depths(reach)) == 0:
            for name in HIDDEN:
                if name in bounds:
                    yield name, "no trial uses it: there are no hidden layers"
        used_by: dict[str, tuple[str, set[Any]]] = {
            "momentum": ("optimizer", {"momentum", "adam"}),
            "beta2": ("optimizer", {"rmsprop", "adam"}),
            "epsilon": ("optimizer", {"rmsprop", "adam"}),
            "decay_rate": (
                "decay", {name for name, each in SCHEDULES.items() if each.default_rate is not None}
            ),
            "decay_epochs": ("decay", {"staircase"}),
            "batch_norm_epsilon": ("batch_norm", {True}),
            "batch_norm_average": ("batch_norm", {True}),
        }  # fmt: skip
        for name, (chooser, users) in used_by.items():
            if name in bounds and not users & set(reach[chooser]):
                given = ", ".join(map(dump, reach[chooser]))
                yield name, f"no trial uses it: {chooser} is {given}"
        if max(reach["warmup"]) >= min(reach["epochs"]):
            yield (
                "warmup",
                (
                    f"warmup can be {max(reach['warmup'])} of {min(reach['epochs'])} epochs: "
                    "such a trial never trains at its learning_rate"
                ),
            )


def in_units(metrics: Metrics, loss: Loss, split: Split) -> dict[str, float]:
    """Return figures in the unit of the data rather than in standard deviations."""
    unit = 1.0 if split.target is None else split.target[1]
    return {
        name: value * unit if name.partition("_")[2] in loss.IN_UNIT_OF_Y else value
        for name, value in metrics.items()
    }


def _keep(trainer: Trainer, path: Path, context: Context) -> None:
    """Leave the state of a training for the step that follows; as a whole, or not at all."""
    context.made()
    keep_state(trainer, path)


def keep_state(trainer: Trainer, path: Path) -> None:
    """Write the state of a training; as a whole, or not at all."""
    from hpsearch.nn.state import save_state

    beside = path.with_suffix(".new")
    save_state(beside, trainer.state())
    beside.replace(path)


def restore_state(trainer: Trainer, path: Path, epochs: int) -> None:
    """Go on from a state that was kept after so many epochs; without one nothing is done.

    A training from its beginning comes to the same, only later.
    """
    from hpsearch.nn.state import load_state

    with contextlib.suppress(OSError, ValueError):
        state = load_state(path)
        if state["epochs"] == epochs:
            trainer.restore(state)


def _depths(reach: Reach) -> set[int]:
    """Return how many hidden layers there can be: the ends of a range stand for all of it."""
    lists = {len(units) for units in reach["hidden_units"] if isinstance(units, tuple)}
    return lists or {1 if count is None else count for count in reach["layers"]}


def _wrong_lists(reach: Reach) -> Iterator[tuple[str, str]]:
    """Find lists with one entry per layer for another number of layers."""
    numbers = [count for count in reach["layers"] if count is not None]
    for units in reach["hidden_units"]:
        if isinstance(units, tuple) and any(count != len(units) for count in numbers):
            yield (
                "hidden_units",
                f"hidden_units lists {len(units)} layers, but layers {_can_be(numbers)}",
            )
    depths = _depths(reach)
    for keep_probs in reach["keep_prob"]:
        if isinstance(keep_probs, tuple) and depths != {len(keep_probs)}:
            yield (
                "keep_prob",
                f"keep_prob lists {len(keep_probs)} layers, but layers {_can_be(depths)}",
            )


def _can_be(numbers: Collection[int]) -> str:
    """Say what a whole number can be, by both ends of its range or all of its options."""
    ends = sorted(set(numbers))
    return f"is {ends[0]}" if len(ends) == 1 else f"can be {ends[0]} to {ends[-1]}"


def _wrong_batches(reach: Reach, examples: int) -> Iterator[tuple[str, str]]:
    """Find mini-batches that the training set or batch norm does not allow."""
    sizes = reach["batch_size"]
    if max(sizes) > examples:
        only = f"is {sizes[0]} unless set" if sizes == (Settings.batch_size,) else None
        yield (
            "batch_size",
            (
                f"batch_size {only or f'can be {max(sizes)}'}, but the training set has "
                f"{examples} examples: set it to {examples} at most"
            ),
        )
    if min(sizes) == 1 and True in reach["batch_norm"] and max(_depths(reach)) > 0:
        yield (
            "batch_size",
            (
                "batch_size can be 1 while batch_norm is true: "
                "one example has no variance to normalise by"
            ),
        )


def _wrong_images(reach: Reach, image: tuple[int, int, int] | None) -> Iterator[tuple[str, str]]:
    """Find changes of images where there are none, or none large enough."""
    for name in ("horizontal_flip", "shift"):
        if image is None and any(reach[name]):
            yield (
                name,
                (
                    f"{name} changes images, and these data are none; if each row is one, say so "
                    "with data.image: [height, width]"
                ),
            )
    farthest = max(reach["shift"])
    if image is not None and farthest >= min(image[:2]):
        yield "shift", f"shift can be {farthest}, but the images are {image[0]} x {image[1]} pixels"


def _wrong_classes(reach: Reach, classes: int) -> Iterator[tuple[str, str]]:
    """Find settings of classes where there are none, or another number of them."""
    for weights in reach["class_weights"]:
        if isinstance(weights, tuple) and classes and len(weights) != classes:
            yield (
                "class_weights",
                f"class_weights lists {len(weights)} classes, but the data have {classes}",
            )
    if not classes and set(reach["class_weights"]) != {"none"}:
        yield "class_weights", "class_weights needs classes, but loss is mse"
    if not classes and max(reach["label_smoothing"]) > 0:
        yield "label_smoothing", "label_smoothing needs classes, but loss is mse"


def mean_over_folds(
    trainings: Sequence[Generator[Metrics, bool | None, Metrics]],
) -> Generator[Metrics, bool | None, Metrics]:
    """Run trainings side by side; yield their mean after each epoch, and return that at the end.

    One that has ended counts with what it ended with. All are told when time is over.
    """
    running = dict(enumerate(trainings))
    latest: dict[int, Metrics] = {}
    over: bool | None = None
    while True:
        for fold, training in list(running.items()):
            try:
                latest[fold] = training.send(over)
            except StopIteration as end:
                latest[fold] = end.value
                del running[fold]
        folds = [latest[fold] for fold in range(len(trainings))]
        names = [name for name in folds[0] if all(name in metrics for metrics in folds)]
        mean = {name: sum(metrics[name] for metrics in folds) / len(folds) for name in names}
        if not running:
            return mean
        over = yield mean
