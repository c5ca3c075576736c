"""`hpsearch panda`: acts from a script, gone on with, repeated, and written as a config."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Command
from hpsearch.nn.changes import CHANGEABLE
from hpsearch.store import ACTS, RunFolder
from hpsearch.story import Story

CONFIG = """\
objective: {trainer: mlp, epochs: 12}
data: {source: moons}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1}
  hidden_units: {type: int, min: 4, max: 8}
"""
SCRIPT = """\
# a nudge, and a wrong one
at 3: learning_rate *2
at 5: momentum 0.99   # too much
at 7: back 5
at 5: batch_size 16
at 5: keep_prob 0.9
at 8: note better # than before
at 8: fork
at 8: learning_rate 0.003
at 10: stop early
"""
STRAIGHT = "at 3: learning_rate *2\nat 5: beta2 0.99\nat 9: stop early\n"

FUNCTION = """\
def train(rate, seed, budget, size=3):
    import random
    draw, w = random.Random(seed), 0.0
    for epoch in range(budget):
        w -= rate * (2 * w - 10) + draw.gauss(0, 0.001)
        changes = yield {"cost": (w - 5) ** 2, "rate": rate}
        if changes:
            if changes.get("size") == 99:
                raise ValueError("size 99 is too much")
            rate = changes.get("rate", rate)
"""
FUNCTION_CONFIG = """\
metric: {name: cost, goal: minimize}
objective: {python: "train.py:train", epochs: 12}
parameters:
  rate: {scale: log, min: 1e-3, max: 1e-1}
  size: 3
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "my.yaml").write_text(CONFIG)
    (tmp_path / "acts.txt").write_text(SCRIPT)
    (tmp_path / "straight.txt").write_text(STRAIGHT)
    (tmp_path / "train.py").write_text(FUNCTION)
    (tmp_path / "own.yaml").write_text(FUNCTION_CONFIG)
    return tmp_path


def played(answer: Command, config: str = "my.yaml", script: str = "acts.txt", *more: str) -> Any:
    done = answer("panda", config, "--script", script, "-q", *more)
    assert done.returncode == 0, done.stderr
    return done


def events(folder: Path) -> list[dict[str, Any]]:
    """The record without its seconds, which alone may differ."""
    found = RunFolder(folder).acts()
    return [{name: value for name, value in each.items() if name != "seconds"} for each in found]


def story(folder: Path) -> Story:
    return Story(RunFolder(folder).acts())


def sealed(event: dict[str, Any]) -> bytes:
    body = json.dumps(event, separators=(",", ":")).encode()
    return b'%s,"checksum":"%08x"}\n' % (body[:-1], zlib.crc32(body[:-1]))


# Playing a script


def test_a_script_is_recorded_act_by_act_with_the_branches(answer: Command, here: Path) -> None:
    played(answer)
    found = story(here / "runs/my-panda")
    assert [(told.branch, told.epoch, told.text) for told in found.acts] == [
        (1, 3, "learning_rate *2"),
        (1, 5, "momentum 0.99"),
        (1, 7, "back 5"),
        (2, 5, "batch_size 16"),
        (2, 5, "keep_prob 0.9"),
        (2, 8, "note better # than before"),
        (2, 8, "fork"),
        (3, 8, "learning_rate 0.003"),
        (3, 10, "stop early"),
    ]
    assert [(b.kind, b.parent, b.start, b.epochs, b.left) for b in found.branches] == [
        ("begin", None, 0, 7, True),
        ("back", 1, 5, 8, False),
        ("fork", 2, 8, 10, False),
    ]
    assert found.params == {"learning_rate": 0.01, "hidden_units": 6}
    assert found.finished
    assert found.acts[0].result == "learning_rate 0.02"


def test_the_same_script_gives_the_same_bits(answer: Command, here: Path) -> None:
    played(answer)
    played(answer, "my.yaml", "acts.txt", "--name", "again", "--day", "1")
    assert events(here / "runs/again") == events(here / "runs/my-panda")


def test_a_nudge_keeps_the_optimizers_memory(answer: Command, here: Path) -> None:
    """A new optimizer after each act would come to other figures."""
    (here / "note.txt").write_text("at 3: note nothing\nat 5: learning_rate *1\n")
    (here / "none.txt").write_text("at 12: note end\n")
    played(answer, "my.yaml", "note.txt", "--name", "noted")
    played(answer, "my.yaml", "none.txt", "--name", "plain")
    assert story(here / "runs/noted").path() == story(here / "runs/plain").path()


def test_a_run_goes_on_from_every_line_of_its_record(answer: Command, here: Path) -> None:
    """What is on disk after a kill is a whole number of lines, and perhaps a torn one."""
    played(answer)
    folder = here / "runs/my-panda"
    expected, lines = events(folder), (folder / ACTS).read_bytes().splitlines(keepends=True)
    kept = here / "kept"
    shutil.copytree(folder, kept)
    for count in range(0, len(lines), 3):
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        torn = lines[count][: len(lines[count]) // 2]
        (folder / ACTS).write_bytes(b"".join(lines[:count]) + torn)
        played(answer)
        assert events(folder) == expected


def test_without_its_snapshots_a_run_trains_the_same_epochs_again(
    answer: Command, here: Path
) -> None:
    played(answer)
    folder = here / "runs/my-panda"
    expected, lines = events(folder), (folder / ACTS).read_bytes().splitlines(keepends=True)
    (folder / ACTS).write_bytes(b"".join(lines[:14]))
    snapshots = sorted((folder / "snapshots").iterdir())
    assert snapshots
    snapshots[0].write_bytes(b"damaged")
    for path in snapshots[1:]:
        path.unlink()
    played(answer)
    assert events(folder) == expected


def test_a_killed_command_loses_nothing(here: Path, answer: Command) -> None:
    played(answer, "my.yaml", "acts.txt", "--name", "whole")
    slow = CONFIG.replace("moons", "digits").replace("epochs: 12", "epochs: 400")
    (here / "slow.yaml").write_text(slow)
    (here / "slow.txt").write_text("at 3: learning_rate *2\nat 400: note end\n")
    command = [sys.executable, "-m", "hpsearch", "panda", "slow.yaml", "--script", "slow.txt", "-q"]
    record = here / "runs/slow-panda" / ACTS
    with subprocess.Popen(command, cwd=here) as process:
        while not record.is_file() or record.read_bytes().count(b"\n") < 20:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    before = story(here / "runs/slow-panda").path()
    assert 10 < len(before) < 400
    (here / "slow.txt").write_text(f"at 3: learning_rate *2\nat {len(before) + 2}: stop early\n")
    played(answer, "slow.yaml", "slow.txt")
    assert story(here / "runs/slow-panda").path()[: len(before)] == before
    assert answer("panda", "--replay", "slow-panda", "-q").returncode == 0


def test_two_commands_cannot_train_one_run(answer: Command, here: Path) -> None:
    played(answer)
    with RunFolder(here / "runs/my-panda").claim_acts():
        done = answer("panda", "my.yaml", "--script", "acts.txt")
    assert done.returncode == 2
    assert "is being written by" in done.stderr


# Repeating it


def test_a_replay_compares_every_figure_and_writes_nothing(answer: Command, here: Path) -> None:
    played(answer)
    before = {path: path.read_bytes() for path in (here / "runs").rglob("*") if path.is_file()}
    done = answer("panda", "--replay", "my-panda")
    assert done.returncode == 0, done.stderr
    assert "Replayed 12 epochs in 3 branches with 9 acts: every figure is the same" in done.stdout
    after = {path: path.read_bytes() for path in (here / "runs").rglob("*") if path.is_file()}
    assert after == before


def test_a_replay_finds_the_last_bit_of_a_figure_that_does_not_repeat(
    answer: Command, here: Path
) -> None:
    import math

    played(answer)
    folder = RunFolder(here / "runs/my-panda")
    lines = folder.acts()
    figures = lines[6]["metrics"]
    figures["dev_loss"] = math.nextafter(figures["dev_loss"], 1)
    record = folder.path / ACTS
    record.write_bytes(b"".join(sealed({"format": 1, **each}) for each in lines))
    done = answer("panda", "--replay", "my-panda", "-q")
    assert done.returncode == 3
    assert "does not repeat: dev_loss is " in done.stderr


def test_a_run_whose_data_changed_is_neither_repeated_nor_gone_on_with(
    answer: Command, here: Path
) -> None:
    rows = [f"{i % 7},{i % 5},{'ab'[i % 3 == 0]}" for i in range(60)]
    (here / "data.csv").write_text("\n".join(["x,y,label", *rows]) + "\n")
    config = CONFIG.replace("source: moons", "source: data.csv, label: label")
    (here / "my.yaml").write_text(config)
    (here / "short.txt").write_text("at 2: learning_rate 0.1\nat 4: quit\n")
    played(answer, "my.yaml", "short.txt")
    (here / "data.csv").write_text("\n".join(["x,y,label", *rows[::-1]]) + "\n")
    done = answer("panda", "--replay", "my-panda")
    assert done.returncode == 2
    assert "data.csv changed since the run my-panda began, so it cannot be repeated" in done.stderr
    before = (here / "runs/my-panda" / ACTS).read_bytes()
    again = answer("panda", "my-panda", "--script", "acts.txt")
    assert again.returncode == 2
    assert "the data file has changed since the run began" in again.stderr
    assert (here / "runs/my-panda" / ACTS).read_bytes() == before


def test_a_damaged_line_of_the_record_is_named(answer: Command, here: Path) -> None:
    played(answer)
    record = here / "runs/my-panda" / ACTS
    record.write_bytes(record.read_bytes().replace(b'"epoch":4', b'"epoch":5', 1))
    done = answer("panda", "--replay", "my-panda")
    assert done.returncode == 3
    assert f"{record.relative_to(here)}:6: this line of the record is damaged" in done.stderr


# As a config


@pytest.mark.parametrize("script", ["straight.txt", "acts.txt"])
def test_the_written_config_trains_the_same_model_to_the_last_bit(
    answer: Command, here: Path, script: str
) -> None:
    played(answer, "my.yaml", script)
    assert answer("panda", "my-panda", "--write", "schedule.yaml", "-q").returncode == 0
    assert answer("run", "schedule.yaml", "-q", "-j", "1").returncode == 0
    (result,) = RunFolder(here / "runs/schedule").results()
    found = story(here / "runs/my-panda")
    assert [*result.curve["dev_loss"]] == found.curve(metric="dev_loss")
    assert result.metrics == found.path()[-1]
    assert result.budget == result.epochs == found.epoch
    evaluated = answer("evaluate", "schedule", "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    dev = json.loads(evaluated.stdout)["dev"]
    assert dev["loss"] == found.path()[-1]["dev_loss"]


def test_a_model_that_is_still_in_training_is_written_as_far_as_it_came(
    answer: Command, here: Path
) -> None:
    (here / "short.txt").write_text("at 2: learning_rate 0.1\nat 4: momentum 0.8\nat 4: quit\n")
    (here / "my.yaml").write_text(CONFIG.replace("epochs: 12", "epochs: 12, decay: cosine"))
    played(answer, "my.yaml", "short.txt")
    assert answer("panda", "my-panda", "-w", "part.yaml", "-q").returncode == 0
    text = (here / "part.yaml").read_text()
    assert "changes: [{after: 2, learning_rate: 0.1}, {after: 4, epochs: 4}]" in text
    assert answer("run", "part.yaml", "-q").returncode == 0
    (result,) = RunFolder(here / "runs/part").results()
    assert result.metrics == story(here / "runs/my-panda").path()[-1]


def test_a_written_config_never_replaces_a_file(answer: Command, here: Path) -> None:
    played(answer)
    done = answer("panda", "my-panda", "--write", "my.yaml")
    assert done.returncode == 2
    assert "my.yaml exists already" in done.stderr
    assert (here / "my.yaml").read_text() == CONFIG


def test_early_stopping_is_left_to_who_watches(answer: Command, here: Path) -> None:
    searched = "  early_stopping: {type: int, min: 1, max: 2}\n"
    for extra, objective in (("", "epochs: 12, early_stopping: 1"), (searched, "epochs: 12")):
        (here / "my.yaml").write_text(CONFIG.replace("epochs: 12", objective) + extra)
        name = f"run-{len(extra)}"
        played(answer, "my.yaml", "straight.txt", "--name", name)
        found = story(here / "runs" / name)
        assert found.epoch == 9
        assert answer("panda", name, "--write", f"{name}.yaml", "-q").returncode == 0
        assert answer("run", f"{name}.yaml", "-q", "--name", f"{name}-again").returncode == 0
        (result,) = RunFolder(here / f"runs/{name}-again").results()
        assert result.metrics == found.path()[-1]


def test_a_setting_with_lists_and_conditions_is_written_as_it_was_trained(
    answer: Command, here: Path
) -> None:
    (here / "deep.yaml").write_text(
        "objective: {trainer: mlp, epochs: 6}\ndata: {source: moons}\nparameters:\n"
        "  layers: {type: int, min: 1, max: 3}\n"
        "  hidden_units: {type: int, min: 4, max: 8, repeat: layers}\n"
        "  optimizer: {values: [adam, momentum]}\n"
        "  beta2: {scale: one_minus_log, min: 0.9, max: 0.999, when: {optimizer: adam}}\n"
    )
    (here / "deep.txt").write_text("at 2: keep_prob [0.9, 0.8]\nat 4: back 0\nat 0: l2 0.1\n")
    played(answer, "deep.yaml", "deep.txt", "--set", "optimizer=adam")
    found = story(here / "runs/deep-panda")
    assert found.params["hidden_units"] == (6, 6)
    assert found.params["beta2"] == pytest.approx(0.99)
    assert answer("panda", "--replay", "deep-panda", "-q").returncode == 0
    for act in ("back 0", "switch 1"):
        if act == "switch 1":
            (here / "deep.txt").write_text((here / "deep.txt").read_text() + f"at 6: {act}\n")
            played(answer, "deep.yaml", "deep.txt")
        assert answer("panda", "deep-panda", "-w", f"{act[:4]}.yaml", "-q").returncode == 0
        assert answer("run", f"{act[:4]}.yaml", "-q").returncode == 0
        (result,) = RunFolder(here / f"runs/{act[:4]}").results()
        assert result.metrics == story(here / "runs/deep-panda").path()[-1]


# What it begins with


def test_what_is_given_goes_before_the_best_of_a_run_and_that_before_the_middle(
    answer: Command, here: Path
) -> None:
    text = CONFIG + "  momentum: {scale: one_minus_log, min: 0.9, max: 0.999}\n"
    (here / "more.yaml").write_text(text)
    (here / "search.yaml").write_text(CONFIG + "budget: {trials: 3}\n")
    assert answer("run", "search.yaml", "-q").returncode == 0
    (here / "none.txt").write_text("at 1: quit\n")
    arguments = ("--from", "search", "--set", "hidden_units=5")
    done = answer("panda", "more.yaml", "--script", "none.txt", *arguments)
    assert done.returncode == 0, done.stderr
    best = min(RunFolder(here / "runs/search").results(), key=lambda r: (r.score, r.trial))
    found = story(here / "runs/more-panda")
    assert found.params["learning_rate"] == best.params["learning_rate"]
    assert found.params["hidden_units"] == 5
    assert found.params["momentum"] == pytest.approx(0.99)
    assert found.seed == best.seed
    assert "hidden_units: 5 (--set)" in done.stderr
    assert f"(trial {best.trial} of search)" in done.stderr
    assert "momentum: 0.99 (the middle of its scale)" in done.stderr


def test_the_best_of_a_run_trains_by_hand_as_it_did_in_the_search(
    answer: Command, here: Path
) -> None:
    (here / "search.yaml").write_text(CONFIG + "budget: {trials: 2}\n")
    assert answer("run", "search.yaml", "-q").returncode == 0
    (here / "none.txt").write_text("at 12: note end\n")
    played(answer, "my.yaml", "none.txt", "--from", "search")
    best = min(RunFolder(here / "runs/search").results(), key=lambda r: (r.score, r.trial))
    assert story(here / "runs/my-panda").curve() == best.curve["dev_error"]


# Mistakes


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("learnin_rate 0.1", "Did you mean 'learning_rate'?"),
        ("frok", "Did you mean 'fork'?"),
        ("learning_rate", "learning_rate needs a value: learning_rate 0.01"),
        ("learning_rate -1", "learning_rate must be a number above 0, found -1"),
        ("learning_rate fast", "learning_rate must be a number above 0, found 'fast'"),
        ("learning_rate *fast", "'*fast' is no factor"),
        ("learning_rate /0", "'/0' is no factor"),
        ("learning_rate [1", "learning_rate cannot be '[1': not valid YAML"),
        ("momentum 1", "momentum must be a number at least 0 and below 1, found 1"),
        ("batch_size 2.5", "batch_size must be a whole number"),
        ("batch_size 100000", "but the training set has"),
        ("keep_prob [0.5, 0.5]", "keep_prob lists 2 layers"),
        ("decay *2", "decay is none, so it cannot be multiplied"),
        ("decay_rate 0.5", "decay_rate would change nothing: decay is none"),
        ("shift 1", "shift changes images, and these data are none"),
        ("layers 3", "layers cannot change while the network trains: it decides the shape"),
        ("optimizer momentum", "each keeps another memory"),
        ("epochs 2", "epoch 2 is trained already"),
        ("back", "back needs an epoch: back 12"),
        ("back 3", "there is no epoch 3 to go back to: this branch has 2 epochs"),
        ("back -1", "back needs an epoch"),
        ("switch 2", "there is no branch 2: there is only branch 1"),
        ("note", "note needs a text"),
        ("fork 3", "fork stands alone, and '3' is behind it"),
        ("stop late", "stop early stands alone, and 'late' is behind it"),
        ("quit now", "quit stands alone, and 'now' is behind it"),
    ],
)
def test_an_act_that_cannot_be_is_a_sentence_and_nothing_is_written(
    answer: Command, here: Path, line: str, words: str
) -> None:
    (here / "wrong.txt").write_text(f"at 1: note fine\nat 2: {line}\n")
    done = answer("panda", "my.yaml", "--script", "wrong.txt")
    assert done.returncode == 2
    assert done.stderr.startswith("hpsearch: wrong.txt:2: ")
    assert words in done.stderr
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("learning_rate 0.1\n", "wrong.txt:1: 'learning_rate 0.1' is no act with its epoch"),
        ("at 5: back 2\nat 1: fork\n", "wrong.txt:2: this branch is at epoch 2 by then, beyond 1"),
        ("at 13: fork\n", "wrong.txt:1: the training ends at epoch 12, before 13"),
        ("at 3: stop early\nat 4: fork\n", "wrong.txt:2: the training ends at epoch 3, before 4"),
    ],
)
def test_a_script_that_cannot_be_played_is_refused_before_it_begins(
    answer: Command, here: Path, text: str, words: str
) -> None:
    (here / "wrong.txt").write_text(text)
    done = answer("panda", "my.yaml", "--script", "wrong.txt")
    assert done.returncode == 2
    assert words in done.stderr
    assert not (here / "runs").exists()


def test_a_run_that_went_another_way_does_not_take_the_script(answer: Command, here: Path) -> None:
    played(answer)
    done = answer("panda", "my-panda", "--script", "straight.txt")
    assert done.returncode == 2
    assert "the script has 'beta2 0.99' at 5, and the run has 'momentum 0.99' at 5" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "no run 'nowhere'"),
        (["nowhere.yaml"], "nowhere.yaml"),
        (["my.yaml"], "this is no terminal"),
        (["my.yaml", "--script", "none.txt"], "none.txt: No such file"),
        (["my.yaml", "--script", "acts.txt", "--set", "x=1"], "--set x: the config has no"),
        (["my.yaml", "--script", "acts.txt", "--set", "learning_rate"], "takes NAME=VALUE"),
        (["my.yaml", "--script", "acts.txt", "--set", "layers=x"], "layers must be"),
        (["my.yaml", "--replay"], "--replay needs the name of a run"),
        (["my-panda", "--replay", "--write", "x.yaml"], "choose one"),
        (["my-panda", "--replay", "--set", "layers=2"], "takes RUN alone"),
    ],
)
def test_a_command_that_cannot_be_is_a_sentence(
    answer: Command, here: Path, arguments: list[str], words: str
) -> None:
    done = answer("panda", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (CONFIG.replace("moons", "moons, folds: 3"), "data.folds trains one network for each"),
        (CONFIG.replace("mlp,", "mlp, changes: [{after: 1, l2: 1}],"), "is a schedule already"),
        (
            "metric: {name: a, goal: minimize}\nobjective: {command: 'echo {x}'}\n"
            "parameters: {x: 1}\n",
            "a command cannot be told of a change while it runs",
        ),
        (
            FUNCTION_CONFIG.replace("train.py", "deaf.py"),
            "the function deaf.py:train takes no changes while it trains",
        ),
    ],
)
def test_what_cannot_be_trained_by_hand_is_refused_with_its_place(
    answer: Command, here: Path, config: str, words: str
) -> None:
    (here / "deaf.py").write_text(
        FUNCTION.replace("changes = yield", "yield").split("        if")[0]
    )
    (here / "bad.yaml").write_text(config)
    done = answer("panda", "bad.yaml", "--script", "acts.txt")
    assert done.returncode == 2
    assert done.stderr.startswith("bad.yaml:")
    assert words in done.stderr
    assert not (here / "runs").exists()


def test_searches_and_models_trained_by_hand_do_not_share_a_folder(
    answer: Command, here: Path
) -> None:
    played(answer)
    for command in ("resume", "refine", "evaluate", "best", "retest"):
        done = answer(command, "my-panda")
        assert done.returncode == 2, command
        assert "is one model that was trained by hand, and no search" in done.stderr
    done = answer("run", "my.yaml", "--name", "my-panda")
    assert done.returncode == 2
    assert "holds a model that is trained by hand" in done.stderr
    (here / "search.yaml").write_text(CONFIG + "budget: {trials: 1}\n")
    assert answer("run", "search.yaml", "-q").returncode == 0
    done = answer("panda", "my.yaml", "--script", "acts.txt", "--name", "search")
    assert done.returncode == 2
    assert "holds a search, and no model that is trained by hand" in done.stderr
    assert answer("panda", "search", "--replay").returncode == 2


def test_a_training_that_diverges_waits_for_who_goes_back(answer: Command, here: Path) -> None:
    (here / "wild.txt").write_text("at 2: learning_rate 1e30\n")
    done = answer("panda", "my.yaml", "--script", "wild.txt")
    assert done.returncode == 1
    assert "the training diverged at epoch" in done.stderr
    more = "at 2: learning_rate 1e30\nat 3: back 2\nat 2: learning_rate 0.01\nat 4: stop early\n"
    (here / "wild.txt").write_text(more)
    assert answer("panda", "my.yaml", "--script", "wild.txt").returncode == 0


# The user's own function


def test_a_generator_is_sent_what_changes_and_run_again_to_go_back(
    answer: Command, here: Path
) -> None:
    (here / "own.txt").write_text(
        "at 3: rate *2\nat 5: rate 0.001\nat 6: back 5\nat 5: rate 0.05\nat 9: stop early\n"
    )
    played(answer, "own.yaml", "own.txt")
    found = story(here / "runs/own-panda")
    assert found.curve(metric="rate") == [0.01] * 3 + [0.02] * 2 + [0.05] * 4
    assert found.curve(1, metric="rate") == [0.01] * 3 + [0.02] * 2 + [0.001]
    assert found.curve(1)[:5] == found.curve()[:5]
    assert answer("panda", "--replay", "own-panda", "-q").returncode == 0
    assert answer("panda", "own-panda", "-w", "schedule.yaml", "-q").returncode == 0
    assert answer("run", "schedule.yaml", "-q").returncode == 0
    (result,) = RunFolder(here / "runs/schedule").results()
    assert result.curve["cost"] == found.curve()
    assert result.score == found.curve()[-1]


def test_a_generator_that_raises_at_a_change_loses_nothing(answer: Command, here: Path) -> None:
    (here / "own.txt").write_text("at 3: size 99\n")
    done = answer("panda", "own.yaml", "--script", "own.txt")
    assert done.returncode == 1
    assert "the training failed after epoch 3: ValueError: size 99 is too much" in done.stderr
    (here / "own.txt").write_text("at 3: size 99\nat 3: back 3\nat 3: size 4\nat 5: stop early\n")
    played(answer, "own.yaml", "own.txt")
    assert story(here / "runs/own-panda").epoch == 5


def test_a_generator_that_ends_is_at_its_end(answer: Command, here: Path) -> None:
    (here / "train.py").write_text(FUNCTION.replace("range(budget)", "range(4)"))
    (here / "own.txt").write_text("at 2: rate 0.05\n")
    played(answer, "own.yaml", "own.txt")
    found = story(here / "runs/own-panda")
    assert (found.epoch, found.finished) == (4, True)
    assert answer("panda", "--replay", "own-panda", "-q").returncode == 0


FAULTS = {
    "os._exit(7)": "the training's process ended with exit code 7",
    "sys.exit(7)": "SystemExit: 7",
    "os.kill(os.getpid(), signal.SIGSEGV)": "the training's process was ended by SIGSEGV",
    "hog = bytearray(2 << 30); time.sleep(60)": "out of memory: the training used",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_generator_that_takes_its_process_along_costs_the_epoch_it_is_in(
    answer: Command, here: Path, fault: str
) -> None:
    (here / "train.py").write_text(
        FUNCTION.replace("import random", "import os, random, signal, sys, time").replace(
            "        changes = yield",
            f"        print('at', epoch)\n        if epoch == 4 and not os.path.exists('go'):\n"
            f"            {fault}\n        changes = yield",
        )
    )
    (here / "own.yaml").write_text(FUNCTION_CONFIG + "trial: {memory: 1G}\n")
    (here / "own.txt").write_text("at 2: rate *2\nat 6: stop early\n")
    done = answer("panda", "own.yaml", "--script", "own.txt", "-q")
    assert done.returncode == 1
    assert f"the training failed after epoch 4: {FAULTS[fault]}" in done.stderr
    assert "Traceback" not in done.stderr
    folder = here / "runs/own-panda"
    before = story(folder).path()
    assert len(before) == 4
    assert "at 4" in (folder / "trials/0000/log.txt").read_text()
    (here / "go").touch()
    played(answer, "own.yaml", "own.txt")
    assert story(folder).path()[:4] == before
    assert answer("panda", "--replay", "own-panda", "-q").returncode == 0


def test_a_generator_that_imports_numpy_late_draws_from_it_as_in_a_search(
    answer: Command, here: Path
) -> None:
    (here / "train.py").write_text(
        FUNCTION.replace("import random", "import random, numpy as np").replace(
            "draw.gauss(0, 0.001)", "np.random.normal() / 1000 + random.gauss(0, 0.001)"
        )
    )
    (here / "own.txt").write_text("at 3: rate *2\nat 5: back 4\nat 6: stop early\n")
    played(answer, "own.yaml", "own.txt")
    assert answer("panda", "own-panda", "-w", "schedule.yaml", "-q").returncode == 0
    assert answer("run", "schedule.yaml", "-q").returncode == 0
    (result,) = RunFolder(here / "runs/schedule").results()
    assert result.curve["cost"] == story(here / "runs/own-panda").curve()


def test_a_generators_finally_runs_and_it_has_its_own_folder(answer: Command, here: Path) -> None:
    (here / "train.py").write_text(
        "def train(rate, trial_dir):\n    try:\n        while True:\n"
        "            rate = (yield {'cost': rate} ) or rate\n"
        "    finally:\n        (trial_dir / 'kept.txt').write_text('kept')\n"
    )
    (here / "own.yaml").write_text(FUNCTION_CONFIG.replace("  size: 3\n", ""))
    (here / "own.txt").write_text("at 2: stop early\n")
    played(answer, "own.yaml", "own.txt")
    assert (here / "runs/own-panda/trials/0000/kept.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os\nos._exit(3)\n", "importing train.py:train failed: the training's process"),
        ("import nowhere\n", "importing train.py failed: ModuleNotFoundError"),
        ("x = 1\n", "train.py has no function 'train'"),
    ],
)
def test_a_function_that_cannot_be_imported_leaves_no_run(
    answer: Command, here: Path, code: str, words: str
) -> None:
    (here / "train.py").write_text(code)
    done = answer("panda", "own.yaml", "--script", "acts.txt")
    assert done.returncode == 2
    assert done.stderr.startswith("own.yaml:2:")
    assert words in done.stderr
    assert not (here / "runs").exists()


def test_code_that_changed_is_not_gone_on_with(answer: Command, here: Path) -> None:
    (here / "own.txt").write_text("at 2: rate 0.05\nat 3: quit\n")
    played(answer, "own.yaml", "own.txt")
    (here / "train.py").write_text(FUNCTION.replace("10", "20"))
    for arguments in (["own.yaml", "--script", "own.txt"], ["own-panda", "--replay"]):
        done = answer("panda", *arguments)
        assert done.returncode == 2
        assert "train.py changed since the run own-panda began" in done.stderr


# What is told


def test_the_report_tells_the_story_in_words_and_in_a_picture(answer: Command, here: Path) -> None:
    played(answer)
    told = answer("report", "my-panda")
    assert told.returncode == 0, told.stderr
    lines = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert any(line.startswith("1 at the beginning 7 ") and line.endswith("left") for line in lines)
    assert any(line.startswith("2 back at 5 from 1 8 ") and line.endswith("kept") for line in lines)
    assert any(line.startswith("3 fork at 8 from 2 10 ") for line in lines)
    assert any("learning_rate *2 learning_rate 0.02" in line for line in lines)
    assert answer("report", "my-panda", "--plot", "path", "-o", "path.svg").returncode == 0
    drawn = (here / "path.svg").read_text()
    assert "branches that were left" in drawn
    assert "branches that were kept" not in drawn  # all of its epochs are the model's too
    assert answer("report", "my-panda", "--html", "page.html").returncode == 0
    page = (here / "page.html").read_text()
    assert "The way of the model" in page
    assert "back at 5 from 1" in page
    table = json.loads(answer("report", "my-panda", "--format", "json").stdout)
    assert len(table) == 9
    missing = answer("report", "my-panda", "--plot", "scatter", "-o", "x.svg")
    assert missing.returncode == 2
    assert "has no picture 'scatter'" in missing.stderr


def test_the_list_has_models_that_are_trained_by_hand(answer: Command, here: Path) -> None:
    played(answer)
    (entry,) = json.loads(answer("list", "--json").stdout)
    assert (entry["run"], entry["state"], entry["trials"]) == ("my-panda", "complete", 3)
    assert entry["due"] is None


# The page


def test_every_act_and_key_is_on_the_page() -> None:
    from hpsearch.cli.desk import KEYS
    from hpsearch.panda import ACTS

    page = (ROOT / "docs" / "panda.md").read_text(encoding="utf-8")
    for each in (*ACTS, *KEYS):
        word = each.partition(" ")[0]
        assert word.isupper() or word in ("Enter", "quit", "help") or f"`{word}" in page, word
    for name in CHANGEABLE:
        assert f"`{name}`" in page
