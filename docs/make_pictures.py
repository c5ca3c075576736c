"""Make the pictures and the measured tables of the docs, from real runs.

`python docs/make_pictures.py` makes all, which takes about ten minutes on two cores;
`python docs/make_pictures.py luck momentum` only these. It needs `pip install '.[report]'`.
The runs are made in a folder that is removed afterwards. A table stands in docs/lessons/NAME.md
between two comments, and is written anew there; the pictures are in docs/pictures/.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from hpsearch.report.paper import drawing
from hpsearch.report.picture import Axis, Line, Lines, Panel, Picture, Points
from hpsearch.store import RunFolder
from hpsearch.story import Story
from hpsearch.trial import Result

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
SEEDS = range(10)
"""The searches that are compared are made so many times."""

Rows = list[list[str]]


class Place:
    """A folder in which commands are given, as a reader of the docs would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def hpsearch(self, *arguments: object) -> str:
        """Give a command, and return what it prints."""
        words = [sys.executable, "-m", "hpsearch", *map(str, arguments)]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.run(
            words, cwd=self.folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def run(self, lesson: str, seed: int = 0, **changes: object) -> list[Result]:
        """Run a lesson's config from a seed, with other constants; return its trials."""
        path, name = self.config(lesson, seed, **changes)
        self.hpsearch("run", path, "--quiet")
        return RunFolder(self.folder / "runs" / name).results()

    def config(self, lesson: str, seed: int = 0, **changes: object) -> tuple[Path, str]:
        """Write a lesson's config with a seed and other constants; return the file and its name."""
        text = (ROOT / "configs" / "lessons" / f"{lesson}.yaml").read_text(encoding="utf-8")
        text = re.sub(r"(?m)^seed: .*", f"seed: {seed}", text)
        for word, value in changes.items():
            text = re.sub(rf"\b{word}: [\w.]+, ", "", text)
            text = text.replace("{trainer: mlp, ", f"{{trainer: mlp, {word}: {value}, ")
        name = "-".join([lesson, str(seed), *(f"{word}-{each}" for word, each in changes.items())])
        path = self.folder / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path, name

    def plot(self, run: str, picture: str, to: str) -> None:
        """Draw a picture of a run."""
        path = PICTURES / f"{to}.svg"
        self.hpsearch("report", run, "--plot", picture, "-o", path, "--quiet")


def best(results: Iterable[Result]) -> float:
    """Return the lowest score."""
    return min(each.score for each in results if each.score is not None)


def mean_text(scores: Sequence[float]) -> str:
    """Write the mean of scores with its standard error."""
    error = statistics.stdev(scores) / math.sqrt(len(scores))
    return f"{statistics.mean(scores):.4f} ± {error:.4f}"


def write_table(lesson: str, head: Sequence[str], rows: Rows) -> None:
    """Put a table into a lesson's page, in place of the one that is there."""
    page = ROOT / "docs" / "lessons" / f"{lesson}.md"
    lines = [list(head), ["---"] * len(head), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    text, count = re.subn(
        r"(<!-- measured -->\n\n).*?(\n\n<!-- end -->)",
        lambda match: match[1] + table + match[2],
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    assert count == 1, page
    page.write_text(text, encoding="utf-8")


def draw(name: str, *panels: Panel) -> None:
    """Draw panels beside each other as docs/pictures/NAME.svg."""
    picture = Picture(name, "", "", panels)
    (PICTURES / f"{name}.svg").write_bytes(drawing(picture, "svg"))


def grid_and_random(place: Place) -> None:
    """Compare a grid and random draws, of two parameters and of three, over several seeds."""
    rows = []
    for lesson, what in (
        ("grid-25", "grid, 5 × 5"),
        ("random-25", "random, 25"),
        ("grid-27", "grid, 3 × 3 × 3"),
        ("random-27", "random, 27"),
    ):
        runs = [place.run(lesson, seed) for seed in SEEDS]
        values = {each.params["learning_rate"] for each in runs[0]}
        found = [best(run) for run in runs]
        rows.append([what, str(len(values)), mean_text(found), f"{max(found):.4f}"])
    head = [
        "search",
        "different learning rates",
        "best dev error found",
        "the worst of ten searches",
    ]
    write_table("grid-and-random", head, rows)
    place.plot("random-25-0", "projection", "grid-and-random")


def scales(place: Place) -> None:
    """Compare the scales of a learning rate and of β, over several seeds."""
    noisy = {"batch_size": 4, "epochs": 4}
    rows = []
    for lesson, what, changes in (
        ("rate-linear", "learning rate, linear", {}),
        ("rate-log", "learning rate, log", {}),
        ("beta-linear", "β, linear; mini-batches of 32", {}),
        ("beta-log", "β, 1 - β on a log scale; mini-batches of 32", {}),
        ("beta-linear", "β, linear; mini-batches of 4", noisy),
        ("beta-log", "β, 1 - β on a log scale; mini-batches of 4", noisy),
    ):
        found = [best(place.run(lesson, seed, **changes)) for seed in SEEDS]
        rows.append([what, mean_text(found), f"{max(found):.4f}"])
    head = ["10 draws of", "best dev error found", "the worst of ten searches"]
    write_table("scales", head, rows)
    for each in ("linear", "log"):
        place.plot(f"rate-{each}-0", "scatter", f"rate-{each}")


def batch_norm(place: Place) -> None:
    """Count the decades of learning rate that train, with batch norm and without."""
    rows = []
    for activation in ("relu", "sigmoid"):
        marks: list[Lines | Points] = []
        for what, role in (("on", "top"), ("off", "best")):
            results = place.run(f"batch-norm-{what}", activation=activation)
            rates = [each.params["learning_rate"] for each in results]
            errors = [1.0 if each.score is None else each.score for each in results]
            counts = [sum(error < limit for error in errors) / 4 for limit in (0.1, 0.05)]
            lowest = min(range(len(errors)), key=errors.__getitem__)
            decades = [f"{count:g}" for count in counts]
            found = f"{errors[lowest]:.4f} at {rates[lowest]:.2g}"
            lost = sum(each.score is None for each in results)
            rows.append([f"{activation}, {what}", *decades, found, str(lost)])
            logs = tuple(map(math.log10, rates))
            marks.append(Lines(role, (Line(logs, tuple(errors)),), f"batch norm {what}"))
            marks.append(Points(role, logs, tuple(errors), label=f"batch norm {what}"))
        ticks = tuple((float(each), f"{10.0**each:g}") for each in range(-3, 3))
        x, y = Axis("learning rate", -3.1, 2.1, ticks), Axis("dev error", 0, 1.04)
        draw(f"batch-norm-{activation}", Panel("", x, y, tuple(marks)))
    head = [
        "activation, batch norm",
        "decades below 10%",
        "decades below 5%",
        "lowest dev error",
        "diverged",
    ]
    write_table("batch-norm", head, rows)


def momentum(place: Place) -> None:
    """Compare windows of momentum."""
    results = place.run("momentum")
    roles = {0: "rest", 0.9: "top", 0.99: "middle", 0.999: "best", 0.9995: "lost"}
    rows, marks = [], []
    for each in results:
        beta, curve = each.params["momentum"], each.curve["train_loss"]
        figures = [f"{each.metrics[name]:.4f}" for name in ("train_loss", "train_error")]
        rows.append([f"{beta:g}", f"{1 / (1 - beta):,.4g}", *figures, mean_text(each.scores)])
        if beta in roles:
            losses = tuple(math.log10(value) for value in curve if value is not None)
            epochs = tuple(float(epoch) for epoch in range(1, len(losses) + 1))
            marks.append(Lines(roles[beta], (Line(epochs, losses),), f"β = {beta:g}"))
    head = ["β", "window in steps", "train loss", "train error", "dev error"]
    write_table("momentum", head, rows)
    ticks = ((-2.0, "0.01"), (-1.0, "0.1"), (0.0, "1"))
    x, y = Axis("epoch", 0, 20.5), Axis("train loss", -2.4, 0.6, ticks)
    draw("momentum", Panel("", x, y, tuple(marks)))


def overfitting(place: Place) -> None:
    """Compare remedies of overfitting."""
    few = place.run("overfitting")
    stopped = place.run("overfitting", early_stopping=10)
    more = place.run("overfitting-more-data")

    def row(what: str, results: list[Result], l2: int, keep: float, shift: int) -> list[str]:
        wanted = {"l2": l2, "keep_prob": keep, "shift": shift}
        (one,) = (
            each
            for each in results
            if all(each.params[word] == wanted[word] for word in each.params)
        )
        train = one.metrics["train_error"]
        return [what, f"{train:.4f}", mean_text(one.scores), f"{one.metrics['dev_loss']:.4f}"]

    rows = [
        row("none", few, 0, 1, 0),
        row("l2: 1", few, 1, 1, 0),
        row("keep_prob: 0.7", few, 0, 0.7, 0),
        row("both", few, 1, 0.7, 0),
        row("early_stopping: 10", stopped, 0, 1, 0),
        row("shift: 1", few, 0, 1, 1),
        row("898 digits", more, 0, 1, 0),
        row("898 digits and l2: 1", more, 1, 1, 0),
        row("898 digits and shift: 1", more, 0, 1, 1),
    ]
    write_table("overfitting", ["remedy", "train error", "dev error", "dev loss"], rows)
    place.plot("overfitting-0", "errors", "overfitting")


def luck(place: Place) -> None:
    """Retest and test the best of many trainings that differ in their seed only."""
    rows = []
    for seed in range(3):
        scores = sorted(each.score for each in place.run("luck", seed) if each.score is not None)
        name = f"luck-{seed}"
        again = json.loads(place.hpsearch("retest", name, "--top", 1, "--repeats", 20, "--json"))
        (winner,) = again["settings"]
        test = json.loads(place.hpsearch("evaluate", name, "--json"))
        found = [scores[0], statistics.mean(scores), scores[-1], winner["now"]]
        found.append(test["test"]["error"]["value"])
        rows.append([str(seed), *(f"{each:.4f}" for each in found)])
    head = [
        "seed",
        "best of 50",
        "mean of 50",
        "worst of 50",
        "20 fresh seeds",
        "test error of the best",
    ]
    write_table("luck", head, rows)
    place.plot("luck-0", "progress", "luck")


def panda_and_caviar(place: Place) -> None:
    """Spend the same epochs on ten models and on one that is nudged."""
    acts = ROOT / "configs" / "lessons" / "panda-acts.txt"
    rows = []
    for seed in range(5):
        many = place.run("caviar", seed)
        path, name = place.config("panda", seed)
        place.hpsearch("panda", path, "--script", acts, "--name", name)
        way = Story(RunFolder(place.folder / "runs" / name).acts()).path()
        errors = [f"{way[epoch - 1]['dev_error']:.4f}" for epoch in (10, 90)]
        median = statistics.median(each.score for each in many if each.score is not None)
        rows.append([str(seed), f"{best(many):.4f}", f"{median:.4f}", *reversed(errors)])
    head = [
        "seed",
        "caviar: best of ten",
        "their median",
        "panda at its end",
        "and after 10 epochs",
    ]
    write_table("panda-and-caviar", head, rows)
    place.plot("caviar-0", "curves", "caviar")
    place.plot("panda-0", "path", "panda")


def _norm_curves(results: Sequence[Result]) -> None:
    """Draw the tutorial's learning curves, with batch norm beside those without."""
    roles = {0.1: "middle", 0.316: "top", 1: "best", 3.16: "lost", 10: "rest"}
    panels = []
    for norm in (True, False):
        marks = []
        for each in results:
            role = roles.get(float(f"{each.params['learning_rate']:.3g}"))
            if each.params["batch_norm"] is norm and role is not None:
                errors = tuple(each.curve["dev_error"])
                line = Line(tuple(map(float, range(1, len(errors) + 1))), errors)
                label = f"learning rate {each.params['learning_rate']:.2g}"
                marks.append(Lines(role, (line,), label))
        words = "with" if norm else "without"
        x, y = Axis("epoch", 0.9, 5.1), Axis(f"dev error {words} batch norm", 0, 1)
        panels.append(Panel("", x, y, tuple(marks)))
    draw("tutorial-curves", *panels)


def tutorial(place: Place) -> None:
    """Follow the tutorial, and draw what it looks at."""
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    for name, content in re.findall(r"^`([\w.-]+)`:\n\n```\w*\n(.*?)^```", text, re.M | re.S):
        (place.folder / name).write_text(content, encoding="utf-8")
    for line in re.findall(r"^hpsearch (.*)", text, re.MULTILINE):
        place.hpsearch(*line.split())
    place.plot("log", "scatter", "tutorial-scatter")
    _norm_curves(RunFolder(place.folder / "runs" / "norm").results())
    place.plot("log-panda", "path", "tutorial-path")


PARTS: dict[str, Callable[[Place], None]] = {
    "tutorial": tutorial,
    "grid-and-random": grid_and_random,
    "scales": scales,
    "batch-norm": batch_norm,
    "momentum": momentum,
    "overfitting": overfitting,
    "luck": luck,
    "panda-and-caviar": panda_and_caviar,
}


def main(names: Sequence[str]) -> None:
    """Make the named parts, or all."""
    PICTURES.mkdir(exist_ok=True)
    for name in names or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Place(Path(folder)))
        print(f"made {name}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
