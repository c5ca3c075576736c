from __future__ import annotations

import fcntl
import json
import os
import re
import select
import struct
import subprocess
import sys
import termios
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from conftest import ROOT, TINY, Command
from hpsearch import __version__
from hpsearch.cli import cli
from hpsearch.yamlfile import read_yaml

COMMANDS = [
    *("init", "run", "resume", "refine", "report", "list", "best", "compare"),
    *("panda", "evaluate", "predict", "retest", "export", "preview", "gradcheck", "schema"),
]


def in_terminal(
    folder: Path, *arguments: str, columns: int = 80, stdout: int | None = None, **env: str
) -> tuple[int, str]:
    """Run the real command on a terminal of that width; return its exit code and all it wrote.

    stdout: A descriptor that takes the results instead of the terminal.
    """
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", *arguments],
        cwd=folder,
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        env={**kept, "TERM": "xterm-256color", "PYTHONWARNINGS": "error", **env},
    )
    os.close(theirs)
    seen = b""
    try:
        while True:
            assert select.select([ours], [], [], 60)[0], "the command fell silent"
            try:
                part = os.read(ours, 65536)
            except OSError:  # the terminal is closed: the command has ended
                break
            if not part:
                break
            seen += part
    finally:
        os.close(ours)
        code = process.wait(timeout=60)
    return code, seen.decode().replace("\r\n", "\n")


def after_the_display(seen: str) -> str:
    """Return what stands on the terminal once the live display has wiped itself."""
    return re.split(r"\x1b\[[0-9;?]*[A-Za-z]", seen)[-1].lstrip("\r")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


# Help


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command_with_one_full_line(command: Command, option: str) -> None:
    done = command(option, COLUMNS="80")
    assert done.returncode == 0
    assert done.stderr == ""
    listed = done.stdout.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == COMMANDS
    for line in listed:
        assert line.endswith(".")
        assert "..." not in line
        assert len(line) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_its_options(name: str) -> None:
    outcome = CliRunner().invoke(cli, [name, "--help"], terminal_width=80)
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith(f"Usage: cli {name} ")
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    for option in cli.commands[name].params:
        assert option.param_type_name == "argument" or getattr(option, "help", None), option.name


def test_the_script_and_the_module_are_the_same_command(command: Command) -> None:
    script = Path(sys.executable).with_name("hpsearch")
    by_script = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60)
    assert by_script.returncode == 0
    assert by_script.stdout == command("--version").stdout == f"hpsearch, version {__version__}\n"


def test_help_is_there_before_anything_heavy_is_imported() -> None:
    heavy = ("numpy", "pydantic", "joblib", "rich", "yaml", "tabulate")
    code = f"import sys, hpsearch.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["run"], "Missing argument 'CONFIG'"),
        (["run", "tiny.yaml", "--jobs", "0"], "0 must be from 1 to 10000, or -1 for one per core"),
        (["run", "tiny.yaml", "--jobs", "two"], "'two' is not a valid integer"),
        (["report", "--format", "pdf"], "'pdf' is not one of 'text', 'markdown'"),
        (["report", "--top", "0"], "0 is not in the range"),
        (["report", "--runs-dir", "tiny.yaml"], "is a file"),
        (["refine", "--top", "1"], "1 is not in the range"),
        (["preview", "none.yaml"], "none.yaml: cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2_and_a_sentence(
    command: Command, tmp_path: Path, words: list[str], found: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = command(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert found in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


# Shell completion


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("hpsearch report di", ["digits", "digits-refined"]),
        ("hpsearch refine di", ["digits", "digits-refined"]),
        ("hpsearch report wine di", ["digits", "digits-refined"]),
        ("hpsearch report ''", ["digits", "digits-refined", "wine"]),
        ("hpsearch report --runs-dir elsewhere ''", ["other"]),
        ("hpsearch re", ["resume", "refine", "report", "retest"]),
        ("hpsearch report --format m", ["markdown"]),
    ],
)
def test_the_shell_completes_the_names_of_runs(
    command: Command, tmp_path: Path, words: str, completed: list[str]
) -> None:
    for run in ("runs/digits", "runs/digits-refined", "runs/wine", "elsewhere/other"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "config.yaml").touch()
    (tmp_path / "runs" / "diary").mkdir()
    done = command(
        _HPSEARCH_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1)
    )
    assert [line.removeprefix("plain,") for line in done.stdout.splitlines()] == completed


def test_completion_without_any_run_is_silent(command: Command) -> None:
    done = command(
        _HPSEARCH_COMPLETE="bash_complete", COMP_WORDS="hpsearch report x", COMP_CWORD="2"
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


# Schema


def test_the_schema_is_valid_and_accepts_every_shipped_config(command: Command) -> None:
    done = command("schema")
    assert done.returncode == 0
    assert done.stderr == ""
    schema = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    paths = sorted((ROOT / "configs").glob("*.yaml"))
    assert paths
    for path in paths:
        assert list(validator.iter_errors(read_yaml(path).value)) == []
    wrong = {"objective": {"trainer": "mlp"}, "data": {"sorce": "digits"}, "parameters": {}}
    assert not validator.is_valid(wrong)


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
def test_an_output_that_lacks_a_letter_still_gets_the_schema(
    command: Command, encoding: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hpsearch", "schema"],
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding if encoding != "ascii" else "utf-8")
    assert json.loads(text) == json.loads(command("schema").stdout)


# Progress and results where nobody watches


def test_without_a_terminal_progress_is_plain_lines_on_stderr(command: Command) -> None:
    done = command("run", "tiny.yaml")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    progress = [line for line in done.stderr.splitlines() if re.match(r"\d+/6 trials", line)]
    assert len(progress) == 6
    assert re.fullmatch(
        r"6/6 trials: best dev_error 0\.\d+ \(trial \d\) learning_rate=\S+ hidden_units=\d+",
        progress[-1],
    )
    assert re.match(r"1/6 trials, \d+s left: best dev_error", progress[0])
    assert "Wrote runs/tiny/" in done.stderr
    assert "Next:\n  hpsearch refine tiny\n" in done.stderr
    assert "trials" not in done.stdout
    assert done.stdout.splitlines()[0].startswith("rank  trial")


def test_a_long_search_says_something_ten_times(command: Command, tmp_path: Path) -> None:
    text = TINY.replace("trials: 6", "trials: 40").replace("epochs: 2", "epochs: 1")
    (tmp_path / "long.yaml").write_text(text)
    done = command("run", "long.yaml")
    assert len(re.findall(r"^\d+/40 trials", done.stderr, flags=re.M)) == 10


def test_quiet_says_nothing_at_all(command: Command, tmp_path: Path) -> None:
    done = command("run", "tiny.yaml", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "runs" / "tiny" / "trials.csv").is_file()


def test_the_hint_for_what_to_do_next_finds_the_run_where_it_is(command: Command) -> None:
    done = command("run", "tiny.yaml", "--runs-dir", "my runs")
    words = ("refine tiny", "report tiny --open", "retest tiny", "evaluate tiny")
    hints = "".join(f"  hpsearch {each} --runs-dir 'my runs'\n" for each in words)
    assert done.stderr.endswith(f"Next:\n{hints}")
    assert command("report", "tiny", "--runs-dir", "my runs").returncode == 0


def test_diverged_trials_are_counted_while_the_search_goes_on(
    command: Command, tmp_path: Path
) -> None:
    text = TINY.replace("epochs: 2", "epochs: 1, batch_norm: false, optimizer: gradient_descent")
    text = text.replace("{scale: log, min: 1e-4, max: 1e-1}", "{values: [0.01, 1e30]}")
    (tmp_path / "wild.yaml").write_text(text)
    done = command("run", "wild.yaml", "-j", 1)
    assert done.returncode == 0, done.stderr
    lost = done.stdout.count("diverged")
    assert lost > 0
    assert f"6/6 trials, {lost} diverged: best" in done.stderr


def test_a_reader_that_leaves_early_is_no_error(
    folder: Path, command: Command, tiny_run: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "hpsearch", "report"],
        cwd=folder,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(write)
    assert done.stderr == ""


# The terminal


def test_on_a_terminal_a_live_display_goes_and_the_result_stays(folder: Path) -> None:
    code, seen = in_terminal(folder, "run", "tiny.yaml")
    assert code == 0
    assert "━" in seen
    assert re.search(r"\d/6", seen)
    assert "best dev_error" in seen
    assert seen.rsplit("━", 1)[1].count("\x1b[2K") >= 3  # name, bar and best are wiped
    left = after_the_display(seen)
    assert "━" not in left
    lines = left.splitlines()
    assert lines[0].startswith("rank  trial")
    assert "Wrote runs/tiny/" in left
    assert lines[-5:-3] == ["Next:", "  hpsearch refine tiny"]


def test_results_can_be_redirected_while_the_progress_is_watched(folder: Path) -> None:
    with (folder / "out.txt").open("w") as file:
        code, seen = in_terminal(folder, "run", "tiny.yaml", stdout=file.fileno())
    assert code == 0
    assert "━" in seen
    assert "rank" not in seen
    out = (folder / "out.txt").read_text()
    assert out.startswith("rank  trial")
    assert "\x1b" not in out


COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-79]|38;[0-9;]+|9[0-7])(?:;[0-9]+)*m")


def test_no_color_is_respected(folder: Path) -> None:
    _, seen = in_terminal(folder, "run", "tiny.yaml")
    assert COLOUR.search(seen)
    code, seen = in_terminal(folder, "run", "tiny.yaml", "-n", "again", NO_COLOR="1")
    assert code == 0
    assert "━" in seen
    assert not COLOUR.search(seen)


def test_a_terminal_that_cannot_move_the_cursor_gets_plain_lines(folder: Path) -> None:
    code, seen = in_terminal(folder, "run", "tiny.yaml", TERM="dumb")
    assert code == 0
    assert "\x1b" not in seen
    assert "6/6 trials: best" in seen


def test_quiet_is_silent_on_a_terminal_too(folder: Path) -> None:
    assert in_terminal(folder, "run", "tiny.yaml", "-q") == (0, "")


def test_no_line_of_a_leaderboard_is_wider_than_the_terminal(folder: Path) -> None:
    text = (ROOT / "configs" / "digits.yaml").read_text().replace("epochs: 30", "epochs: 1")
    (folder / "digits.yaml").write_text(text.replace("trials: 25", "trials: 12"))
    code, seen = in_terminal(folder, "run", "digits.yaml", columns=60)
    assert code == 0
    shown = after_the_display(seen).split("\n... and 2 more")[0].splitlines()
    assert len(shown) == 13
    assert max(map(len, shown)) <= 60
    for columns in (60, 80, 120):
        code, seen = in_terminal(folder, "report", "--sort", "seconds", columns=columns)
        assert code == 0
        table = seen.split("\n... and 2 more: hpsearch report --all --sort seconds\n")
        assert max(map(len, table[0].splitlines())) <= columns
        assert "seconds" in table[0]
        assert "digits (12 trials): the score is dev_error, to minimize" in table[1]
        assert "digits: ended by budget.trials (12)\n" in table[1]
        assert (f"Left out to fit {columns} columns: " in table[1]) == (columns < 120)


def test_a_pipe_gets_every_column_however_wide(
    folder: Path, command: Command, tiny_run: Path
) -> None:
    wide, narrow = (command("report", COLUMNS=c).stdout for c in ("200", "40"))
    for name in ("rank", "trial", "score", "diagnosis", "seconds"):
        assert name in wide.splitlines()[0]
        assert name in narrow.splitlines()[0]
    assert len(narrow.splitlines()[-1].split()) == len(wide.splitlines()[-1].split())


def test_the_longest_name_and_the_narrowest_terminal_do_not_break_the_display(
    folder: Path,
) -> None:
    code, seen = in_terminal(folder, "run", "tiny.yaml", "-n", "n" * 100, columns=30)
    assert code == 0
    assert "━" in seen
    assert "Traceback" not in seen
