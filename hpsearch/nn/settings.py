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
Share = Annotated[float, Ge(0.001), Le(1)]


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
    batch_norm_epsilon: Annotated[float, Gt(0), Le(1)] = doc(
        "added to the variance by batch norm", default=1e-5
    )
    batch_norm_average: Annotated[float, Ge(0), Lt(1)] = doc(
        "β of the averages of mean and variance that predictions use: they look back over "
        "1 / (1 - β) mini-batches",
        default=0.9,
    )
    optimizer: Annotated[str, OneOf(OPTIMIZERS)] = doc("the update rule", default="adam")
    learning_rate: Annotated[float, Gt(0)] = doc(
        "step size α, before warm-up and decay", default=1e-3
    )
    momentum: Annotated[float, Ge(0), Lt(1)] = doc(
        "β of momentum, β₁ of Adam: the average looks back over 1 / (1 - β) steps", default=0.9
    )
    beta2: Annotated[float, Ge(0), Lt(1)] = doc("β₂ of RMSprop and Adam", default=0.999)
    epsilon: Annotated[float, Ge(1e-30), Le(1)] = doc(
        "added to the root in RMSprop and Adam", default=1e-8
    )
    batch_size: Annotated[int, Ge(1)] = doc("examples in a mini-batch", default=32)
    warmup: Annotated[int, Ge(0)] = doc(
        "epochs in which the learning rate rises to learning_rate, before any decay", default=0
    )
    decay: Annotated[str, OneOf(SCHEDULES)] = doc(
        "how the learning rate falls with the epoch", default="none"
    )
    decay_rate: Annotated[float, Gt(0)] | None = doc(
        "how fast it falls; by default 1 for inverse_time and inverse_sqrt, 0.95 for exponential, "
        "0.5 for staircase",
        default=None,
    )
    decay_epochs: Annotated[int, Ge(1)] = doc("epochs on each step of staircase", default=10)
    clip_norm: Annotated[float, Ge(1e-30), Le(1e30)] | None = doc(
        "a gradient whose norm is larger is shortened to it", default=None
    )
    l2: Annotated[float, Ge(0)] = doc(
        "λ of λ / (2m) Σ ||W||², m the size of the training set", default=0.0
    )
    keep_prob: Share | Annotated[tuple[Share, ...], MinLen(1)] = doc(
        "share of hidden units that dropout keeps: one number for all layers, or a list with one "
        "per hidden layer; 1 is no dropout",
        default=1.0,
    )
    early_stopping: Annotated[int, Ge(1)] | None = doc(
        "end after this many epochs without a lower dev error, with the best epoch's weights",
        default=None,
    )
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = doc(
        "share of each target that is spread evenly over all classes", default=0.0
    )
    class_weights: (
        Annotated[str, OneOf(("none", "balanced"))]
        | Annotated[tuple[Annotated[float, Ge(1e-6), Le(1e6)], ...], MinLen(2)]
    ) = doc(
        "how much each class counts: balanced counts rare ones more, or a list with one number "
        "per class, in the order of the classes",
        default="none",
    )
    horizontal_flip: bool = doc(
        "mirror images at random while training, left to right", default=False
    )
    shift: Annotated[int, Ge(0), Le(100)] = doc(
        "shift images at random by up to this many pixels while training", default=0
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

    @property
    def keep_probs(self) -> tuple[float, ...]:
        """The `keep_prob` of each hidden layer, from first to last.

        Raises:
            ValueError: `keep_prob` lists another number of layers than there are.
        """
        layers = len(self.widths)
        if isinstance(self.keep_prob, int | float):
            return (self.keep_prob,) * layers
        if len(self.keep_prob) != layers:
            raise ValueError(
                f"keep_prob lists {len(self.keep_prob)} layers, but there are {layers} hidden ones"
            )
        return tuple(self.keep_prob)
