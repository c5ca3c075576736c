"""How long a page takes to write, and how large it is, for runs of many trials.

Run with: OPENBLAS_NUM_THREADS=1 python benchmarks/report.py [TRIALS]...
The runs are made up: each trial has curves of four metrics over 30 epochs, as the built-in trainer
reports, and some diverge. Each command is timed from its start to its end, the best of three. In
turn with it the import of scikit-learn is timed, which most of it is, and a loop that tells how
fast the machine is just then.
"""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hpsearch.config import Config, load_config
from hpsearch.lines import encode
from hpsearch.provenance import describe, session
from hpsearch.store import CONFIG, RECORD, RunFolder
from hpsearch.trial import Result

TEXT = """\
objective: {{trainer: mlp, epochs: 30}}
data: {{source: digits}}
parameters:
  learning_rate: {{scale: log, min: 1e-4, max: 10}}
  momentum:      {{scale: one_minus_log, min: 0.9, max: 0.999}}
  batch_size:    {{scale: log, type: int, min: 16, max: 256}}
  hidden_units:  {{type: int, min: 16, max: 128}}
  layers:        {{type: int, min: 1, max: 4}}
  keep_prob:     {{min: 0.5, max: 1}}
  optimizer:     {{values: [momentum, rmsprop, adam]}}
  activation:    {{values: [relu, tanh, leaky_relu]}}
budget: {{trials: {trials}}}
"""
EPOCHS = 30


def make_run(runs: Path, name: str, trials: int) -> RunFolder:
    """Write the folder of a run that never took place."""
    folder = RunFolder(runs / name)
    folder.path.mkdir(parents=True)
    text = TEXT.format(trials=trials)
    (folder.path / CONFIG).write_text(text)
    config = load_config(folder.path / CONFIG, name, folder.path)
    provenance = describe(config)
    provenance["sessions"] = [{**session(1), "ended": "trials", "seconds": trials / 10}]
    folder.write_provenance(provenance)
    rng = np.random.default_rng(0)
    with (folder.path / RECORD).open("wb") as file:
        for number in range(trials):
            file.write(encode(_result(config, number, rng)))
    return folder


def _result(config: Config, number: int, rng: np.random.Generator) -> Result:
    space = config.space
    unit = space.draw(rng)
    params = space.params(unit)
    diverged = params["learning_rate"] > 3 and rng.random() < 0.5
    length = int(rng.integers(2, 10)) if diverged else EPOCHS
    floor = 0.02 + 0.05 * abs(math.log10(params["learning_rate"]) + 2) + 0.01 * rng.random()
    train = floor / 2 + (0.9 - floor) * np.exp(-np.arange(1, length + 1) / 5)
    dev = train + floor / 2 + 0.004 * rng.standard_normal(length)
    curve = {
        "train_loss": (3 * train).tolist(),
        "train_error": train.tolist(),
        "dev_loss": (3 * dev).tolist(),
        "dev_error": np.clip(dev, 0, 1).tolist(),
    }
    if diverged:
        curve["dev_loss"][-1] = None
    return Result(
        number,
        "diverged" if diverged else "complete",
        params,
        unit,
        config.training_seed(number),
        EPOCHS,
        None if diverged else curve["dev_error"][-1],
        {name: values[-1] for name, values in curve.items()},
        curve,
        started=f"2026-01-01T{number // 36000:02}:{number // 600 % 60:02}:{number // 10 % 60:02}Z",
        seconds=0.2,
        message="the loss is not finite any more" if diverged else None,
        epochs=length,
    )


IMPORT = [sys.executable, "-c", "import sklearn.ensemble"]
LOOP = [sys.executable, "-c", "x = 0\nfor i in range(10**7): x += 1"]


def main() -> None:
    """Print a line for each number of trials."""
    names = ("trials", "record, MB", "page, MB", "report --html, s", "of a processor, s")
    names = (*names, "scikit-learn, s", "loop, s")
    print(f"| {' | '.join(names)} |")
    print(f"|{' --: |' * len(names)}")
    for trials in map(int, sys.argv[1:] or ("100", "1000", "10000")):
        with tempfile.TemporaryDirectory() as runs:
            folder = make_run(Path(runs), "made-up", trials)
            page = Path(runs) / "page.html"
            command = [sys.executable, "-m", "hpsearch", "report", str(folder.path)]
            taken = [
                [_timed(each) for each in ([*command, "--html", str(page)], IMPORT, LOOP)]
                for _ in range(3)
            ]
            (wall, processor), (_, imported), (_, loop) = (
                map(min, zip(*turns, strict=True)) for turns in zip(*taken, strict=True)
            )
            record, size = ((folder.path / RECORD).stat().st_size, page.stat().st_size)
            figures = (record / 1e6, size / 1e6, wall, processor, imported, loop)
            print(f"| {trials:,} | {' | '.join(f'{each:.1f}' for each in figures)} |", flush=True)


def _timed(command: list[str]) -> tuple[float, float]:
    """Run a command; return its seconds, and those of a processor."""
    start, before = time.perf_counter(), _processor_time()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start, _processor_time() - before


def _processor_time() -> float:
    """Return the seconds of processor time that the commands run so far have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
