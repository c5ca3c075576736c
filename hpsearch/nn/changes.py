"""Hyperparameters that change in the middle of a training, by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, make_dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from annotated_types import Ge

from hpsearch.fields import STRICT, doc
from hpsearch.nn.settings import Settings

CHANGEABLE = (
    *("learning_rate", "momentum", "beta2", "epsilon", "batch_size"),
    *("decay", "decay_rate", "decay_epochs", "clip_norm", "l2", "keep_prob"),
    *("label_smoothing", "class_weights", "horizontal_flip", "shift", "epochs"),
)
"""What may change while a network is trained."""

_SHAPE = "it decides the shape of the network, whose weights are trained already"
_MEANING = "the trained weights mean something else with another one"
_OVER = "it only matters before the first epoch"
FIXED: Mapping[str, str] = {
    "layers": _SHAPE,
    "hidden_units": _SHAPE,
    "batch_norm": _SHAPE,
    "dtype": "the weights and the optimizer's memory are kept in it",
    "activation": _MEANING,
    "batch_norm_epsilon": _MEANING,
    "batch_norm_average": "the averages that it weighs are kept from epoch to epoch",
    "optimizer": "each keeps another memory of the gradients",
    "initializer": _OVER,
    "init_scale": _OVER,
    "warmup": "it belongs to the first epochs; change learning_rate instead",
    "early_stopping": "when to stop is decided by hand",
}
"""Why the others may not."""


def _change() -> type:
    hints = get_type_hints(Settings, include_extras=True)
    texts = {each.name: each.metadata["description"] for each in fields(Settings)}
    after = doc("how many epochs are trained before it holds")
    own: list[Any] = [("after", Annotated[int, Ge(0)], after)]
    own += [(name, hints[name] | None, doc(texts[name], default=None)) for name in CHANGEABLE]
    return make_dataclass(
        "Change",
        own,
        namespace={"__pydantic_config__": STRICT, "__doc__": "Hyperparameters from an epoch on."},
        frozen=True,
        kw_only=True,
    )


if TYPE_CHECKING:
    Change = Mapping[str, Any]
else:
    Change = _change()
"""The keys of one entry of `changes`: `after`, and hyperparameters with their new values."""


@dataclass(frozen=True)
class Changes:
    """What changes when, in the order of the epochs.

    planned: Mappings with the keys of `Change`.
    """

    planned: Sequence[Mapping[str, Any]] = ()

    def within(self, settings: Settings, epochs: int) -> Settings:
        """Return the settings that hold once `epochs` epochs are trained."""
        found = {
            name: value
            for each in self.planned
            if each["after"] <= epochs
            for name, value in each.items()
            if name != "after"
        }
        return replace(settings, **found) if found else settings

    def length(self, settings: Settings) -> int:
        """Return after how many epochs the training ends."""
        epochs = settings.epochs
        for each in self.planned:
            if each["after"] <= epochs:
                epochs = each.get("epochs", epochs)
        return epochs
