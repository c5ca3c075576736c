"""How fast the built-in trainer is, next to PyTorch, scikit-learn and bare matrix products.

    python benchmarks/trainer.py                 everything
    python benchmarks/trainer.py epochs adam     some parts: epochs, products, adam, extras,
                                                 denormals, memory, workers
    python benchmarks/trainer.py --compiled      PyTorch compiled too, which takes minutes

float32, one BLAS thread, synthetic data. The contenders take turns, so that whatever else runs on
the machine slows them alike; medians are divided. PyTorch and scikit-learn are optional.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read once, when NumPy is imported
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))  # a checkout runs without being installed

from hpsearch.nn.blas import warm_up
from hpsearch.nn.optimizers import CHUNK, Optimizer
from hpsearch.nn.settings import Settings
from hpsearch.nn.train import Examples, Trainer

torch: Any = None
with suppress(ImportError):
    import torch
MLPClassifier: Any = None
with suppress(ImportError):
    from sklearn.neural_network import MLPClassifier

Sizes = tuple[int, ...]
Epoch = Callable[[], object]

WORKLOADS: dict[str, tuple[Sizes, int, int]] = {  # sizes, batch size, examples
    "a": ((64, 64, 10), 32, 1_077),
    "b": ((64, 128, 128, 10), 64, 1_077),
    "c": ((784, 256, 128, 10), 128, 4_000),
    "d": ((784, 512, 512, 512, 10), 256, 4_000),
}
SECONDS = 6.0
"""Roughly, per comparison."""


def title(name: str) -> str:
    sizes, batch_size, _ = WORKLOADS[name]
    return f"{name} {'-'.join(map(str, sizes))} batch {batch_size}"


def examples(name: str) -> Examples:
    sizes, _, m = WORKLOADS[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((m, sizes[0]), dtype=np.float32)
    return Examples(x, rng.integers(0, sizes[-1], m))


def trainer(name: str, data: Examples | None = None, **more: Any) -> Trainer:
    sizes, batch_size, _ = WORKLOADS[name]
    settings = Settings(hidden_units=sizes[1:-1], batch_size=batch_size, **more)
    return Trainer(settings, data or examples(name), sizes[-1], np.random.default_rng(0))


def compare(contenders: Mapping[str, Epoch]) -> dict[str, float]:
    """Return the median seconds of each, run by turns of some 20 ms."""
    once = {who: min(timed(run, 1) for _ in range(3)) for who, run in contenders.items()}
    repeats = {who: max(1, round(0.02 / seconds)) for who, seconds in once.items()}
    rounds = max(7, round(SECONDS / sum(once[who] * repeats[who] for who in contenders)))
    times: dict[str, list[float]] = {who: [] for who in contenders}
    for _ in range(rounds):
        for who, run in contenders.items():
            times[who].append(timed(run, repeats[who]))
    return {who: median(seconds) for who, seconds in times.items()}


def timed(run: Epoch, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def pytorch(name: str, *, fused: bool = False, compiled: bool = False) -> Epoch:
    """The epoch people write without a DataLoader, which would only be slower."""
    sizes, batch_size, _ = WORKLOADS[name]
    data = examples(name)
    torch.set_num_threads(1)
    nn = torch.nn
    layers = []
    for n_in, n_out in pairwise(sizes[:-1]):
        layers += [nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(*sizes[-2:]))
    optimizer = torch.optim.Adam(model.parameters(), **({"fused": True} if fused else {}))
    if compiled:
        model = torch.compile(model, dynamic=False)
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


def scikit_learn(name: str) -> Epoch:
    """MLPClassifier: no batch norm, and it computes the loss and an L2 term in each step."""
    sizes, batch_size, _ = WORKLOADS[name]
    data = examples(name)
    model = MLPClassifier(sizes[1:-1], batch_size=batch_size, random_state=0)
    classes = np.arange(sizes[-1])

    def epoch() -> None:
        model.partial_fit(data.x, data.y, classes=classes)

    return epoch


def products(name: str) -> Epoch:
    """Only the matrix products of an epoch's steps: what no NumPy code can go below."""
    sizes, batch_size, m = WORKLOADS[name]
    calls = []
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        x, w, z = (
            np.ones(shape, np.float32)
            for shape in ((batch_size, n_in), (n_in, n_out), (batch_size, n_out))
        )
        calls += [(x.dot, w, z.copy()), (x.T.dot, z, w.copy())]
        if layer:
            calls.append((z.dot, w.T, x.copy()))
    steps = round(m / batch_size)

    def epoch() -> None:
        for _ in range(steps):
            for product, right, out in calls:
                product(right, out)

    return epoch


def epochs(compiled: bool) -> None:
    """Time per epoch of the four workloads."""
    rows = []
    for name in WORKLOADS:
        contenders: dict[str, Epoch] = {
            "ours": trainer(name).run_epoch,
            "products": products(name),
        }
        if torch is not None:
            contenders |= {"eager": pytorch(name), "fused": pytorch(name, fused=True)}
            if compiled:
                contenders["compiled"] = pytorch(name, fused=True, compiled=True)
        if MLPClassifier is not None:
            contenders["sklearn"] = scikit_learn(name)
        seconds = compare(contenders)
        ours = seconds.pop("ours")
        better = min((seconds[who] for who in ("fused", "compiled") if who in seconds), default=0)
        rows.append(
            {
                "workload": title(name),
                "ms": ours * 1e3,
                "of PyTorch eager": ours / seconds["eager"] if torch else None,
                "of fused / compiled": ours / better if better else None,
                "of scikit-learn*": ours / seconds["sklearn"] if MLPClassifier else None,
                "of the products": ours / seconds["products"],
                "products of eager": seconds["products"] / seconds["eager"] if torch else None,
            }
        )
    show("Time per epoch: batch norm, ReLU, Adam", rows)
    print("* MLPClassifier has no batch norm\n")


def fresh_products(_: bool) -> None:
    """Small matrix products in a new process, before and after the trainer's `warm_up`."""
    rows = []
    for shape in ((32, 64, 64), (64, 128, 128), (128, 784, 256), (256, 784, 512)):
        cold, warm = (
            [float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in "123"]
            for command in (
                [sys.executable, __file__, f"--product={'x'.join(map(str, shape))}", *warmed]
                for warmed in ((), ("--warmed",))
            )
        )
        rows.append(
            {
                "product": f"({shape[0]} x {shape[1]}) ({shape[1]} x {shape[2]})",
                "GFLOP/s before": median(cold),
                "GFLOP/s after": median(warm),
            }
        )
    show("Products of float32 in a new process, before and after the trainer's warm-up", rows)


def product_rate(shape: str, warmed: bool) -> float:
    """Return the 10^9 operations per second of one product, of `shape` as in 32x64x64."""
    m, n, k = map(int, shape.split("x"))
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((m, n), np.float32), rng.standard_normal((n, k), np.float32)
    z = np.empty((m, k), np.float32)
    if warmed:
        warm_up(np.dtype(np.float32))
    repeats = max(5, round(1e8 / (m * n * k)))
    seconds = median(timed(lambda: x.dot(w, z), repeats) for _ in range(15))
    return 2e-9 * m * n * k / seconds


def adam(_: bool) -> None:
    """Adam alone, on 932k parameters, next to the loop of any textbook (float64, by layer)."""
    n = 932_362
    rng = np.random.default_rng(0)
    settings = Settings()
    w, g = rng.standard_normal((2, n), dtype=np.float32)
    optimizer = Optimizer(settings, w, g, n)
    optimizer.current[:] = optimizer.constants(1e-3, 1)[0]
    shapes = {f"W{layer}": shape for layer, shape in enumerate(pairwise(WORKLOADS["d"][0]))}
    weights, gradients = (
        {name: rng.standard_normal(shape) for name, shape in shapes.items()} for _ in range(2)
    )
    m, v = ({name: np.zeros(shape) for name, shape in shapes.items()} for _ in range(2))

    def textbook() -> None:
        for name, gradient in gradients.items():
            m[name] = 0.9 * m[name] + 0.1 * gradient
            v[name] = 0.999 * v[name] + 0.001 * gradient**2
            m_corrected = m[name] / (1 - 0.9**5)
            v_corrected = v[name] / (1 - 0.999**5)
            weights[name] = weights[name] - 1e-3 * m_corrected / (np.sqrt(v_corrected) + 1e-8)

    def ours() -> None:
        for step in optimizer.steps:
            step()

    def floor() -> None:
        """What no NumPy code goes below: w, m, v read and written once, g read, √ and ÷."""
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK)
            for array in (w, *optimizer.moments):
                np.multiply(array[part], one, array[part])
            room = scratch[: len(g[part])]
            np.add(g[part], one, room)
            np.sqrt(room, room)
            np.divide(room, room, room)

    one, scratch = np.float32(1), np.empty(CHUNK, np.float32)
    contenders: dict[str, Epoch] = {
        "textbook": textbook,
        "hpsearch": ours,
        "each array touched once, √, ÷": floor,
    }
    if torch is not None:
        parameter = torch.nn.Parameter(torch.from_numpy(w.copy()))
        parameter.grad = torch.from_numpy(g.copy())
        contenders["PyTorch, fused"] = torch.optim.Adam([parameter], fused=True).step
    seconds = compare(contenders)
    of = seconds.pop("textbook")
    rows = [
        {"Adam": who, "parameters": n, "ms": value * 1e3, "of the textbook's loop": value / of}
        for who, value in seconds.items()
    ]
    show("Adam alone", rows)


def extras(_: bool) -> None:
    """What dropout and L2 add to an epoch."""
    rows = []
    for name in WORKLOADS:
        seconds = compare(
            {
                "plain": trainer(name).run_epoch,
                "dropout": trainer(name, keep_prob=0.8).run_epoch,
                "l2": trainer(name, l2=1.0).run_epoch,
                "clip": trainer(name, clip_norm=1.0).run_epoch,
            }
        )
        plain = seconds.pop("plain")
        rows.append(
            {"workload": title(name)}
            | {who: f"{value / plain - 1:+.1%}" for who, value in seconds.items()}
        )
    show("Added to an epoch by keep_prob: 0.8, l2, clip_norm", rows)


def denormals(_: bool) -> None:
    """The time of an epoch when a fifth of the inputs is hardly ever active."""
    sizes, _, m = WORKLOADS["b"]
    rng = np.random.default_rng(0)
    x, y = examples("b")
    x = x.copy()
    rare = sizes[0] // 5
    x[:, :rare] = 0
    x[rng.integers(m, size=rare), np.arange(rare)] = 1  # each in one example of the set

    training, first = trainer("b", Examples(x, y)), []
    for _ in range(15):
        first.append(timed(training.run_epoch, 1))
    while training.optimizer.taken < 5_000:
        training.run_epoch()
    later = [timed(training.run_epoch, 1) for _ in range(15)]
    row = {
        "workload": title("b"),
        "steps": training.optimizer.taken,
        "of the first epochs": median(later) / median(first),
    }
    show("Time of an epoch later on, with 20% rare inputs", [row])


def memory(_: bool) -> None:
    """What a step allocates, and what all mini-batches together hold beside data and weights."""
    rows = []
    for name in WORKLOADS:
        for keep_prob in (1.0, 0.8):
            training = trainer(name, keep_prob=keep_prob)
            training.run_epoch()
            batch, _ = training._plan[0]
            steps = [*batch.forward, *batch.backward, *training.optimizer.steps]
            tracemalloc.start()
            for step in steps:
                step()
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            for _ in range(20):
                for step in steps:
                    step()
            after, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()

            sizes = {len(batch.x) for batch, _ in training._plan}
            tracemalloc.start()
            passes = training.network.training_passes(sizes, training.loss, training._rng)
            arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
            traces = tracemalloc.take_snapshot().filter_traces([arrays]).traces
            held = sum(trace.size for trace in traces)
            tracemalloc.stop()
            del passes
            layers, batch_size, _ = WORKLOADS[name]
            # z and a of each hidden layer, and what dropout leaves of a
            hidden = (2 + (keep_prob < 1)) * sum(layers[1:-1])
            activations = 4 * batch_size * (layers[0] + hidden + layers[-1])
            rows.append(
                {
                    "workload": title(name),
                    "keep_prob": keep_prob,
                    "kept after 20 steps, bytes": after - before,
                    "peak in a step, bytes": peak - before,
                    "arrays of mini-batches, kB": held / 1e3,
                    "of one mini-batch's activations": held / activations,
                }
            )
    show("Memory", rows)


def workers(_: bool) -> None:
    """Trials per second of one and two workers, through the command line."""
    rows = []
    for name, trials, length in (("b", 60, 40), ("c", 16, 12)):
        rates: dict[tuple[int, str], list[float]] = {}
        for _ in range(3):
            for jobs, threads in ((1, ""), (2, ""), (2, "2")):
                rate = trials_per_second(name, trials, length, jobs, threads)
                rates.setdefault((jobs, threads), []).append(rate)
        one, two, exported = (median(values) for values in rates.values())
        rows.append(
            {
                "workload": title(name),
                "trials/s of one": one,
                "two of one": two / one,
                "two of one, OPENBLAS_NUM_THREADS=2 exported": exported / one,
            }
        )
    show("Trials per second of two workers", rows)


def trials_per_second(name: str, trials: int, length: int, jobs: int, threads: str) -> float:
    """Run a search, and time it from the start of its first trial to the end of its last."""
    sizes, batch_size, _ = WORKLOADS[name]
    x, y = examples(name)
    config = {
        "objective": {"trainer": "mlp", "epochs": length, "batch_size": batch_size},
        "data": {"source": "data.npz", "split": {"train": 0.9, "dev": 0.1}},
        "parameters": {
            "learning_rate": {"scale": "log", "min": 1e-4, "max": 1e-2},
            "hidden_units": list(sizes[1:-1]),
        },
        "budget": {"trials": trials},
    }
    environment = {key: value for key, value in os.environ.items() if "NUM_THREADS" not in key}
    if threads:
        environment["OPENBLAS_NUM_THREADS"] = threads
    root = str(Path(__file__).parents[1])
    environment["PYTHONPATH"] = os.pathsep.join([root, environment.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "data.npz", x=x, y=y)
        (Path(folder) / "search.yaml").write_text(json.dumps(config))
        command = [sys.executable, "-m", "hpsearch", "run", "search.yaml", "-j", str(jobs)]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        lines = (Path(folder) / "runs" / "search" / "trials.jsonl").read_text().splitlines()
    records = [record for record in map(json.loads, lines) if "started" in record]
    starts = [datetime.fromisoformat(record["started"]).timestamp() for record in records]
    ends = [start + record["seconds"] for start, record in zip(starts, records, strict=True)]
    return len(records) / (max(ends) - min(starts))


def show(heading: str, rows: list[dict[str, Any]]) -> None:
    print(f"{heading}\n")
    print(tabulate(rows, headers="keys", tablefmt="github", floatfmt=".3g", missingval=""))
    print(flush=True)


PARTS: dict[str, Callable[[bool], None]] = {
    "epochs": epochs,
    "products": fresh_products,
    "adam": adam,
    "extras": extras,
    "denormals": denormals,
    "memory": memory,
    "workers": workers,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--compiled", action="store_true", help="compile PyTorch's model too")
    parser.add_argument("--product", help=argparse.SUPPRESS)
    parser.add_argument("--warmed", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.product:
        print(product_rate(given.product, given.warmed))
        return
    for part in given.parts:
        if part not in PARTS:
            parser.error(f"no part {part!r}; there are {', '.join(PARTS)}")
    versions = [f"NumPy {np.__version__}", *([f"PyTorch {torch.__version__}"] if torch else [])]
    print(f"{', '.join(versions)}; one thread each\n")
    warnings.simplefilter("ignore")
    for part in given.parts or PARTS:
        PARTS[part](given.compiled)


if __name__ == "__main__":
    main()
