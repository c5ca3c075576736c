"""The best setting trained once more, to be measured on the test set and kept as a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hpsearch.errors import UserError
from hpsearch.intervals import Interval, bootstrap, wilson
from hpsearch.model import Model
from hpsearch.nn.changes import Changes
from hpsearch.objectives.mlp import MLP
from hpsearch.seeds import stream
from hpsearch.trial import Result

if TYPE_CHECKING:
    import numpy as np

    from hpsearch.data import Split
    from hpsearch.nn.train import Trainer

SHARES = ("error", "accuracy")
"""Figures that are shares of the examples, whose interval is Wilson's."""
WORK = 50_000_000
"""Numbers that the resamples of a bootstrap look at together; large test sets need fewer."""
FEWEST_RESAMPLES = 200


@dataclass(frozen=True)
class Figure:
    """One measured figure."""

    value: float
    interval: Interval


@dataclass(frozen=True, eq=False)
class Final:
    """A training of one setting, to be measured."""

    model: Model
    trainer: Trainer
    split: Split
    epochs: int
    dev: Mapping[str, float]
    """Its figures on the dev set, as the search measures them; empty when it was trained on it."""

    def on_test(self, seed: int) -> dict[str, Figure]:
        """Measure the network on the test set; shares by Wilson, all else by the bootstrap.

        seed: Of the search, which fixes the bootstrap's draws.
        """
        import numpy as np

        loss = self.trainer.loss
        test = self.trainer.checked(_examples(self.split.test), "test")
        blocks = [outputs.copy() for _, outputs in self.trainer.network.outputs(test.x)]
        outputs = np.concatenate(blocks, axis=1)

        def measure(rows: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, float]:
            with np.errstate(all="ignore"):
                found = loss.measure([(outputs[:, rows], test.y[rows])])
            return _in_units(found, loss.IN_UNIT_OF_Y, self.split.target)

        count = len(test.y)
        values = measure(np.arange(count))
        resamples = max(FEWEST_RESAMPLES, min(1000, WORK // outputs.size))
        drawn = bootstrap(measure, count, stream(seed, "bootstrap"), resamples=resamples)
        return {
            name: Figure(value, wilson(value * count, count) if name in SHARES else drawn[name])
            for name, value in values.items()
        }


def epochs_to_train(objective: MLP, result: Result, *, include_dev: bool) -> int:
    """Return after how many epochs the training of a trial's setting ends.

    As many as the trial was trained for: all, or as far as its rung, early stopping or budget.time
    let it. With dev among the training data there is nothing left for early stopping to watch: then
    it is the epoch that the trial went back to.
    """
    best = result.metrics.get("best_epoch")
    if include_dev and best is not None:
        return max(1, round(best))
    reached = max((len(values) for values in result.curve.values()), default=0)
    return reached or objective.epochs(result.params)


def train_final(
    objective: MLP,
    params: Mapping[str, Any],
    seed: int,
    epochs: int,
    *,
    include_dev: bool,
    about: Mapping[str, Any],
) -> Final:
    """Train one setting as a trial does, or on train and dev together.

    Args:
        objective: The run's, with the hashes of its data.
        params: The setting, as the objective is given it.
        seed: The trial's.
        epochs: As `epochs_to_train` says.
        about: What the model is to tell of itself.
    Raises:
        UserError: The training diverged.
        DataError: The data cannot be used, or changed since the config was read.
    """
    import numpy as np

    from hpsearch.data import prepare_final
    from hpsearch.nn.train import Trainer, train

    split, encoding = prepare_final(objective.data, stream, include_dev=include_dev)
    settings = objective.settings(dict(params))
    if include_dev:
        settings = replace(settings, early_stopping=None)
    trainer = Trainer(
        settings,
        _examples(split.train),
        len(split.classes),
        np.random.default_rng(np.random.SeedSequence(seed)),
        loss=objective.loss,
        image=split.image,
        changes=Changes(objective.changes),
    )
    dev: dict[str, float] = {}
    if include_dev:
        for _ in range(epochs):
            trainer.run_epoch()
    else:
        judged = _examples(split.dev)
        for _ in train(trainer, judged):
            if trainer.epochs == epochs:
                break
        if trainer.best is not None:  # early stopping goes back to it
            trainer.restore(trainer.best[1])
        dev = _in_units(
            trainer.evaluate(trainer.checked(judged, "dev")),
            trainer.loss.IN_UNIT_OF_Y,
            split.target,
        )
    network = trainer.network
    if not np.isfinite(network.parameters).all():
        raise UserError(
            "the setting diverged when it was trained again, so there is no model to measure"
        )
    model = Model(
        settings=settings,
        outputs=trainer.loss.outputs,
        parameters=network.parameters,
        averages=network.averages,
        averaged=network.averaged,
        encoding=encoding,
        classes=split.classes,
        target=split.target,
        about=about,
    )
    return Final(model, trainer, split, trainer.epochs, dev)


def _examples(part: Any) -> Any:
    from hpsearch.nn.train import Examples

    return Examples(*part)


def _in_units(
    figures: Mapping[str, float], names: tuple[str, ...], target: tuple[float, float] | None
) -> dict[str, float]:
    """Return figures in the unit of the data rather than in standard deviations."""
    unit = 1.0 if target is None else target[1]
    return {name: value * unit if name in names else value for name, value in figures.items()}
