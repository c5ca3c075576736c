"""Fit a polynomial to noisy points of a curve by gradient descent with momentum.

Prints a JSON object with the errors after each epoch, on a line of its own.
"""

import argparse
import json
import math
import random

Points = list[tuple[float, float]]


def points(count: int, seed: int) -> Points:
    """Return (x, y) with x in [-1, 1] and y = sin(3 x) with noise of standard deviation 0.1."""
    draw = random.Random(seed)
    xs = [draw.uniform(-1, 1) for _ in range(count)]
    return [(x, math.sin(3 * x) + draw.gauss(0, 0.1)) for x in xs]


def predict(weights: list[float], x: float) -> float:
    """Return the value of the polynomial at x."""
    return sum(weight * x**power for power, weight in enumerate(weights))


def rmse(weights: list[float], data: Points) -> float:
    """Return the root of the mean squared error; infinite where it is too large for a number."""
    try:
        return math.sqrt(sum((predict(weights, x) - y) ** 2 for x, y in data) / len(data))
    except OverflowError:
        return math.inf


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--degree", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    train, dev = points(100, seed=1), points(200, seed=2)
    order = random.Random(options.seed)
    weights = [0.0] * (options.degree + 1)
    velocity = [0.0] * (options.degree + 1)
    for epoch in range(1, options.epochs + 1):
        order.shuffle(train)
        for x, y in train:
            gap = predict(weights, x) - y
            for power in range(len(weights)):
                velocity[power] = options.momentum * velocity[power] + gap * x**power
                weights[power] -= options.learning_rate * velocity[power]
        errors = {"train_rmse": rmse(weights, train), "dev_rmse": rmse(weights, dev)}
        print(json.dumps({"epoch": epoch, **errors}), flush=True)


if __name__ == "__main__":
    main()
