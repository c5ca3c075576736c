"""The test of every backward step at once: the gradient against centred differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.nn.layers import Array
from hpsearch.nn.losses import Loss
from hpsearch.nn.model import Network

RIGHT = 1e-7
"""A relative difference up to this is what rounding leaves of a right gradient."""
WRONG = 1e-3
"""From this on there is a bug."""


@dataclass(frozen=True)
class Part:
    """What the check found for the weights, the bias, or batch norm's γ or β of one layer."""

    layer: int
    """From 1; the last one is the output layer."""
    name: str
    parameters: int
    checked: int
    """Of how many the derivative was compared."""
    difference: float
    """||g - g̃|| / (||g|| + ||g̃||); 0 where both are 0."""


def gradient_check(network: Network, loss: Loss, x: Array, y: Array, step: float = 1e-7) -> float:
    """Compare the network's gradient of the mean loss with centred differences.

    Args:
        network: A float64 network; its parameters are left as they were. Batch norm uses the
            statistics of x, as in training; nothing is dropped.
        loss: What the gradient is of, without class weights and label smoothing.
        x, y: (m, inputs) examples and their y, a few of each.
        step: How far each parameter is moved to either side. With a kink (ReLU at 0) closer than
            that, the difference is no derivative.
    Returns:
        ||g - g̃|| / (||g|| + ||g̃||): up to 1e-7 is right, from 1e-3 on there is a bug.
    Raises:
        ValueError: The network is float32, too coarse for the comparison.
    """
    chosen = np.arange(len(network.parameters))
    gradient, differences = _compared(network, loss, x, y, chosen, step)
    return _relative(gradient, differences)


def gradient_check_by_layer(
    network: Network,
    loss: Loss,
    x: Array,
    y: Array,
    rng: np.random.Generator,
    *,
    most: int = 200,
    step: float = 1e-7,
) -> list[Part]:
    """Compare the gradient of each layer's parameters with centred differences.

    Args:
        network, loss, x, y, step: As for `gradient_check`.
        rng: Chooses which parameters are compared, where a part has more than `most`.
    """
    parts = [*_parts(network)]
    drawn = [
        np.sort(start + rng.choice(size, min(size, most), replace=False))
        for _, _, start, size in parts
    ]
    gradient, differences = _compared(network, loss, x, y, np.concatenate(drawn), step)
    found, done = [], 0
    for (layer, name, _, size), chosen in zip(parts, drawn, strict=True):
        part = slice(done, done + len(chosen))
        done += len(chosen)
        relative = _relative(gradient[part], differences[part])
        found.append(Part(layer, name, size, len(chosen), relative))
    return found


def _parts(network: Network) -> Iterator[tuple[int, str, int, int]]:
    """Yield layer, name, place and size in the flat vector of every array of parameters."""
    weights, biases, gammas = network.views
    base = network.parameters.ctypes.data
    for i in range(len(weights)):
        normed = i < len(gammas)
        arrays = {"weights": weights[i], **({"gamma": gammas[i]} if normed else {})}
        arrays["beta" if normed else "bias"] = biases[i]
        for name, array in arrays.items():
            yield i + 1, name, (array.ctypes.data - base) // array.itemsize, array.size


def _compared(
    network: Network, loss: Loss, x: Array, y: Array, chosen: Sequence[int] | Array, step: float
) -> tuple[Array, Array]:
    """Return the gradient of the mean loss by the chosen parameters, and centred differences."""
    if network.dtype != np.float64:
        raise ValueError(f"a gradient check needs float64, the network is {network.dtype}")
    y = loss.check(y, "checked")
    batch = network.training_passes([len(x)], loss)[len(x)]
    batch.targets[...] = loss.targets(y[None], network.dtype)[0]

    def mean_loss() -> float:
        batch.x[...] = x
        for forward in batch.forward:
            forward()
        return loss.measure([(batch.outputs, y)])["loss"]

    mean_loss()
    for backward in batch.backward:
        backward()
    gradient = network.gradient[chosen]
    differences = np.empty_like(gradient)
    for place, i in enumerate(chosen):
        value = network.parameters[i]
        network.parameters[i] = value + step
        above = mean_loss()
        network.parameters[i] = value - step
        differences[place] = (above - mean_loss()) / (2 * step)
        network.parameters[i] = value
    return gradient, differences


def _relative(gradient: Array, differences: Array) -> float:
    norm = np.linalg.norm
    size = norm(gradient) + norm(differences)
    return float(norm(gradient - differences) / size) if size else 0.0
