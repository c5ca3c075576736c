"""Every example and every command on the page about one's own code does what it says."""

from __future__ import annotations

import csv
import importlib.util
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Command

FOLDERS = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
NEEDS = {
    "gradient_tape": ["tensorflow"],
    "jax_regression": ["jax"],
    "keras_network": ["keras", "tensorflow|jax|torch"],
    "lightgbm_regression": ["lightgbm"],
    "pytorch_network": ["torch"],
    "sklearn_classifier": ["sklearn"],
}
"""The modules that an example imports; a | b: either will do."""
SENSIBLE = {
    "command_line_program": (0.09, 0.25),  # the noise is 0.1
    "gradient_tape": (0, 0.01),  # w within 0.1 of 5
    "jax_regression": (0.005, 0.03),  # the noise is 0.1, squared
    "keras_network": (0.9, 1),
    "lightgbm_regression": (1, 2),  # the noise is 1
    "pytorch_network": (0, 0.1),
    "shell_script": (0.95, 1),
    "sklearn_classifier": (0.96, 1),
}
"""Between which bounds the best score of an example lies."""
PAGE = (ROOT / "docs" / "objectives.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def skip_without(modules: list[str]) -> None:
    """Skip unless the modules are installed; none is imported, for that takes seconds."""
    for either in modules:
        if not any(importlib.util.find_spec(name) for name in either.split("|")):
            pytest.skip(f"{either} is not installed")


def copied(folder: Path, to: Path) -> str:
    """Copy an example without what an earlier run left; return the command that it names."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(folder, to / "examples" / folder.name, ignore=ignored)
    third = config_of(folder).read_text(encoding="utf-8").splitlines()[2]
    return third.removeprefix("# Run it with: ")


def config_of(folder: Path) -> Path:
    (config,) = folder.glob("*.yaml")
    return config


def trials(table: Path) -> list[dict[str, str]]:
    """Return the rows of a trials.csv."""
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def marked(folder: Path) -> Any:
    """An example, with a mark when it needs what hpsearch itself does not."""
    marks = [pytest.mark.frameworks] if folder.name in NEEDS else []
    return pytest.param(folder, marks=marks, id=folder.name)


@pytest.mark.parametrize("folder", [marked(folder) for folder in FOLDERS])
def test_every_example_finds_a_sensible_setting(
    command: Command, tmp_path: Path, folder: Path
) -> None:
    skip_without(NEEDS.get(folder.name, []))
    program, *arguments = shlex.split(copied(folder, tmp_path))
    assert program == "hpsearch"
    # A library's warnings in its own code are not ours to mend.
    done = command(*arguments, PYTHONWARNINGS="default")
    assert done.returncode == 0, done.stderr
    rows = trials(tmp_path / "runs" / folder.name / "trials.csv")
    scores = [float(row["score"]) for row in rows if row["status"] == "complete"]
    assert scores, [row["status"] for row in rows]
    (goal,) = re.findall(r"goal: (\w+)", config_of(folder).read_text(encoding="utf-8"))
    low, high = SENSIBLE[folder.name]
    assert low <= (min if goal == "minimize" else max)(scores) <= high


@pytest.mark.frameworks
def test_the_gradient_tape_takes_the_steps_that_are_known(command: Command, tmp_path: Path) -> None:
    skip_without(NEEDS["gradient_tape"])
    copied(ROOT / "examples" / "gradient_tape", tmp_path)
    for steps, w in [(1, 0.1), (1000, 4.99999)]:
        (tmp_path / "examples" / "gradient_tape" / f"steps-{steps}.yaml").write_text(
            "metric: {name: cost, goal: minimize}\n"
            f"objective: {{python: descent.py:descend, epochs: {steps}}}\n"
            "parameters: {learning_rate: 0.01}\n"
            "budget: {trials: 1}\n"
        )
        config = f"examples/gradient_tape/steps-{steps}.yaml"
        done = command("run", config, PYTHONWARNINGS="default")
        assert done.returncode == 0, done.stderr
        (row,) = trials(tmp_path / "runs" / f"steps-{steps}" / "trials.csv")
        assert float(row["w"]) == pytest.approx(w, abs=5e-6)  # single precision


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_example_says_what_it_is_and_how_to_run_it(folder: Path) -> None:
    config = config_of(folder)
    lines = config.read_text(encoding="utf-8").splitlines()
    assert all(line.startswith("# ") for line in lines[:3])
    assert lines[2] == f"# Run it with: hpsearch run {config.relative_to(ROOT).as_posix()}"
    assert not lines[3].startswith("#")


def test_the_examples_are_all_in_their_readme_and_nothing_else_is() -> None:
    readme = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| \[(\w+)\]\(\1\)", readme, re.MULTILINE)) == [
        folder.name for folder in FOLDERS
    ]


def test_no_example_imports_hpsearch() -> None:
    for path in (ROOT / "examples").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) hpsearch", path.read_text(), re.MULTILINE)


def test_the_links_of_the_examples_lead_somewhere() -> None:
    readme = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        assert (ROOT / "examples" / target).exists(), target


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Return a folder with every file that the page shows: a block under a line with its name."""
    files = re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len({name for name, _ in files}) == len(files) > 5
    for name, text in files:
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_best_setting_of_the_page_repeats(command: Command, page: Path) -> None:
    assert command("run", "train.yaml").returncode == 0
    best = min(float(row["score"]) for row in trials(page / "runs" / "train" / "trials.csv"))
    assert command("run", "runs/train/best.yaml").returncode == 0
    (row,) = trials(page / "runs" / "train-best" / "trials.csv")
    assert float(row["score"]) == best


def test_the_limits_on_the_page_are_valid(command: Command, page: Path) -> None:
    (limits,) = [block for kind, block in BLOCKS if kind == "yaml" and block.startswith("trial:")]
    smallest = (page / "smallest.yaml").read_text().replace("budget:", "# budget:")
    (page / "limits.yaml").write_text(smallest + limits)
    done = command("preview", "limits.yaml")
    assert done.returncode == 0, done.stderr
    assert "100 trials" in done.stdout
