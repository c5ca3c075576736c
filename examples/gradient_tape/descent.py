"""Gradient descent on a cost with one weight."""

import tensorflow as tf


def cost(w):
    """Return J(w), which is 0 at w = 5 and larger everywhere else."""
    return w**2 - 10 * w + 25


def descend(learning_rate: float, budget: int) -> dict[str, float]:
    """Take `budget` steps from w = 0; return where that leads and what it costs there."""
    w = tf.Variable(0.0)
    for _ in range(budget):
        with tf.GradientTape() as tape:
            here = cost(w)
        w.assign_sub(learning_rate * tape.gradient(here, w))
    reached = float(w.numpy())  # in double precision: near 5 the terms of J all but cancel
    return {"cost": cost(reached), "w": reached}
