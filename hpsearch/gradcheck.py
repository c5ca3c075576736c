"""The gradient check of the network that a config describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hpsearch.config import Config
from hpsearch.errors import UserError
from hpsearch.nn.gradcheck import RIGHT, WRONG, Part, gradient_check_by_layer
from hpsearch.objectives.mlp import MLP, load_split
from hpsearch.report.table import Column, Table
from hpsearch.seeds import stream
from hpsearch.trial import Params

EXAMPLES = 16
"""Of the training set, which the loss is the mean over."""


def check_gradient(config: Config, params: Params) -> list[Part]:
    """Check the network of a setting before its first epoch, on a few training examples.

    In float64, without dropout, and batch norm with the statistics of these examples.

    Args:
        params: The setting, as the objective is given it.
    Raises:
        UserError: the objective is the user's own code, or the setting cannot be trained.
    """
    objective = config.objective
    if not isinstance(objective, MLP):
        raise config.document.error(
            ("objective", config.kind), "gradcheck is for the built-in network (trainer: mlp)"
        )
    checked = replace(objective, constants={**objective.constants, **params})
    for _, text in checked.problems({}):
        raise UserError(text)
    split = load_split(objective.data)[0]
    settings = replace(checked.settings({}), dtype="float64")
    trainer = checked.trainer(settings, split, config.training_seed(0))
    x, y = trainer.examples
    rng = stream(config.seed, "train", 0)
    rows = rng.permutation(len(x))[:EXAMPLES]
    return gradient_check_by_layer(trainer.network, trainer.loss, x[rows], y[rows], rng)


def verdict_of(difference: float) -> str:
    """Say what a relative difference means."""
    if difference <= RIGHT:
        return "right"
    return "wrong" if difference >= WRONG else "doubtful"


def gradient_table(parts: Sequence[Part]) -> Table:
    """Return a row for each part of each layer."""
    columns = (
        Column("layer"),
        Column("part"),
        Column("parameters"),
        Column("checked"),
        Column("difference", "{:.1e}".format),
        Column("verdict"),
    )
    rows = tuple(
        (
            each.layer,
            each.name,
            each.parameters,
            each.checked,
            each.difference,
            verdict_of(each.difference),
        )
        for each in parts
    )
    return Table(columns, rows)
