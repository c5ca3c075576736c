"""The trainer's words: one field per hyperparameter, with its range, default and help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt, MinLen

from hpsearch.fields import STRICT, OneOf, doc
from hpsearch.nn.init import INITIALIZERS
from hpsearch.nn.layers import ACTIVATIONS
from hpsearch.nn.optimizers import OPTIMIZERS
from hpsearch.nn.schedules import SCHEDULES

Units = Annotated[int, Ge(1), Le(100_000)]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that defines one training of the built-in network, except data and seed."""

    __pydantic_config__ = STRICT

    epochs: Annotated[int, Ge(1), Le(1_000_000)] = doc("passes over the training set", default=30)
    layers: Annotated[int, Ge(0), Le(100)] | None = doc(
        "hidden layers; 0 is softmax regression; default 1, or as many as hidden_units lists",
        default=None,
    )
    hidden_units: Units | Annotated[tuple[Units, ...], MinLen(1)] = doc(
        "units of each hidden layer: one number for all, or a list with one per layer", default=64
    )
    activation: Annotated[str, OneOf(ACTIVATIONS)] = doc(
        "what each hidden unit applies to its input", default="relu"
    )
    batch_norm: bool = doc("normalise each hidden unit over the mini-batch", default=True)
    optimizer: Annotated[str, OneOf(OPTIMIZERS)] = doc("the update rule", default="adam")
    learning_rate: Annotated[float, Gt(0)] = doc("step size α of the first epoch", default=1e-3)
    momentum: Annotated[float, Ge(0), Lt(1)] = doc(
        "β of momentum, β₁ of Adam: the average looks back over 1 / (1 - β) steps", default=0.9
    )
    beta2: Annotated[float, Ge(0), Lt(1)] = doc("β₂ of RMSprop and Adam", default=0.999)
    epsilon: Annotated[float, Ge(1e-30), Le(1)] = doc(
        "added to the root in RMSprop and Adam", default=1e-8
    )
    batch_size: Annotated[int, Ge(1)] = doc("examples in a mini-batch", default=32)
    decay: Annotated[str, OneOf(SCHEDULES)] = doc(
        "how the learning rate falls with the epoch", default="none"
    )
    decay_rate: Annotated[float, Gt(0)] | None = doc(
        "how fast it falls; None takes the schedule's own default", default=None
    )
    l2: Annotated[float, Ge(0)] = doc(
        "λ of λ / (2m) Σ ||W||², m the size of the training set", default=0.0
    )
    initializer: Annotated[str, OneOf(INITIALIZERS)] = doc("the first weights", default="he")
    init_scale: Annotated[float, Gt(0)] = doc("multiplies the first weights", default=1.0)
    dtype: Annotated[str, OneOf(("float32", "float64"))] = doc(
        "the precision of training", default="float32"
    )

    @property
    def widths(self) -> tuple[int, ...]:
        """The units of each hidden layer, from first to last.

        Raises:
            ValueError: `hidden_units` lists another number of layers than `layers` says.
        """
        if isinstance(self.hidden_units, int):
            return (self.hidden_units,) * (1 if self.layers is None else self.layers)
        if self.layers not in (None, len(self.hidden_units)):
            raise ValueError(
                f"hidden_units lists {len(self.hidden_units)} layers, but layers is {self.layers}"
            )
        return tuple(self.hidden_units)
