"""How good the strategies are, next to Optuna's.

    python benchmarks/strategies.py                   everything
    python benchmarks/strategies.py functions time    some parts: functions, digits, epochs, time
    python benchmarks/strategies.py --seeds 5         fewer searches with each strategy
    python benchmarks/strategies.py --only bayes,TPE  those whose name has one of these words
    python benchmarks/strategies.py --quick           2 searches, and TPE the only one of Optuna's

Regret: the value of the setting that a search has seen as its best, free of noise, less the best
there is, in units of the same for a median random draw; 0 is perfect, 1 no better than a single
draw. Mean over the seeds. One trial after the other. Optuna is optional:
pip install '.[benchmarks]'
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read once, when NumPy is imported
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median
from typing import Any, Protocol

import numpy as np
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))  # a checkout runs without being installed

from hpsearch.data.source import DataSource
from hpsearch.history import History
from hpsearch.nn.settings import Settings
from hpsearch.nn.train import Examples, Trainer
from hpsearch.objectives.mlp import load_split
from hpsearch.scales import SCALES, Integer, Real
from hpsearch.seeds import stream
from hpsearch.space import Axis, Choice, Space
from hpsearch.strategies import STRATEGIES, Stage
from hpsearch.trial import Params, Result, Trial

optuna: Any = None
with suppress(ImportError):
    import optuna

GP = "Optuna GPSampler"
TRIALS = (25, 50, 100, 200)
"""After how many trials the best is looked at."""


# The contenders: each is asked for a setting, and then told its score.


class Search(Protocol):
    seconds: float
    """Of the latest suggestion alone."""

    def ask(self) -> Params: ...

    def tell(self, score: float) -> None: ...


class Ours:
    def __init__(self, strategy: Any, space: Space, seed: int) -> None:
        self.strategy, self.space, self.seed = strategy, space, seed
        self.history = History("minimize", seed)
        self.count = 0
        self.seconds = 0.0

    def ask(self) -> Params:
        rng = stream(self.seed, "suggest", self.count)
        start = time.perf_counter()
        suggestion = self.strategy.suggest(self.space, self.history, self.count, rng)
        self.seconds = time.perf_counter() - start
        self.point, self.note = suggestion.point, suggestion.note
        self.params = self.space.params(self.point)
        self.history.name(Trial(self.count, self.params, self.point, 0))
        return self.params

    def tell(self, score: float) -> None:
        about = self.count, "complete", self.params, self.point
        self.history.add(Result(*about, 0, None, score, note=self.note))
        self.count += 1


class Optunas:
    def __init__(
        self, sampler: Callable[[int], Any], space: Space, seed: int, pruner: Any = None
    ) -> None:
        self.space = space
        self.study = optuna.create_study(sampler=sampler(seed), pruner=pruner)
        self.distributions = {name: distribution(axis) for name, axis in space.axes.items()}
        self.seconds = 0.0

    def ask(self) -> Params:
        start = time.perf_counter()
        self.trial = self.study.ask(self.distributions)
        self.seconds = time.perf_counter() - start
        return {
            name: self.space.axes[name].from_unit(np.asarray(value)).item()
            if isinstance(self.space.axes[name], Real)
            else value
            for name, value in self.trial.params.items()
        }

    def tell(self, score: float) -> None:
        self.study.tell(self.trial, score)


def distribution(axis: Axis) -> Any:
    """Real numbers are asked for on the axis's own scale, one_minus_log among them."""
    if isinstance(axis, Choice):
        return optuna.distributions.CategoricalDistribution(axis.options)
    if isinstance(axis, Integer):
        ends = int(axis.scale.min), int(axis.scale.max)
        return optuna.distributions.IntDistribution(*ends, log=axis.name == "log")
    return optuna.distributions.FloatDistribution(0, 1)


ONLY: list[str] = []
"""Words of which a contender's name must have one; all take part where there is none."""


def chosen(who: str) -> bool:
    return not ONLY or any(word in who for word in ONLY)


def contenders(quick: bool) -> dict[str, Callable[[Space, int], Search]]:
    strategies = {
        "random": STRATEGIES["random"](),
        "sobol": STRATEGIES["sobol"](),
        "zoom, lag 1": STRATEGIES["zoom"](lag=1),
        "zoom": STRATEGIES["zoom"](),
        "bayes, lag 1": STRATEGIES["bayes"](lag=1),
        "bayes": STRATEGIES["bayes"](),
    }
    found: dict[str, Callable[[Space, int], Search]] = {
        name: lambda space, seed, strategy=strategy: Ours(strategy, space, seed)
        for name, strategy in strategies.items()
    }
    if optuna is not None:
        samplers = {
            "Optuna random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
            "Optuna QMC": lambda seed: optuna.samplers.QMCSampler(seed=seed, scramble=True),
            "Optuna CMA-ES": lambda seed: optuna.samplers.CmaEsSampler(seed=seed),
            "Optuna TPE": lambda seed: optuna.samplers.TPESampler(seed=seed),
        }
        if find_spec("torch") is not None:
            samplers[GP] = lambda seed: optuna.samplers.GPSampler(seed=seed)
        found |= {
            name: lambda space, seed, sampler=sampler: Optunas(sampler, space, seed)
            for name, sampler in samplers.items()
            if not quick or name == "Optuna TPE"
        }
    return {name: begin for name, begin in found.items() if chosen(name)}


def seeds_of(who: str, seeds: int) -> range:
    """Optuna's Gaussian process takes half a second for a suggestion: fewer searches with it."""
    return range(min(seeds, 10) if who == GP else seeds)


def searched(who: str, search: Search, score: Callable[[Params], float]) -> list[Params]:
    """Run a search and return its best setting after each number of TRIALS; GP has fewer."""
    best: Params = {}
    lowest, found = np.inf, []
    for count in range(1, (TRIALS[1] if who == GP else max(TRIALS)) + 1):
        params = search.ask()
        value = score(params)
        search.tell(value)
        if value < lowest:
            best, lowest = params, value
        if count in TRIALS:
            found.append(best)
    return found


# Functions of old: all are minimised, and known to the last digit.


@dataclass(frozen=True)
class Function:
    of: Callable[[np.ndarray], float]
    low: tuple[float, ...]
    high: tuple[float, ...]
    minimum: float

    @property
    def space(self) -> Space:
        pairs = enumerate(zip(self.low, self.high, strict=True))
        return Space({f"x{i}": Real(SCALES["linear"](*ends), "linear") for i, ends in pairs})

    def score(self, params: Params) -> float:
        return float(self.of(np.array(list(params.values()))))


def branin(x: np.ndarray) -> float:
    bend = x[1] - 5.1 / (4 * np.pi**2) * x[0] ** 2 + 5 / np.pi * x[0] - 6
    return bend**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x[0]) + 10


def hartmann(widths: list[list[float]], places: list[list[int]]) -> Callable[[np.ndarray], float]:
    a, p = np.array(widths), np.array(places) / 1e4
    heights = np.array([1, 1.2, 3, 3.2])
    return lambda x: -heights @ np.exp(-(a * (x - p) ** 2).sum(axis=1))


def ackley(x: np.ndarray) -> float:
    x = x - 7.5  # its lowest point would else be the middle of the space
    far = np.exp(-0.2 * np.sqrt(np.mean(x**2)))
    return 20 - 20 * far + np.e - np.exp(np.mean(np.cos(2 * np.pi * x)))


def rosenbrock(x: np.ndarray) -> float:
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


HARTMANN_3 = hartmann(
    [[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]],
    [[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]],
)
HARTMANN_6 = hartmann(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ],
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ],
)
FUNCTIONS: dict[str, Function] = {
    "Branin": Function(branin, (-5, 0), (10, 15), 0.397887),
    "Hartmann 3": Function(HARTMANN_3, (0,) * 3, (1,) * 3, -3.86278),
    "Hartmann 6": Function(HARTMANN_6, (0,) * 6, (1,) * 6, -3.32237),
    "Ackley 5": Function(ackley, (-32.768,) * 5, (32.768,) * 5, 0),
    "Rosenbrock 4": Function(rosenbrock, (-5,) * 4, (10,) * 4, 0),
}


def functions(seeds: int, quick: bool) -> None:
    """Regret on functions without noise."""
    regrets: dict[str, list[list[float]]] = {}  # of a contender: by function, then by TRIALS
    for function in FUNCTIONS.values():
        space, rng = function.space, np.random.default_rng(0)
        draws = rng.uniform(function.low, function.high, (20_000, len(function.low)))
        typical = median(float(function.of(draw)) for draw in draws)
        scale = typical - function.minimum
        for who, begin in contenders(quick).items():
            runs = [
                searched(who, begin(space, seed), function.score) for seed in seeds_of(who, seeds)
            ]
            at = [
                mean((function.score(best) - function.minimum) / scale for best in bests)
                for bests in zip(*runs, strict=True)
            ]
            regrets.setdefault(who, []).append(at)
    for name, place in zip(FUNCTIONS, range(len(FUNCTIONS)), strict=True):
        show(f"Regret on {name}", {who: each[place] for who, each in regrets.items()})
    means = {who: np.mean(each, axis=0).tolist() for who, each in regrets.items()}
    show("Regret, mean of the five functions", means)


# Real trainings, short ones: what is compared is the searches, not the networks.

EPOCHS = 5
SHARES = (("train", 0.1), ("dev", 0.3), ("test", 0.6))
REPEATS = 10
"""Trainings whose mean is taken as free of noise."""


def digits_space() -> Space:
    log = SCALES["log"]
    return Space(
        {
            "learning_rate": Real(log(1e-4, 1), "log"),
            "momentum": Real(SCALES["one_minus_log"](0.8, 0.999), "one_minus_log"),
            "batch_size": Integer(log(16, 128), "log"),
            "layers": Integer(SCALES["linear"](1, 3), "linear"),
            "hidden_units": Integer(log(8, 64), "log"),
            "optimizer": Choice(("momentum", "adam")),
        }
    )


def digits(seeds: int, quick: bool) -> None:
    """Regret on the built-in trainer: the dev error of the digits, and its noise."""
    (split,) = load_split(DataSource("digits", ".", None, SHARES, 0).fingerprinted())
    training, dev = Examples(*split.train), Examples(*split.dev)
    space = digits_space()

    def dev_error(params: Params, rng: np.random.Generator) -> float:
        settings = Settings(epochs=EPOCHS, **params)
        trainer = Trainer(settings, training, len(split.classes), rng)
        for _ in range(EPOCHS):
            trainer.run_epoch()
        last = trainer.figures(trainer.checked(dev, "dev"))
        return last.metrics["dev_error"] if last.finite else 1.0

    known: dict[str, float] = {}

    def noise_free(params: Params) -> float:
        key = json.dumps(params)
        if key not in known:
            rngs = map(np.random.default_rng, range(REPEATS))
            known[key] = mean(dev_error(params, rng) for rng in rngs)
        return known[key]

    rng = np.random.default_rng(0)
    draws = [space.params(space.draw(rng)) for _ in range(100 if quick else 400)]
    typical = median(dev_error(params, rng) for params in draws)
    values: dict[str, list[list[float]]] = {}
    for who, begin in contenders(quick).items():
        for seed in seeds_of(who, seeds):
            noise = np.random.default_rng((seed, 1))
            bests = searched(
                who, begin(space, seed), lambda params, rng=noise: dev_error(params, rng)
            )
            values.setdefault(who, []).append([noise_free(best) for best in bests])
    minimum = min(known.values())
    regrets = {
        who: ((np.mean(each, axis=0) - minimum) / (typical - minimum)).tolist()
        for who, each in values.items()
    }
    show("Regret on digits: six hyperparameters of the built-in trainer", regrets)
    print(f"Dev error: {typical:.3f} for a median draw, {minimum:.3f} for the best that was found.")
    print(f"A search sees single trainings; free of noise is the mean of {REPEATS}.\n")


WHOLE = 27
"""Epochs of a whole training."""
WHOLES = (25, 50, 100)
"""After the epochs of so many whole trainings the best is looked at."""
FEW = 400
"""Examples to learn from, so that a whole training takes tens of milliseconds."""


class Curves:
    """Trainings on the digits that go on from where they were, epoch by epoch."""

    def __init__(self) -> None:
        (split,) = load_split(DataSource("digits", ".", None, SHARES, 0).fingerprinted())
        self.training, self.classes = Examples(split.train.x[:FEW], split.train.y[:FEW]), 10
        self.dev = Examples(*split.dev)
        self.known: dict[str, float] = {}

    def begin(self, params: Params, rng: np.random.Generator) -> Callable[[], float]:
        """Return what trains one more epoch and gives the dev error after it."""
        settings = Settings(epochs=WHOLE, **params)
        trainer = Trainer(settings, self.training, self.classes, rng)
        dev = trainer.checked(self.dev, "dev")

        def further() -> float:
            trainer.run_epoch()
            epoch = trainer.figures(dev)
            return epoch.metrics["dev_error"] if epoch.finite else 1.0

        return further

    def whole(self, params: Params, rng: np.random.Generator) -> float:
        further = self.begin(params, rng)
        return [further() for _ in range(WHOLE)][-1]

    def noise_free(self, params: Params) -> float:
        key = json.dumps(params)
        if key not in self.known:
            rngs = map(np.random.default_rng, range(REPEATS))
            self.known[key] = mean(self.whole(params, rng) for rng in rngs)
        return self.known[key]


class Marks:
    """Which setting was best when the epochs of so many whole trainings were spent."""

    def __init__(self) -> None:
        self.spent, self.best, self.found = 0, (1, np.inf, {}), list[Params]()

    @property
    def over(self) -> bool:
        return len(self.found) == len(WHOLES)

    def spend(self, epochs: int) -> None:
        """Count epochs that are about to be trained."""
        self.spent += epochs
        while not self.over and self.spent > WHOLES[len(self.found)] * WHOLE:
            self.found.append(self.best[2])

    def see(self, params: Params, epochs: int, error: float) -> None:
        """Take a score; one after more epochs stands before any after fewer."""
        self.best = min(self.best, (-epochs, error, params), key=lambda each: each[:2])


def ours_by_epochs(strategy: Any, space: Space, curves: Curves, seed: int) -> list[Params]:
    history, marks, order = History("minimize", seed), Marks(), 0
    noise = np.random.default_rng((seed, 1))
    running: dict[int, Callable[[], float]] = {}
    while not marks.over:
        suggestion = strategy.suggest(space, history, order, stream(seed, "suggest", order))
        stage = suggestion.stage or Stage(WHOLE, 0)
        number = history.begun(order) if stage.trial is None else stage.trial
        trial = Trial(
            number,
            space.params(suggestion.point),
            suggestion.point,
            0,
            suggestion.note,
            step=order,
            start=stage.start,
            until=stage.until,
            rung=stage.rung,
        )
        history.name(trial)
        epochs = stage.until - stage.start
        marks.spend(epochs)
        if number not in running:
            running[number] = curves.begin(trial.params, noise)
        error = [running[number]() for _ in range(epochs)][-1]
        marks.see(trial.params, stage.until, error)
        result = replace(
            Result(number, "complete", trial.params, trial.unit, 0, stage.until, error),
            note=trial.note,
            epochs=epochs,
            step=order,
            start=stage.start,
            rung=stage.rung,
        )
        history.add(result)
        order += 1
    return marks.found


def optunas_by_epochs(
    pruner: Any, sampler: Any, space: Space, curves: Curves, seed: int
) -> list[Params]:
    search, marks = Optunas(sampler, space, seed, pruner), Marks()
    noise = np.random.default_rng((seed, 1))
    while not marks.over:
        params = search.ask()
        further, pruned = curves.begin(params, noise), False
        for epoch in range(1, WHOLE + 1):
            marks.spend(1)
            error = further()
            marks.see(params, epoch, error)
            search.trial.report(error, epoch)
            if epoch < WHOLE and search.trial.should_prune():
                pruned = True
                break
        if pruned:
            search.study.tell(search.trial, state=optuna.trial.TrialState.PRUNED)
        else:
            search.tell(error)
    return marks.found


def epochs(seeds: int, quick: bool) -> None:
    """Regret when hopeless trainings end early, counted in epochs."""
    curves, space = Curves(), digits_space()
    first = -(-WHOLE // 9)
    strategies = {
        "random": STRATEGIES["random"](),
        "sobol": STRATEGIES["sobol"](),
        "bayes": STRATEGIES["bayes"](),
        "halving (sobol)": STRATEGIES["halving"](max=WHOLE),
        "halving (sobol), 3 brackets": STRATEGIES["halving"](max=WHOLE, brackets=3),
        "halving (bayes)": STRATEGIES["halving"](max=WHOLE, propose="bayes", lag=4),
    }
    found: dict[str, Callable[[int], list[Params]]] = {
        name: lambda seed, strategy=strategy: ours_by_epochs(strategy, space, curves, seed)
        for name, strategy in strategies.items()
    }
    if optuna is not None:
        pruners = {
            "Optuna TPE": optuna.pruners.NopPruner,
            "Optuna TPE, successive halving": lambda: optuna.pruners.SuccessiveHalvingPruner(
                min_resource=first, reduction_factor=3
            ),
            "Optuna TPE, Hyperband": lambda: optuna.pruners.HyperbandPruner(
                min_resource=first, max_resource=WHOLE, reduction_factor=3
            ),
        }
        found |= {
            name: lambda seed, pruner=pruner: optunas_by_epochs(
                pruner(), lambda own: optuna.samplers.TPESampler(seed=own), space, curves, seed
            )
            for name, pruner in pruners.items()
        }
    rng = np.random.default_rng(0)
    typical = median(curves.whole(space.params(space.draw(rng)), rng) for _ in range(100))
    values = {
        who: [[curves.noise_free(best) for best in run(seed)] for seed in range(seeds)]
        for who, run in found.items()
        if chosen(who)
    }
    minimum = min(curves.known.values())
    regrets = {
        who: ((np.mean(each, axis=0) - minimum) / (typical - minimum)).tolist()
        for who, each in values.items()
    }
    heading = f"Regret on digits, {FEW} examples, for the epochs of so many trainings of {WHOLE}"
    show(heading, regrets, [f"{count} trainings" for count in WHOLES])


TIMED: tuple[int, ...] = (10, 100, 1_000, 10_000)
TIMED_MODELS: tuple[int, ...] = (10, 100, 1_000)
"""Optuna's TPE and our bayes would take minutes for more."""


def times(_: int, quick: bool) -> None:
    """Time per suggestion, when so many trials have finished."""
    space, rows = digits_space(), []
    for who, begin in contenders(quick).items():
        search, rng, row = begin(space, 0), np.random.default_rng(0), {"": who}
        taken: list[float] = []
        counts = TIMED
        if who.startswith(("Optuna", "bayes")):
            counts = TIMED_MODELS[: 1 if quick else 2 if who == GP else 3]
        for count in range(max(counts) + 1):
            search.ask()
            taken.append(search.seconds)
            search.tell(rng.random())
            if count in counts:
                row[f"trial {count:,}"] = f"{median(taken[-max(9, count // 20) :]) * 1e6:,.0f}"
        rows.append(row)
    print("Microseconds per suggestion, six hyperparameters\n")
    print(tabulate(rows, headers="keys", tablefmt="github", stralign="right", missingval=""))
    print(flush=True)


def show(
    heading: str, regrets: Mapping[str, list[float]], columns: Sequence[str] | None = None
) -> None:
    print(f"{heading}\n")
    headers = ["", *(columns or [f"{count} trials" for count in TRIALS])]
    rows = [[who, *at] for who, at in regrets.items()]
    print(tabulate(rows, headers=headers, tablefmt="github", floatfmt=".3f"))
    print(flush=True)


PARTS: dict[str, Callable[[int, bool], None]] = {
    "functions": functions,
    "digits": digits,
    "epochs": epochs,
    "time": times,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seeds", type=int, help="searches with each strategy; 20 by default")
    parser.add_argument("--only", help="contenders whose name has one of these words: bayes,TPE")
    parser.add_argument("--quick", action="store_true", help="2 seeds, and of Optuna only TPE")
    given = parser.parse_args()
    for part in given.parts:
        if part not in PARTS:
            parser.error(f"no part {part!r}; there are {', '.join(PARTS)}")
    ONLY.extend(given.only.split(",") if given.only else [])
    seeds = given.seeds or (2 if given.quick else 20)
    peer = "without Optuna" if optuna is None else f"Optuna {optuna.__version__}"
    print(f"NumPy {np.__version__}, {peer}; {seeds} seeds\n")
    warnings.simplefilter("ignore")
    if optuna is not None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
    for part in given.parts or PARTS:
        PARTS[part](seeds, given.quick)


if __name__ == "__main__":
    main()
