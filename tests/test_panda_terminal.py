"""`hpsearch panda` in a terminal of 80 x 24, driven by keys and looked at."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from conftest import Command
from hpsearch.store import RunFolder
from hpsearch.story import Story
from terminal import PATIENCE, Terminal, terminal

CONFIG = """\
objective: {trainer: mlp, epochs: 20}
data: {source: moons}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1}
  hidden_units: 6
"""
ENDLESS = CONFIG.replace("epochs: 20", "epochs: 1000000").replace("moons", "digits")
ASKED = "What do you want to change?"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "my.yaml").write_text(CONFIG)
    (tmp_path / "endless.yaml").write_text(ENDLESS)
    return tmp_path


def say(screen: Terminal, line: str, answer: str) -> list[str]:
    """Type a line, and return the screen that has the answer."""
    screen.press(f"{line}\n")
    return screen.until(lambda text: answer in " ".join(text.split()))


def story(folder: Path) -> Story:
    return Story(RunFolder(folder).acts())


def test_an_afternoon_at_the_terminal(here: Path, answer: Command) -> None:
    with terminal("panda", "my.yaml", folder=here) as screen:
        lines = screen.until(lambda text: "Enter trains 5 epochs" in text)
        assert lines[0] == "my-panda  epoch 0 of 20"
        assert lines[2].startswith("learning_rate 0.01  batch_size 32  momentum 0.9  beta2 0.999")
        lines = say(screen, "", ASKED)
        assert lines[0] == "my-panda  epoch 5 of 20"
        assert re.match(r"dev_error 0\.\d{4}  best 0\.\d{4} at epoch \d  train_error", lines[1])
        assert lines[3] == "● dev_error   · train_error"
        assert sum(line.count("●") for line in lines[4:-4]) == 5
        assert re.fullmatch(r" +1 +5 +10 +15 +20", lines[-3])
        assert lines[-1] == "> " or lines[-1] == ">"

        say(screen, "learnin_rate 0.1", "Did you mean 'learning_rate'?")
        say(screen, "layers 3", "layers cannot change while the network trains")
        say(screen, "back 40", "there is no epoch 40 to go back to")
        lines = say(screen, "learning_rate *2", "learning_rate 0.02: from epoch 6 on.")
        assert lines[2].startswith("learning_rate 0.02")
        assert "at 5: learning_rate *2 (learning_rate 0.02)" in lines
        assert any(re.fullmatch(r" +\| +\^", line) for line in lines)
        lines = say(screen, "", ASKED)
        assert lines[0] == "my-panda  epoch 10 of 20"
        lines = say(screen, "back 7", "from epoch 8 on.")
        assert lines[0] == "my-panda  epoch 7 of 20  branch 2 of 2"
        assert "× dev_error of other branches" in lines[3]
        lines = say(screen, "help", "switch BRANCH")
        assert all(len(line) < 80 for line in lines)
        say(screen, "", "from epoch 8 on.")
        say(screen, "note that was wrong", "Noted.")
        say(screen, "day 2", "A day has 2 epochs now.")
        lines = say(screen, "", ASKED)
        assert lines[0] == "my-panda  epoch 9 of 20  branch 2 of 2"
        screen.press("quit\n")
        assert screen.end() == 0
        text = "\n".join(screen.lines)
        assert "hpsearch panda my-panda" in text
        assert "Traceback" not in text
    with terminal("panda", "my-panda", folder=here) as screen:
        lines = screen.until(lambda text: "epoch 9 of 20" in text and ">" in text)
        assert "at 7: note that was wrong" in lines
        screen.press("stop early\n")
        assert screen.end() == 0
    found = story(here / "runs/my-panda")
    assert [told.text for told in found.acts] == [
        *("learning_rate *2", "back 7", "note that was wrong", "stop early"),
    ]
    assert answer("panda", "--replay", "my-panda", "-q").returncode == 0


def test_a_key_pauses_after_the_present_epoch_and_begins_the_line(here: Path) -> None:
    with terminal("panda", "endless.yaml", "--day", "1000000", folder=here) as screen:
        screen.until(lambda text: "Enter trains" in text)
        screen.press("\n")
        screen.until(lambda text: re.search(r"epoch [1-9].* training", text) is not None)
        screen.press("m")
        screen.until(lambda text: ASKED in text and "> m" in text)
        first = story(here / "runs/endless-panda").epoch
        say(screen, "omentum 0.8", f"momentum 0.8: from epoch {first + 1} on.")
        screen.press("\x7f\x1b[Ax\x15quit\n")
        assert screen.end() == 0
    assert story(here / "runs/endless-panda").epoch == first


def test_closing_the_terminal_loses_nothing(here: Path, answer: Command) -> None:
    with terminal("panda", "endless.yaml", "--day", "1000000", folder=here) as screen:
        screen.until(lambda text: "Enter trains" in text)
        say(screen, "learning_rate 0.02", "from epoch 1 on.")
        screen.press("\n")
        screen.until(lambda text: re.search(r"epoch [1-9]\d", text) is not None)
        spare = os.open(os.devnull, os.O_RDONLY)
        os.dup2(spare, screen.descriptor)  # the terminal's other side is closed
        os.close(spare)
        assert screen.process.wait(PATIENCE) == 129
    before = story(here / "runs/endless-panda")
    assert before.epoch >= 10
    assert before.value("learning_rate") == 0.02
    with terminal("panda", "endless-panda", folder=here) as screen:
        screen.until(lambda text: f"epoch {before.epoch} of" in text)
        say(screen, "", ASKED)
        screen.press("stop early\n")
        assert screen.end() == 0
    assert story(here / "runs/endless-panda").path()[: before.epoch] == before.path()
    assert answer("panda", "--replay", "endless-panda", "-q").returncode == 0


def test_ctrl_c_leaves_while_it_trains(here: Path) -> None:
    with terminal("panda", "endless.yaml", "--day", "1000000", folder=here) as screen:
        screen.until(lambda text: "Enter trains" in text)
        screen.press("\n")
        screen.until(lambda text: "training" in text)
        screen.press("\x03")
        assert screen.end() == 130
        assert "Traceback" not in "\n".join(screen.lines)


@pytest.mark.parametrize(("columns", "rows"), [(40, 10), (20, 4), (160, 50)])
def test_any_terminal_is_enough(here: Path, columns: int, rows: int) -> None:
    with terminal("panda", "my.yaml", folder=here, columns=columns, rows=rows) as screen:
        screen.until(lambda text: "epoch 0" in text)
        screen.press("\nlearning_rate *3\n\n")
        lines = screen.until(lambda text: "epoch 10" in text)
        assert lines[0].startswith("my-panda  epoch 10"[:columns])
        screen.press("quit\n")
        assert screen.end() == 0
        assert "Traceback" not in "\n".join(screen.lines)


def test_letters_of_two_columns_and_long_lines_leave_the_screen_whole(here: Path) -> None:
    with terminal("panda", "my.yaml", folder=here) as screen:
        screen.until(lambda text: "Enter trains" in text)
        screen.press("note " + "熊猫" * 30)
        lines = screen.until(lambda text: text.count("熊") > 15)
        assert lines[0] == "my-panda  epoch 0 of 20"
        assert lines[-1].startswith("猫") or lines[-1].startswith("熊")
        lines = say(screen, "", "Noted.")
        assert lines[0] == "my-panda  epoch 0 of 20"
        assert [line for line in lines if line.startswith("at 0: note 熊")]
        lines = say(screen, "frobnicate", "'frobnicate' is no act")
        assert lines[0] == "my-panda  epoch 0 of 20"
        assert lines[-2].endswith(" ...") or "epochs" in lines[-2]
        screen.press("quit\n")
        assert screen.end() == 0
    text = "note " + "熊猫" * 30
    assert [told.text for told in story(here / "runs/my-panda").acts] == [text]


def test_a_terminal_without_dots_gets_plain_letters(here: Path) -> None:
    encoding = {"PYTHONIOENCODING": "ascii:backslashreplace"}
    with terminal("panda", "my.yaml", folder=here, **encoding) as screen:  # type: ignore[arg-type]
        screen.until(lambda text: "Enter trains" in text)
        lines = say(screen, "", ASKED)
        assert lines[3] == "* dev_error   . train_error"
        assert all(map(str.isascii, lines))
        screen.press("quit\n")
        assert screen.end() == 0


def test_a_training_that_diverged_asks_for_an_earlier_epoch(here: Path) -> None:
    with terminal("panda", "my.yaml", folder=here) as screen:
        screen.until(lambda text: "Enter trains" in text)
        say(screen, "", ASKED)
        say(screen, "learning_rate 1e30", "from epoch 6 on")
        say(screen, "", "The training diverged.")
        say(screen, "", "The training diverged.")
        say(screen, "back 5", "from epoch 6 on")
        lines = say(screen, "", ASKED)
        assert lines[0] == "my-panda  epoch 10 of 20  branch 2 of 2"
        screen.press("quit\n")
        assert screen.end() == 0


def test_what_the_users_code_prints_or_raises_leaves_the_screen_whole(here: Path) -> None:
    (here / "train.py").write_text(
        "def train(rate):\n"
        "    for epoch in range(100):\n"
        "        print('NOISE', flush=True)\n"
        "        changes = yield {'cost': 1 / (epoch + rate)}\n"
        "        if changes:\n"
        "            raise RuntimeError('no change, please')\n"
    )
    (here / "own.yaml").write_text(
        "metric: {name: cost, goal: minimize}\nobjective: {python: 'train.py:train'}\n"
        "parameters: {rate: {min: 0.1, max: 1}}\n"
    )
    with terminal("panda", "own.yaml", folder=here) as screen:
        screen.until(lambda text: "Enter trains" in text)
        lines = say(screen, "", ASKED)
        assert lines[0] == "own-panda  epoch 5"
        say(screen, "rate 0.5", "from epoch 6 on")
        failed = "The training failed after epoch 5: RuntimeError: no change, please. Enter tries"
        lines = say(screen, "", failed)
        assert "NOISE" not in "\n".join(lines)
        say(screen, "back 5", "from epoch 6 on")
        lines = say(screen, "", ASKED)
        assert lines[0] == "own-panda  epoch 10  branch 2 of 2"
        screen.press("quit\n")
        assert screen.end() == 0
    assert "NOISE" in (here / "runs/own-panda/trials/0000/log.txt").read_text()


def test_ctrl_c_in_a_function_that_hangs_comes_back_to_the_prompt(
    here: Path, answer: Command
) -> None:
    (here / "train.py").write_text(
        "import os, signal, time\n"
        "def train(rate):\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    for epoch in range(100):\n"
        "        while epoch == 3 and not os.path.exists('go'):\n"
        "            time.sleep(0.01)\n"
        "        changes = yield {'cost': 1 / (epoch + rate)}\n"
        "        rate = (changes or {}).get('rate', rate)\n"
    )
    (here / "own.yaml").write_text(
        "metric: {name: cost, goal: minimize}\nobjective: {python: 'train.py:train'}\n"
        "parameters: {rate: {min: 0.1, max: 1}}\n"
    )
    with terminal("panda", "own.yaml", folder=here) as screen:
        screen.until(lambda text: "Enter trains" in text)
        screen.press("\n")
        screen.until(lambda text: "epoch 3 " in text)
        screen.press("quit\n")
        screen.until(lambda text: "Ctrl-C ends it now." in text)
        screen.press("\x03")
        screen.until(lambda text: "Epoch 4 was interrupted. Enter tries again" in text)
        say(screen, "rate 0.5", "rate 0.5: from epoch 4 on.")
        (here / "go").touch()
        lines = say(screen, "", ASKED)
        assert lines[0] == "own-panda  epoch 8"
        (here / "go").unlink()
        say(screen, "back 2", "from epoch 3 on.")
        screen.press("\n")
        screen.until(lambda text: re.search(r"epoch 3 .*training", text) is not None)
        screen.press("\x03")
        screen.until(lambda text: "Epoch 4 was interrupted." in text)
        screen.press("\x03")
        assert screen.end() == 130
        assert "Traceback" not in "\n".join(screen.lines)
    (here / "go").touch()
    assert [told.text for told in story(here / "runs/own-panda").acts] == ["rate 0.5", "back 2"]
    assert answer("panda", "--replay", "own-panda", "-q").returncode == 0
