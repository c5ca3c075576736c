"""What hpsearch costs beside a trial: python benchmarks/throughput.py [PART]... [--trials N]

Each part compares within one run, in interleaved turns, every contender in a process of its own,
and prints medians and ratios. Parts, all by default:

    trials      trials per second of a trivial objective with two workers, against Optuna's
                storages and plain joblib; the rate of the last tenth, of the first
    sync-each   the same with `run: {sync: each}`
    efficiency  10 ms and 100 ms trials, against a bare ProcessPoolExecutor
    first       a first run of two trials, against a bare joblib call; and --help
    memory      the parent's memory after 100,000 trials
    report      `hpsearch report`, against Optuna's journal and against Python's json; of as many
                trials as --counts says

Needs Optuna: pip install '.[benchmarks]'
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

JOBS = 2
TURNS = 3
COUNTS = (10_000, 1_000_000)
"""Trials whose leaderboard the part `report` asks for; of the first also of Optuna's journal."""
SLEEPS = (0.01, 0.1)
"""Seconds of processor time that a trial of the part `efficiency` takes."""

CONFIG = """\
objective: {{python: "{module}:{function}"}}
metric: {{name: loss, goal: minimize}}
parameters:
  x: {{min: -1, max: 1}}
  y: {{scale: log, min: 1e-4, max: 1}}
seed: 1
budget: {{trials: {trials}}}
run: {{sync: {sync}}}
"""
OBJECTIVE = """\
import time

def score(x, y):
    return x * x + y

def spin(x, y):
    end = time.thread_time() + {seconds}
    while time.thread_time() < end:
        pass
    return x * x + y
"""


def score(x: float, y: float) -> float:
    """The trivial objective."""
    return x * x + y


def spin(x: float, y: float, seconds: float) -> float:
    """Be busy for so many seconds of processor time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return x * x + y


# Contenders: each runs `trials` trials in a folder and returns what it measured.


def hpsearch_run(trials: int, folder: Path, *, sync: str = "group", seconds: float = 0) -> Any:
    """Run a search as the command does; tenths are the seconds that each tenth of it took."""
    from hpsearch.config import load_config
    from hpsearch.loop import search
    from hpsearch.store import RunFolder

    (folder / "trivial.py").write_text(OBJECTIVE.format(seconds=seconds))
    path = folder / "search.yaml"
    function = "spin" if seconds else "score"
    path.write_text(CONFIG.format(module="trivial.py", function=function, trials=trials, sync=sync))
    config = load_config(path)
    times = [time.perf_counter()]
    count = 0

    @contextlib.contextmanager
    def begin(*_: Any) -> Iterator[Callable[[Any], None]]:
        times[0] = time.perf_counter()

        def watch(result: Any) -> None:
            nonlocal count
            count += 1
            if count % max(1, trials // 10) == 0:
                times.append(time.perf_counter())

        yield watch

    began = time.perf_counter()
    search(config, RunFolder(folder / "run"), jobs=JOBS, begin=begin, warn=print)
    took = time.perf_counter() - began
    tenths = [after - before for before, after in itertools.pairwise(times)]
    return {"seconds": took, "tenths": tenths, "loop": times[-1] - times[0]}


def optuna_run(trials: int, folder: Path, storage: str) -> Any:
    """Run a random search of Optuna's with one of its storages."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    stores: dict[str, Callable[[], Any]] = {
        "memory": lambda: None,
        "journal": lambda: optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
        ),
        "sqlite": lambda: f"sqlite:///{folder / 'optuna.db'}",
    }
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(storage=stores[storage](), sampler=sampler)

    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", -1, 1)
        return score(x, trial.suggest_float("y", 1e-4, 1, log=True))

    began = time.perf_counter()
    study.optimize(objective, n_trials=trials)
    return {"seconds": time.perf_counter() - began}


def joblib_run(trials: int, folder: Path, batch: int | str) -> Any:
    """Run draws through joblib and write a line each: no isolation, no strategy, no sync."""
    from joblib import Parallel, delayed

    rng = random.Random(1)
    draws = ((rng.uniform(-1, 1), 10 ** rng.uniform(-4, 0)) for _ in range(trials))
    began = time.perf_counter()
    parallel = Parallel(n_jobs=JOBS, batch_size=batch, return_as="generator_unordered")
    with (folder / "lines.jsonl").open("w") as file:
        for found in parallel(delayed(score)(x, y) for x, y in draws):
            file.write(json.dumps({"loss": found}) + "\n")
    return {"seconds": time.perf_counter() - began}


def pool_run(trials: int, folder: Path, seconds: float) -> Any:
    """Run busy trials through a bare ProcessPoolExecutor, whose workers are there already."""
    del folder
    with ProcessPoolExecutor(JOBS) as pool:
        list(pool.map(score, [0.0] * JOBS, [0.0] * JOBS))
        began = time.perf_counter()
        for future in [pool.submit(spin, 0.5, 0.5, seconds) for _ in range(trials)]:
            future.result()
        return {"seconds": time.perf_counter() - began}


CONTENDERS: dict[str, Callable[[int, Path], Any]] = {
    "hpsearch": hpsearch_run,
    "hpsearch, sync: each": lambda trials, folder: hpsearch_run(trials, folder, sync="each"),
    "Optuna in memory": lambda trials, folder: optuna_run(trials, folder, "memory"),
    "Optuna journal file": lambda trials, folder: optuna_run(trials, folder, "journal"),
    "Optuna SQLite": lambda trials, folder: optuna_run(trials, folder, "sqlite"),
    "joblib": lambda trials, folder: joblib_run(trials, folder, "auto"),
    "joblib, batch_size=1": lambda trials, folder: joblib_run(trials, folder, 1),
    **{
        f"hpsearch, {seconds * 1e3:g} ms": (
            lambda trials, folder, seconds=seconds: hpsearch_run(trials, folder, seconds=seconds)
        )
        for seconds in SLEEPS
    },
    **{
        f"ProcessPoolExecutor, {seconds * 1e3:g} ms": (
            lambda trials, folder, seconds=seconds: pool_run(trials, folder, seconds)
        )
        for seconds in SLEEPS
    },
}


def alone(name: str, trials: int) -> Any:
    """Run a contender in a process and a folder of its own; return what it measured."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        command = [sys.executable, __file__, "--one", name, "--trials", str(trials)]
        found = subprocess.run(
            [*command, "--folder", folder], check=True, capture_output=True, text=True
        )
    return json.loads(found.stdout.splitlines()[-1])


def scratch() -> str | None:
    """Return where files are written: TMPDIR, which should be on a disk that is synced."""
    return os.environ.get("TMPDIR")


def one(name: str, trials: int, folder: Path) -> None:
    """Be a contender's process."""
    measured = CONTENDERS[name](trials, folder)
    measured["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    status = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]
    measured["memory"] = int(status) * 1024
    print(json.dumps(measured))


def turns(counts: dict[str, int]) -> dict[str, list[Any]]:
    """Run every contender, with so many trials, in turn."""
    found: dict[str, list[Any]] = {name: [] for name in counts}
    for _ in range(TURNS):
        for name, trials in counts.items():
            found[name].append(alone(name, trials))
    return found


def rates(counts: dict[str, int], first: str) -> dict[str, list[Any]]:
    """Print trials per second of each contender, and how many times as many `first` does."""
    found = turns(counts)
    medians = {
        name: statistics.median(counts[name] / each["seconds"] for each in measured)
        for name, measured in found.items()
    }
    print(f"{'':24} {'trials/s':>9} {first + ' has':>14}")
    for name, rate in medians.items():
        print(f"{name:24} {rate:9,.0f} {medians[first] / rate:13.2f}x", flush=True)
    return found


def steady(measured: list[Any]) -> float:
    """Return the rate of the last tenth of a search, of the first one's; the median of turns.

    The first hundredth, in which the second child starts, belongs to the first tenth.
    """
    return statistics.median(each["tenths"][0] / each["tenths"][-1] for each in measured)


def part_trials(trials: int) -> None:
    """Print trials per second of a trivial objective."""
    found = rates(
        {
            "hpsearch": trials,
            "Optuna in memory": trials,
            "Optuna journal file": max(50, trials // 10),
            "Optuna SQLite": max(50, trials // 50),
            "joblib": trials,
            "joblib, batch_size=1": trials,
        },
        "hpsearch",
    )
    print(
        f"rate of the last tenth, of the first, {trials:,} trials: {steady(found['hpsearch']):.2f}"
    )


def part_sync_each(trials: int) -> None:
    """Print the same where every trial is synced by itself."""
    rates(
        {"hpsearch, sync: each": trials, "Optuna journal file": max(50, trials // 10)},
        "hpsearch, sync: each",
    )


def part_efficiency(trials: int) -> None:
    """Print how fast trials that take a while are, against a pool that only runs them."""
    del trials
    for seconds in SLEEPS:
        count = round(6 / seconds)
        names = [f"{each}, {seconds * 1e3:g} ms" for each in ("hpsearch", "ProcessPoolExecutor")]
        found = turns(dict.fromkeys(names, count))
        ours = statistics.median(each["loop"] for each in found[names[0]])
        pool = statistics.median(each["seconds"] for each in found[names[1]])
        print(
            f"{seconds * 1e3:g} ms trials, {count} of them, two workers: hpsearch {ours:.2f} s, "
            f"ProcessPoolExecutor {pool:.2f} s, efficiency {pool / ours:.3f}",
            flush=True,
        )


def part_first(trials: int) -> None:
    """Print how long commands take that do next to nothing."""
    del trials
    call = (
        "from joblib import Parallel, delayed; import math;"
        "print(Parallel(n_jobs=2)(delayed(math.sqrt)(i) for i in range(2)))"
    )
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        place = Path(folder)
        (place / "trivial.py").write_text(OBJECTIVE.format(seconds=0))
        text = CONFIG.format(module="trivial.py", function="score", trials=2, sync="group")
        (place / "search.yaml").write_text(text)
        module = [sys.executable, "-m", "hpsearch"]
        number = 0

        def run() -> list[str]:
            nonlocal number
            number += 1
            return [*module, "run", "-q", "-j", "2", "search.yaml", "--name", f"run-{number}"]

        commands: dict[str, Callable[[], list[str]]] = {
            "hpsearch run, two trials": run,
            "joblib, two calls": lambda: [sys.executable, "-c", call],
            "hpsearch --help": lambda: [*module, "--help"],
            "import optuna": lambda: [sys.executable, "-c", "import optuna"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(2 * TURNS + 1):  # the first turn is a warm-up
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command(), check=True, capture_output=True, cwd=place)
                if turn:
                    times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(each) for name, each in times.items()}
    for name, median in medians.items():
        print(f"{name:26} {median:6.3f} s")
    names = list(medians)
    for ours, other in (names[:2], names[2:]):
        print(f"{ours}, of {other}: {medians[ours] / medians[other]:.2f}", flush=True)


def part_memory(trials: int) -> None:
    """Print what a search of many trials takes of the parent's memory, and its rate to the end."""
    del trials
    few, many = alone("hpsearch", 1000), alone("hpsearch", 100_000)
    growth = (many["peak"] - few["peak"]) / 99_000
    print(
        f"peak memory of the parent: {few['peak'] / 1e6:.0f} MB with 1,000 trials, "
        f"{many['peak'] / 1e6:.0f} MB with 100,000 ({growth:.0f} bytes a trial)"
    )
    print(f"rate of the last tenth, of the first, 100,000 trials: {steady([many]):.2f}", flush=True)


def part_report(counts: Sequence[int]) -> None:
    """Print how long the leaderboard of many trials takes."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        place = Path(folder)
        journal = place / "journal.log"
        if COUNTS[0] in counts:
            _write_journal(journal, COUNTS[0])
        load = (
            "import optuna; optuna.logging.set_verbosity(40);"
            "b = optuna.storages.journal.JournalFileBackend;"
            f"s = optuna.load_study(study_name='s', storage=optuna.storages.JournalStorage("
            f"b({str(journal)!r})));"
            "f = s.trials_dataframe(); print(f.sort_values('value').head(10))"
        )
        for count in counts:
            run = _write_run(place, count)
            record = run / "trials.jsonl"
            stream = f"import json\nfor line in open({str(record)!r}): json.loads(line)"
            commands = {"hpsearch report": [sys.executable, "-m", "hpsearch", "report", str(run)]}
            if count == COUNTS[0]:
                commands["Optuna's journal, loaded"] = [sys.executable, "-c", load]
            else:
                commands["json.loads of each line"] = [sys.executable, "-c", stream]
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
            for _ in range(TURNS):
                for name, command in commands.items():
                    found[name].append(_timed(command))
            print(f"{count:,} trials, a record of {record.stat().st_size / 1e6:.0f} MB")
            medians = {name: statistics.median(t for t, _ in each) for name, each in found.items()}
            for name, each in found.items():
                peak = max(memory for _, memory in each) / 1e6
                print(f"{name:26} {medians[name]:7.2f} s   {peak:6.0f} MB")
            ours, other = medians.values()
            print(f"of the other: {ours / other:.3f}, {other / ours:.1f} times as fast", flush=True)


def _write_run(place: Path, trials: int) -> Path:
    """Write the folder of a run that never took place."""
    from hpsearch.config import load_config
    from hpsearch.provenance import describe, session
    from hpsearch.standings import keep_outline
    from hpsearch.store import CONFIG as CONFIG_NAME
    from hpsearch.store import RunFolder
    from hpsearch.trial import Result

    (place / "trivial.py").write_text(OBJECTIVE.format(seconds=0))
    path = place / "search.yaml"
    path.write_text(
        CONFIG.format(module="trivial.py", function="score", trials=trials, sync="group")
    )
    config = load_config(path, f"made-up-{trials}")
    folder = RunFolder(place / config.name)
    folder.path.mkdir()
    (folder.path / CONFIG_NAME).write_bytes(path.read_bytes())
    provenance = describe(config)
    provenance["sessions"] = [{**session(JOBS), "ended": "trials", "seconds": trials / 1e4}]
    folder.write_provenance(provenance)
    keep_outline(config, folder)
    rng = random.Random(1)

    def made(number: int) -> Result:
        params = {"x": rng.uniform(-1, 1), "y": 10 ** rng.uniform(-4, 0)}
        loss = score(**params)
        return Result(
            number,
            "complete",
            params,
            ((params["x"] + 1) / 2, 1 + math.log10(params["y"]) / 4),
            config.training_seed(number),
            None,
            loss,
            {"loss": loss},
            {"loss": [loss]},
            started="2026-01-01T00:00:00.000+00:00",
            seconds=1.2e-05,
        )

    with folder.claim():
        for first in range(0, trials, 1000):
            folder.append(*map(made, range(first, min(trials, first + 1000))))
    return folder.path


def _write_journal(path: Path, trials: int) -> None:
    """Run as many trials of Optuna's into a journal, without waiting for the disk."""
    code = (
        "import os, sys, optuna; os.fsync = lambda descriptor: None\n"
        "optuna.logging.set_verbosity(optuna.logging.ERROR)\n"
        "backend = optuna.storages.journal.JournalFileBackend(sys.argv[1])\n"
        "study = optuna.create_study(study_name='s', sampler=optuna.samplers.RandomSampler(1),"
        " storage=optuna.storages.JournalStorage(backend))\n"
        "study.optimize(lambda t: t.suggest_float('x', -1, 1) ** 2"
        " + t.suggest_float('y', 1e-4, 1, log=True), n_trials=int(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, str(path), str(trials)], check=True)


def _timed(command: list[str]) -> tuple[float, float]:
    """Run a command; return its seconds and the most memory that it took, in bytes."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - began, used.ru_maxrss * 1024


PARTS = {
    "trials": part_trials,
    "sync-each": part_sync_each,
    "efficiency": part_efficiency,
    "first": part_first,
    "memory": part_memory,
}


def main() -> None:
    """Run the parts that were named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "report", []])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="of the part report")
    given = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if given.one:
        one(given.one, given.trials, given.folder)
        return
    for name in given.parts or [*PARTS, "report"]:
        print(f"\n{name}: median of {TURNS} interleaved turns, {JOBS} workers", flush=True)
        if name == "report":
            part_report(given.counts)
        else:
            PARTS[name](given.trials)


if __name__ == "__main__":
    main()
