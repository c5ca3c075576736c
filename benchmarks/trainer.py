"""How long an epoch of the built-in trainer takes, next to PyTorch and to bare matrix products.

    python benchmarks/trainer.py

Batch norm, ReLU, Adam, float32, one BLAS thread, synthetic data. The contenders take turns, so that
whatever else runs on the machine slows them alike; the medians are divided. PyTorch is optional.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read once, when NumPy is imported
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # a checkout runs without being installed

from hpsearch.nn.settings import Settings
from hpsearch.nn.train import Examples, Trainer

try:
    import torch
except ImportError:
    torch = None

WORKLOADS = {  # sizes, batch size, examples
    "a": ((64, 64, 10), 32, 1_077),
    "b": ((64, 128, 128, 10), 64, 1_077),
    "c": ((784, 256, 128, 10), 128, 4_000),
    "d": ((784, 512, 512, 512, 10), 256, 4_000),
}
SECONDS = 6.0
"""Roughly, per workload."""


def ours(sizes: tuple[int, ...], batch_size: int, data: Examples) -> Callable[[], None]:
    settings = Settings(hidden_units=sizes[1:-1], batch_size=batch_size)
    return Trainer(settings, data, sizes[-1], np.random.default_rng(0)).run_epoch


def pytorch(sizes: tuple[int, ...], batch_size: int, data: Examples) -> Callable[[], None]:
    """The epoch people write without a DataLoader, which would only be slower."""
    torch.set_num_threads(1)
    nn = torch.nn
    layers = []
    for n_in, n_out in pairwise(sizes[:-1]):
        layers += [nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(*sizes[-2:]))
    optimizer = torch.optim.Adam(model.parameters())
    loss = nn.CrossEntropyLoss()
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)

    def epoch() -> None:
        order = torch.randperm(len(x))
        for start in range(0, len(x), batch_size):
            chosen = order[start : start + batch_size]
            optimizer.zero_grad()
            loss(model(x[chosen]), y[chosen]).backward()
            optimizer.step()

    return epoch


def products(sizes: tuple[int, ...], batch_size: int, data: Examples) -> Callable[[], None]:
    """Only the matrix products of an epoch's steps: what no NumPy code can go below."""
    calls = []
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        x, w, z = (
            np.ones(shape, np.float32)
            for shape in ((batch_size, n_in), (n_in, n_out), (batch_size, n_out))
        )
        calls += [(x, w, z.copy()), (x.T, z, w.copy())]
        if layer:
            calls.append((z, w.T, x.copy()))
    steps = round(len(data.x) / batch_size)

    def epoch() -> None:
        for _ in range(steps):
            for left, right, out in calls:
                np.dot(left, right, out)

    return epoch


def timed(epoch: Callable[[], None], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        epoch()
    return (time.perf_counter() - start) / repeats


def main() -> None:
    contenders = {"ours": ours, "products": products}
    if torch is None:
        print("PyTorch is not installed: its column stays empty.")
    else:
        contenders["pytorch"] = pytorch
        print(f"PyTorch {torch.__version__}, NumPy {np.__version__}, one thread each")
    print(f"{'workload':28}{'ours, ms/epoch':>16}{'of PyTorch':>12}{'products of PyTorch':>21}")
    for name, (sizes, batch_size, m) in WORKLOADS.items():
        rng = np.random.default_rng(0)
        x = rng.standard_normal((m, sizes[0]), dtype=np.float32)
        data = Examples(x, rng.integers(0, sizes[-1], m))
        epochs = {who: make(sizes, batch_size, data) for who, make in contenders.items()}
        once = {who: min(timed(epoch, 1) for _ in range(3)) for who, epoch in epochs.items()}
        repeats = {who: max(1, round(0.02 / seconds)) for who, seconds in once.items()}
        rounds = max(5, round(SECONDS / sum(once[who] * repeats[who] for who in epochs)))
        times: dict[str, list[float]] = {who: [] for who in epochs}
        for _ in range(rounds):
            for who, epoch in epochs.items():
                times[who].append(timed(epoch, repeats[who]))
        seconds = {who: median(values) for who, values in times.items()}
        title = f"{name} {'-'.join(map(str, sizes))} batch {batch_size}"
        print(f"{title:28}{seconds['ours'] * 1e3:16.2f}", end="")
        if "pytorch" in seconds:
            print(f"{seconds['ours'] / seconds['pytorch']:12.3f}", end="")
            print(f"{seconds['products'] / seconds['pytorch']:21.3f}", end="")
        else:
            print(f"{'':12}{'':21}", end="")
        print(f"   ours / products {seconds['ours'] / seconds['products']:.2f}", flush=True)


if __name__ == "__main__":
    main()
