"""Fit a curve through noisy points with a sum of bumps."""

import jax
import jax.numpy as jnp


def points(count: int, seed: int) -> tuple[jax.Array, jax.Array]:
    """Return x in [0, 1] and sin(6 x) with noise of standard deviation 0.1."""
    for_x, for_noise = jax.random.split(jax.random.key(seed))
    x = jax.random.uniform(for_x, (count,))
    return x, jnp.sin(6 * x) + 0.1 * jax.random.normal(for_noise, (count,))


def predict(weights: jax.Array, x: jax.Array) -> jax.Array:
    """Add up bumps of the given heights, evenly spaced over [0, 1]."""
    centres = jnp.linspace(0, 1, len(weights))
    return jnp.exp(-((x[:, None] - centres) ** 2) * 10) @ weights


def error(weights: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the mean squared error."""
    return jnp.mean((predict(weights, x) - y) ** 2)


SEEN, UNSEEN = points(60, seed=1), points(200, seed=2)


@jax.jit
def step(weights: jax.Array, learning_rate: float, penalty: float) -> jax.Array:
    """Return the weights after one step of gradient descent."""

    def loss(w: jax.Array) -> jax.Array:
        return error(w, *SEEN) + penalty * jnp.mean(w**2)

    return weights - learning_rate * jax.grad(loss)(weights)


def fit(learning_rate: float, bumps: int, penalty: float, seed: int, budget: int) -> dict:
    """Take `budget` steps from random weights; return the errors, which may be JAX scalars."""
    weights = 0.1 * jax.random.normal(jax.random.key(seed), (bumps,))
    for _ in range(budget):
        weights = step(weights, learning_rate, penalty)
    return {"train_error": error(weights, *SEEN), "dev_error": error(weights, *UNSEEN)}
