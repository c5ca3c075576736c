"""The test of every backward step at once: the gradient against centred differences."""

from __future__ import annotations

import numpy as np

from hpsearch.nn.layers import Array
from hpsearch.nn.losses import Loss
from hpsearch.nn.model import Network


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
    gradient = network.gradient.copy()
    differences = np.empty_like(gradient)
    for i, value in enumerate(network.parameters.copy()):
        network.parameters[i] = value + step
        above = mean_loss()
        network.parameters[i] = value - step
        differences[i] = (above - mean_loss()) / (2 * step)
        network.parameters[i] = value
    norm = np.linalg.norm
    return float(norm(gradient - differences) / (norm(gradient) + norm(differences)))
