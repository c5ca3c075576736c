"""A network with one hidden layer tells two interleaved half circles apart."""

import math
from collections.abc import Iterator

import torch
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}

torch.set_num_threads(1)  # hpsearch runs a trial per core; more threads would only get in the way


def moons(count: int, seed: int, noise: float = 0.15) -> tuple[torch.Tensor, torch.Tensor]:
    """Return count noisy points (count, 2) in two half circles, and which one each is in."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    angles = math.pi * torch.rand(count, generator=draw)
    x = torch.where(labels == 0, angles.cos(), 1 - angles.cos())
    y = torch.where(labels == 0, angles.sin(), 0.5 - angles.sin())
    points = torch.stack([x, y], dim=1)
    return points + noise * torch.randn(points.shape, generator=draw), labels


def error(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the share of wrong predictions."""
    with torch.no_grad():
        return (model(x).argmax(dim=1) != y).float().mean().item()


def train(
    learning_rate: float,
    momentum: float,
    hidden_units: int,
    activation: str,
    seed: int,
    budget: int,
) -> Iterator[dict[str, float]]:
    """Train for `budget` epochs and yield the errors after each; the last ones count."""
    torch.manual_seed(seed)  # the first weights and the order of the examples
    train_x, train_y = moons(400, seed=1)  # the data are the same in every trial
    dev_x, dev_y = moons(400, seed=2)
    model = nn.Sequential(
        nn.Linear(2, hidden_units), ACTIVATIONS[activation](), nn.Linear(hidden_units, 2)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=momentum)
    for _ in range(budget):
        for batch in torch.randperm(len(train_x)).split(32):
            loss = nn.functional.cross_entropy(model(train_x[batch]), train_y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield {
            "train_error": error(model, train_x, train_y),
            "dev_error": error(model, dev_x, dev_y),
        }
