"""`hpsearch init`: starter configs that run as they are."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Command
from hpsearch.config import Config, load_config
from hpsearch.store import RunFolder

ARGPARSE = """\
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("-l", "--lr", type=float, default=0.01, help="step size")
parser.add_argument("--momentum", type=float, default=0.9)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--layers", type=int, choices=range(1, 3), default=2)
parser.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--seed", type=int)
parser.add_argument("--out", default="model.pt")
parser.add_argument("--verbose", action="store_true")
parser.add_argument("--sizes", type=int, nargs="+", default=[1])
options = parser.parse_args()
assert options.out == "model.pt" and options.seed is not None
for epoch in range(options.epochs):
    print(json.dumps({"epoch": epoch, "train_loss": 9.0, "val_loss": (options.lr - 0.02) ** 2}))
"""
CLICK = """\
import click

@click.command()
@click.option("--lr", default=0.01)
@click.option("--kind", type=click.Choice(["a", "b"]), default="a")
@click.option("--depth", type=click.IntRange(1, 5), default=3)
@click.option("--l2", type=click.FloatRange(1e-6, max=0.01), required=True)
@click.option("--shout/--no-shout", default=False)
@click.option("--quiet", is_flag=True)
def main(lr, kind, depth, l2, shout, quiet):
    accuracy = 1 - lr
    print(f"{kind} has accuracy: {accuracy:.4f}")

main()
"""
FUNCTION = """\
from typing import Literal

raise_if_run = undefined_name

def helper(x):
    return x

def train(learning_rate: float, *, momentum=0.9, units: int = 64, layers=2, dropout=0.2,
          kind: Literal["a", "b"] = "a", bias=True, name="run", seed=0, budget=4, offset=-3):
    for epoch in range(budget):
        yield {"train_error": 0.5, "dev_error": abs(learning_rate - 0.1) / (epoch + 1)}
"""


def table(path: Path, rows: int, row: Callable[[random.Random, int], str], header: str) -> None:
    draw = random.Random(1)
    path.write_text("\n".join([header, *(row(draw, i) for i in range(rows))]) + "\n")


def ran(answer: Command, config: str) -> list[Any]:
    """Run a written config unchanged, but for the number of trials, and return its results."""
    path = Path(config)
    text = path.read_text()
    short = [line for line in text.splitlines() if not line.startswith("budget:")]
    (path.parent / f"short-{path.name}").write_text("\n".join([*short, "budget: {trials: 3}"]))
    done = answer("run", f"short-{path.name}", "-q", "-j", "1")
    assert done.returncode == 0, done.stderr
    results = RunFolder(Path("runs", f"short-{path.stem}")).results()
    assert all(result.score is not None for result in results)
    return results


def initial(answer: Command, *arguments: str) -> Config:
    done = answer("init", *arguments)
    assert done.returncode == 0, done.stderr
    name = next(line for line in done.stderr.splitlines() if line.startswith("Wrote ")).split()[1]
    assert done.stdout == Path(name).read_text()
    assert max(map(len, done.stdout.splitlines())) <= 200
    return load_config(Path(name))


def test_the_starter_follows_the_tiers_and_runs_unchanged(answer: Command, tmp_path: Path) -> None:
    config = initial(answer)
    assert [*config.space.axes] == [
        *("learning_rate", "momentum", "batch_size", "hidden_units", "layers", "decay"),
    ]
    assert config.name == "search"
    assert answer("run", "search.yaml", "-q").returncode == 0
    best = min(
        r.score for r in RunFolder(tmp_path / "runs/search").results() if r.score is not None
    )
    assert best < 0.05


def test_a_table_of_classes_is_looked_at(answer: Command, tmp_path: Path) -> None:
    shutil.copy(ROOT / "configs/wine.csv", tmp_path)
    config = initial(answer, "--csv", "wine.csv")
    assert config.data is not None
    assert (config.data.label, config.metric_name, config.data.missing) == (
        *("cultivar", "dev_error"),
        "refuse",
    )
    assert "guessed from its name: 3 classes" in (tmp_path / "wine.yaml").read_text()
    assert ran(answer, "wine.yaml")


def test_a_table_of_numbers_is_regression_with_what_is_missing_and_what_names_a_row(
    answer: Command, tmp_path: Path
) -> None:
    def row(draw: random.Random, i: int) -> str:
        area, rooms = draw.uniform(30, 200), draw.randint(1, 6)
        known = "" if i % 9 == 4 else rooms
        return f"{i},h{i},{area:.1f},{known},{draw.choice(['Ulm', 'Köln'])},{area * 9.5 + rooms}"

    table(tmp_path / "houses.csv", 120, row, "id,street,area,rooms,town,price")
    config = initial(answer, "--csv", "houses.csv", "homes.yaml")
    data = config.data
    assert data is not None
    assert (data.label, data.ignore, data.missing) == ("price", ("id", "street"), "median")
    assert config.metric_name == "dev_rmse"
    assert "there are missing values: rooms" in (tmp_path / "homes.yaml").read_text()
    assert ran(answer, "homes.yaml")


def test_a_label_can_be_named_and_is_else_the_last_column_that_is_no_name(
    answer: Command, tmp_path: Path
) -> None:
    def row(draw: random.Random, i: int) -> str:
        return f"{draw.random():.4f},{draw.choice('xyz')},{'no' if draw.random() < 0.5 else 'yes'}"

    table(tmp_path / "t.csv", 60, row, "a,b,c d")
    first = initial(answer, "--csv", "t.csv", "one.yaml").data
    assert first is not None
    assert first.label == "c d"
    assert "guessed, as it is the last column: 2 classes" in (tmp_path / "one.yaml").read_text()
    second = initial(answer, "--csv", "t.csv", "--label", "b", "two.yaml").data
    assert second is not None
    assert second.label == "b"
    assert "as you said: 3 classes" in (tmp_path / "two.yaml").read_text()


def test_names_that_are_whole_numbers_are_names(answer: Command, tmp_path: Path) -> None:
    table(tmp_path / "pixels.csv", 40, lambda draw, i: f"{draw.random()},{i % 2},{i % 2}", "0,1,2")
    assert initial(answer, "--csv", "pixels.csv").objective.about()


def test_a_class_too_rare_for_every_part_is_not_stratified(answer: Command, tmp_path: Path) -> None:
    def row(draw: random.Random, i: int) -> str:
        return f"{draw.random():.4f},{'rare' if i == 7 else 'ab'[i % 2]}"

    table(tmp_path / "t.csv", 60, row, "x,label")
    config = initial(answer, "--csv", "t.csv")
    assert config.data is not None
    assert config.data.stratify is False
    assert ran(answer, "t.yaml")


@pytest.mark.parametrize(
    ("rows", "split"), [(500, "train: 0.6, dev: 0.2"), (20_000, "train: 0.8, dev: 0.1")]
)
def test_the_more_rows_the_smaller_the_part_that_judges(
    answer: Command, tmp_path: Path, rows: int, split: str
) -> None:
    table(tmp_path / "t.csv", rows, lambda draw, i: f"{draw.random():.3f},{i % 2}", "x,label")
    initial(answer, "--csv", "t.csv")
    assert split in (tmp_path / "t.yaml").read_text()


def test_a_function_is_read_and_not_run(answer: Command, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(FUNCTION)
    config = initial(answer, "--python", "train.py")
    assert config.space.spec() == {
        "learning_rate": {"scale": "log", "min": 1e-4, "max": 1.0},
        "momentum": {"scale": "one_minus_log", "min": 0.9, "max": 0.999},
        "units": {"scale": "log", "min": 16, "max": 256, "type": "int"},
        "layers": {"scale": "linear", "min": 1, "max": 4, "type": "int"},
        "dropout": {"scale": "linear", "min": 0.0, "max": 0.5},
        "kind": {"values": ["a", "b"]},
        "bias": {"values": [False, True]},
        "offset": {"scale": "linear", "min": -6, "max": 0, "type": "int"},
    }
    assert config.constants == {"name": "run"}
    assert (config.metric_name, config.goal) == ("dev_error", "minimize")
    assert config.objective.epochs({}) == 4
    (tmp_path / "train.py").write_text(FUNCTION.replace("raise_if_run = undefined_name", ""))
    assert len(ran(answer, "train.yaml")[0].curve["dev_error"]) == 4


def test_a_function_in_another_folder_is_found_from_the_config(
    answer: Command, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/my.py").write_text("def loss(x, y: int = 3):\n    return x * y\n")
    config = initial(answer, "--python", "code/my.py:loss")
    assert (config.metric_name, config.goal) == ("loss", "minimize")
    assert ran(answer, "my.yaml")


def test_the_options_of_argparse_become_parameters(answer: Command, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(ARGPARSE)
    config = initial(answer, "--command", "python train.py --verbose")
    assert [*config.space.axes] == ["lr", "momentum", "batch_size", "layers", "optimizer"]
    assert (config.metric_name, config.goal) == ("val_loss", "minimize")
    assert "layers: {values: [1, 2]}  # its choices" in (tmp_path / "train.yaml").read_text()
    section = config.objective.section(tmp_path)
    assert section["epochs"] == 3
    assert "--batch-size={batch_size}" in section["command"]
    assert "--seed={seed}" in section["command"]
    assert "--out" not in section["command"]
    assert len(ran(answer, "train.yaml")[0].curve["val_loss"]) == 3


def test_the_options_of_click_and_a_printed_number_become_parameters_and_a_pattern(
    answer: Command, tmp_path: Path
) -> None:
    (tmp_path / "tool.py").write_text(CLICK)
    config = initial(answer, "--command", "python tool.py")
    assert [*config.space.axes] == ["lr", "depth", "kind", "l2"]
    text = (tmp_path / "tool.yaml").read_text()
    assert "depth: {type: int, min: 1, max: 5}  # what it accepts" in text
    assert "l2: {scale: log, min: 1.0e-06, max: 0.01}  # what it accepts" in text
    assert (config.metric_name, config.goal) == ("accuracy", "maximize")
    for result in ran(answer, "tool.yaml"):
        assert result.score == pytest.approx(1 - result.params["lr"], abs=1e-4)


def test_a_program_that_cannot_be_read_asks_nothing(answer: Command, tmp_path: Path) -> None:
    (tmp_path / "x.sh").write_text('echo "{\\"score\\": 0.5}"\n')
    config = initial(answer, "--command", "sh x.sh")
    assert [*config.space.axes] == ["learning_rate"]
    assert "HPSEARCH_PARAM_LEARNING_RATE" in (tmp_path / "search.yaml").read_text()
    assert ran(answer, "search.yaml")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["there.yaml"], "there.yaml exists already"),
        (["new.txt"], "the name of a config ends with .yaml"),
        (["no/new.yaml"], "there is no folder no"),
        (["--csv", "none.csv"], "none.csv: No such file"),
        (["--csv", "t.csv", "--label", "lable"], "no column 'lable'\nDid you mean 'label'?"),
        (["--csv", "one.csv"], "there is no column to learn from"),
        (["--csv", "bare.csv"], "bare.csv:1: '1.5' and what follows look like an example"),
        (
            ["--csv", "comma.csv"],
            "comma.csv: column 'x' is '1,5', a number with a comma; write 1.5",
        ),
        (["--csv", "tabs.tsv"], "tabs.tsv: --csv takes a file whose name ends with .csv"),
        (["--csv", "t.csv", "--python", "f.py"], "choose one"),
        (["--label", "x"], "--label names a column of --csv"),
        (["--python", "none.py"], "none.py: No such file"),
        (["--python", "f.py:scor"], "no function 'scor'\nDid you mean 'score'?"),
        (["--python", "broken.py"], "broken.py:1: no Python"),
        (["--python", "f"], "--python takes file.py or file.py:function"),
        (["--command", "python 'x"], "--command: No closing quotation"),
        (["--command", ""], "--command: it is empty"),
        (["--command", "python -u nope.py"], "--command: there is no file nope.py in "),
    ],
)
def test_what_cannot_be_begun_is_a_sentence_and_nothing_is_written(
    answer: Command, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "there.yaml").write_text("mine\n")
    (tmp_path / "t.csv").write_text("x,label\n1,a\n2,b\n")
    (tmp_path / "one.csv").write_text("label\na\nb\n")
    (tmp_path / "bare.csv").write_text("1.5,2,a\n1.25,3,b\n2.5,4,a\n3.5,4,b\n")
    (tmp_path / "comma.csv").write_text("x;label\n1,5;a\n2,5;b\n1,0;a\n2,25;b\n")
    (tmp_path / "tabs.tsv").write_text("x\tlabel\n1\ta\n2\tb\n")
    (tmp_path / "f.py").write_text("def score(x): return x\n")
    (tmp_path / "broken.py").write_text("def (:\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    done = answer("init", *arguments)
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_the_written_config_begins_a_first_hour(command: Command, tmp_path: Path) -> None:
    """The commands that init names, by the real command."""
    assert command("init", "first.yaml").returncode == 0
    done: subprocess.CompletedProcess[str] = command("preview", "first.yaml")
    assert done.returncode == 0, done.stderr
