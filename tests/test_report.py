from __future__ import annotations

import csv
import html
import io
import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result as Invocation
from hypothesis import given
from hypothesis import strategies as st
from tabulate import tabulate

from conftest import Command
from honest_helpers import on_screen
from hpsearch.cli import cli
from hpsearch.cli.report import FORMAT_NAMES
from hpsearch.errors import UserError
from hpsearch.report.formats import FORMATS, fitted, plain_text
from hpsearch.report.table import Column, Run, Table, leaderboard, sort_table
from hpsearch.scales import SCALES, Integer, Real
from hpsearch.space import Choice, Space
from hpsearch.store import CONFIG, RECORD, RunFolder
from hpsearch.trial import STATUSES, Result

CONFIG_TEXT = """
metric: {metric}
objective: {{trainer: mlp, epochs: 1, activation: tanh}}
data: {{source: digits}}
parameters:
  learning_rate: {{scale: log, min: 1e-4, max: 1}}
  hidden_units:  {{type: int, min: 4, max: 64}}
  optimizer:     {{values: [adam, momentum]}}
budget: {{trials: 40}}
"""

LOST = ("diverged", "failed", "timeout", "crashed")


def result(number: int, score: float | None, status: str = "complete", **params: Any) -> Result:
    settings = {"learning_rate": 0.001 * (number + 1), "hidden_units": 8, "optimizer": "adam"}
    error = None if score is None else score
    metrics = {} if status == "failed" else {"train_error": 0.01, "dev_error": error}
    return Result(
        number, status, {**settings, **params}, (0.1, 0.2, 0.3), 7, 1, score, metrics, seconds=1.25
    )


Maker = Callable[..., RunFolder]


@pytest.fixture
def make_run(tmp_path: Path) -> Maker:
    """Write a run folder with the given results: make_run("name", [...], metric=...)."""

    def make(name: str, results: list[Result], metric: str = "dev_error") -> RunFolder:
        folder = RunFolder(tmp_path / "runs" / name)
        with folder.claim():
            folder.write(CONFIG, CONFIG_TEXT.format(metric=metric))
            for each in results:
                folder.append(each)
        stamp = 1_000_000_000 + len(list((tmp_path / "runs").iterdir()))
        os.utime(folder.path / RECORD, (stamp, stamp))  # the last one made is the newest
        return folder

    return make


@pytest.fixture
def report(tmp_path: Path) -> Callable[..., Invocation]:
    """Run `hpsearch report` in this process; a traceback fails the test."""

    def run(*arguments: object) -> Invocation:
        words = ["report", "--runs-dir", str(tmp_path / "runs"), *map(str, arguments)]
        return CliRunner().invoke(cli, words, catch_exceptions=False)

    return run


def rows_of(outcome: Invocation) -> list[dict[str, Any]]:
    assert outcome.exit_code == 0, outcome.output
    found = json.loads(outcome.stdout, parse_constant=lambda word: pytest.fail(word))
    assert isinstance(found, list)
    return found


def fails(outcome: Invocation, code: int, *parts: str) -> None:
    assert outcome.exit_code == code, outcome.output
    assert outcome.stdout == ""
    for part in parts:
        assert part in outcome.stderr
    assert "Traceback" not in outcome.stderr


# What the table holds


def test_the_leaderboard_has_the_promised_columns_best_first(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [result(0, 0.5), result(1, 0.02, optimizer="momentum"), result(2, 0.3)])
    outcome = report("--format", "json")
    rows = rows_of(outcome)
    assert [row["trial"] for row in rows] == [1, 2, 0]
    assert rows[0] == {
        "rank": 1,
        "trial": 1,
        "score": 0.02,
        "learning_rate": 0.002,
        "optimizer": "momentum",  # hidden_units is 8 in every trial, so it has no column
        "train_error": 0.01,
        "dev_error": 0.02,
        "diagnosis": "low bias, low variance",
        "seconds": 1.25,
    }
    assert list(rows[0])[:3] == ["rank", "trial", "score"]
    assert rows[1]["diagnosis"] == "high variance"


def test_trials_without_a_score_stand_at_the_bottom_with_their_status(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    lost = [result(i, None, status) for i, status in enumerate(LOST)]
    make_run("a", [*lost, result(9, 0.9), result(10, 0.2)])
    rows = rows_of(report("-f", "json", "--all"))
    assert [row["status"] for row in rows] == ["complete", "complete", *LOST]
    assert [row["rank"] for row in rows] == [1, 2, None, None, None, None]
    assert rows[2]["score"] is None
    last = report("--all").stdout.splitlines()[-1]
    assert "crashed" in last
    assert last.split()[0] == "-"


def test_a_status_column_appears_only_when_a_trial_is_not_complete(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("good", [result(0, 0.5), result(1, 0.4)])
    make_run("bad", [result(0, 0.5), result(1, None, "timeout")])
    assert "status" not in rows_of(report("good", "-f", "json"))[0]
    assert "status" in rows_of(report("bad", "-f", "json"))[0]


def test_a_goal_to_maximize_puts_the_highest_score_first_and_the_lost_trial_last(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [result(0, 0.5), result(1, None, "failed"), result(2, 0.9)], "dev_accuracy")
    assert [row["trial"] for row in rows_of(report("-f", "json"))] == [2, 0, 1]


def test_equal_scores_are_ordered_by_trial_number(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [result(i, 0.25) for i in (3, 1, 2)])
    assert [row["trial"] for row in rows_of(report("-f", "json"))] == [1, 2, 3]


def test_a_run_with_a_single_trial_shows_all_of_its_parameters(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [result(0, 0.5)])
    (row,) = rows_of(report("-f", "json"))
    assert {"learning_rate", "hidden_units", "optimizer"} <= set(row)


def test_trials_beyond_the_end_of_the_search_do_not_count(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [result(i, 0.5 - i / 100) for i in range(42)])  # budget.trials is 40
    assert max(row["trial"] for row in rows_of(report("-f", "json"))) == 39


# Options


def test_the_newest_run_is_shown_when_none_is_named(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("zzz", [result(0, 0.1)])
    make_run("aaa", [result(0, 0.9)])
    assert rows_of(report("-f", "json"))[0]["score"] == 0.9


def test_a_run_can_be_named_by_its_path(make_run: Maker, report: Callable[..., Invocation]) -> None:
    folder = make_run("a", [result(0, 0.1)])
    make_run("b", [result(0, 0.9)])
    assert rows_of(report(folder.path, "-f", "json"))[0]["score"] == 0.1


def test_top_gives_the_first_rows_of_every_format(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [result(i, i / 100) for i in range(20)])
    for name in FORMATS:
        shown = report("-f", name, "--top", 3).stdout
        assert "0.02" in shown
        assert "0.03" not in shown


def test_text_shows_ten_rows_unless_all_are_asked_for(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [result(i, i / 100) for i in range(20)])
    header = len(report("--top", 1).stdout.splitlines()) - 1
    assert len(report().stdout.splitlines()) == header + 10
    assert len(report("--all").stdout.splitlines()) == header + 20
    assert len(rows_of(report("-f", "json"))) == 20


@pytest.mark.parametrize(
    ("by", "order"),
    [
        ("score", [2, 0, 1]),
        ("-score", [0, 2, 1]),
        ("trial", [0, 1, 2]),
        ("-trial", [2, 1, 0]),
        ("optimizer", [1, 2, 0]),
        ("-learning_rate", [1, 2, 0]),
        ("dev_error", [2, 0, 1]),
        ("seconds", [2, 0, 1]),
    ],
)
def test_sort_orders_by_any_column_with_empty_cells_last_and_ranks_unchanged(
    make_run: Maker, report: Callable[..., Invocation], by: str, order: list[int]
) -> None:
    make_run(
        "a",
        [
            result(0, 0.5, learning_rate=0.01, optimizer="momentum"),
            result(1, None, "diverged", learning_rate=0.9),
            result(2, 0.3, learning_rate=0.2, optimizer="momentum"),
        ],
    )
    rows = rows_of(report("-f", "json", "--sort", by))
    assert [row["trial"] for row in rows] == order
    assert {row["trial"]: row["rank"] for row in rows} == {2: 1, 0: 2, 1: None}


def test_several_runs_share_one_table_with_a_column_for_the_run(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("first", [result(0, 0.5), result(1, 0.1)])
    make_run("second", [result(0, 0.3)])
    rows = rows_of(report("first", "second", "-f", "json"))
    assert [(row["rank"], row["run"], row["trial"]) for row in rows] == [
        (1, "first", 1),
        (2, "second", 0),
        (3, "first", 0),
    ]


def test_a_run_named_twice_is_shown_once(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [result(0, 0.5)])
    assert len(rows_of(report("a", "a", "-f", "json"))) == 1


def test_what_is_constant_in_one_run_and_varied_in_another_shows_its_value_in_both(
    make_run: Maker, report: Callable[..., Invocation], tmp_path: Path
) -> None:
    make_run("wide", [result(0, 0.5), result(1, 0.4, optimizer="momentum")])
    narrow = make_run("narrow", [])
    text = CONFIG_TEXT.format(metric="dev_error").replace("{values: [adam, momentum]}", "momentum")
    each = result(0, 0.2)
    with narrow.claim():
        narrow.write(CONFIG, text)
        params = {name: each.params[name] for name in ("learning_rate", "hidden_units")}
        narrow.append(replace(each, params=params, unit=(0.1, 0.2)))
    rows = rows_of(report("wide", "narrow", "-f", "json"))
    assert [(row["run"], row["optimizer"]) for row in rows] == [
        ("narrow", "momentum"),
        ("wide", "momentum"),
        ("wide", "adam"),
    ]


def test_a_piped_report_is_nothing_but_the_table(make_run: Maker, command: Command) -> None:
    make_run("a", [result(i, i / 100) for i in range(20)])
    done = command("report")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[0].split()[:3] == ["rank", "trial", "score"]
    assert done.stdout.isascii()


# Mistakes


def test_an_unknown_run_is_answered_with_the_nearest_name(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("digits", [result(0, 0.5)])
    fails(report("digts"), 2, "there is no run 'digts'", "Did you mean 'digits'?")


def test_a_folder_renamed_to_what_no_run_can_be_called_is_answered_with_a_new_name(
    tmp_path: Path, make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("digits", [result(0, 0.5)])
    (tmp_path / "runs/digits").rename(tmp_path / "runs/Größe 2")
    for name in ("Größe 2", tmp_path / "runs/Größe 2"):
        fails(report(name), 2, "has no name that a run can have", "Rename the folder: mv ")
        assert report(name).stderr.rstrip().endswith("/runs/Groesse-2")


def test_an_unknown_column_is_answered_with_the_nearest_and_all_of_them(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [result(0, 0.5), result(1, 0.4)])
    fails(
        report("--sort", "-learning_rat"),
        2,
        "there is no column 'learning_rat' to sort by",
        "Did you mean 'learning_rate'?",
        "rank, trial, score",
    )


@pytest.mark.parametrize("there", [False, True])
def test_no_run_at_all_says_how_to_begin(
    report: Callable[..., Invocation], tmp_path: Path, there: bool
) -> None:
    if there:
        (tmp_path / "runs").mkdir()
    fails(report(), 2, "there is no ", "runs", "--runs-dir", "begin with: hpsearch run")


def test_a_folder_that_is_no_run_is_refused(
    make_run: Maker, report: Callable[..., Invocation], tmp_path: Path
) -> None:
    make_run("a", [result(0, 0.5)])
    (tmp_path / "runs" / "photos").mkdir()
    fails(report("photos"), 2, "there is no run 'photos'", "Runs: a.")
    fails(report(tmp_path), 2, "there is no run")


@pytest.mark.parametrize("name", ["linked", "file", "photos"])
def test_what_stands_in_the_place_of_a_run_is_said(
    make_run: Maker, report: Callable[..., Invocation], tmp_path: Path, name: str
) -> None:
    folder = make_run("a", [result(0, 0.5)]).path
    runs = tmp_path / "runs"
    (runs / "linked").symlink_to(folder, target_is_directory=True)
    (runs / "file").touch()
    (runs / "photos").mkdir()
    words = {
        "linked": f"is a link, and a run is named by its folder, {folder.resolve()}",
        "file": "is a file, and a run is a folder",
        "photos": "is a folder without a config.yaml",
    }
    fails(report(name), 2, f"there is no run '{name}'", words[name], "Runs: a.")


def test_a_run_still_without_trials_says_so(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [])
    for arguments in ([], ["--json"], *(["-f", name] for name in FORMATS)):
        fails(report(*arguments), 2, "the run a has no finished trial yet")
    make_run("b", [result(0, 0.5)])
    fails(report("b", "a"), 2, "the run a has no finished trial yet")


def test_runs_with_different_metrics_have_no_common_ranking(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("errors", [result(0, 0.5)])
    make_run("losses", [result(0, 0.5)], "dev_loss")
    fails(
        report("errors", "losses"),
        2,
        "errors is to minimize dev_error, losses to minimize dev_loss",
    )


def test_a_damaged_record_names_the_line_and_exits_with_3(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    folder = make_run("a", [result(i, 0.5) for i in range(3)])
    path = folder.path / RECORD
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"0.5", b"0.4")
    path.write_bytes(b"".join(lines))
    fails(report(), 3, f"{path}:2:")


def test_a_line_that_is_still_being_written_is_left_out(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    folder = make_run("a", [result(i, 0.5) for i in range(3)])
    path = folder.path / RECORD
    path.write_bytes(path.read_bytes()[:-20])
    assert len(rows_of(report("-f", "json"))) == 2


def test_a_damaged_config_is_answered_with_its_place(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    folder = make_run("a", [result(0, 0.5)])
    (folder.path / CONFIG).write_text("objective: [\n")
    fails(report(), 2, f"{folder.path / CONFIG}:")


def test_a_name_longer_than_any_file_may_be_is_no_traceback(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [result(0, 0.5)])
    outcome = report("x" * 5000)
    assert outcome.exit_code in (2, 3)
    assert len(outcome.stderr.splitlines()) <= 2


# Formats


def test_the_command_offers_every_format() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_shows_the_best_row_and_every_header(
    make_run: Maker, report: Callable[..., Invocation], name: str
) -> None:
    make_run("a", [result(0, 0.5), result(1, 0.0625, optimizer="momentum")])
    outcome = report("-f", name)
    assert outcome.exit_code == 0
    words = outcome.stdout.replace("\\_", "_")
    for word in ("rank", "trial", "score", "momentum", "0.0625", "learning_rate", "diagnosis"):
        assert word in words
    assert "\x1b" not in words


HOSTILE = ["<script>alert(1)</script>", "a|b", "100%_x", "x & y", "`c` *d* _e_", "[l](u)", "~$#{}^"]


def table_of(*texts: str) -> Table:
    return Table((Column("trial"), Column("option")), tuple(enumerate(texts)))


@pytest.mark.parametrize("text", HOSTILE)
def test_html_shows_any_text_as_text(text: str) -> None:
    page = FORMATS["html-table"](table_of(text))
    (cell,) = re.findall(r"<td>(.*?)</td>", page)
    assert html.unescape(cell).strip() == text
    assert "<" not in cell


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_any_text_as_text(text: str) -> None:
    markdown_it = pytest.importorskip("markdown_it")
    page = FORMATS["markdown"](table_of(text))
    parser = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = [token for token in parser.parse(page) if token.type == "inline"]
    assert [token.content for token in tokens[:2]] == ["trial", "option"]
    shown = tokens[-1].children
    assert {child.type for child in shown} <= {"text", "text_special"}
    assert "".join(child.content for child in shown) == text
    assert len(tokens) == 4


def test_markdown_leaves_a_name_with_underscores_readable() -> None:
    assert "learning_rate" in FORMATS["markdown"](table_of("learning_rate"))


@pytest.mark.parametrize("text", HOSTILE)
def test_latex_leaves_no_character_with_a_meaning_of_its_own(text: str) -> None:
    page = FORMATS["latex"](table_of(text))
    (line,) = [line for line in page.splitlines() if line.lstrip().startswith("0 &")]
    cell = line.split(" & ", 1)[1].removesuffix(r"\\").strip()
    commands = r"\\textbar\{\}|\\textbackslash\{\}|\\textasciitilde\{\}|\\\^\{\}"
    rest = re.sub(commands + r"|\\ensuremath\{[<>]\}|\\[%_&#${}]", "", cell)
    assert not re.search(r"[\\%_&#$^~{}|<>]", rest)
    assert [c for c in text if c.isalnum()] == [c for c in rest if c.isalnum()]


@given(st.lists(st.text(), min_size=1))
def test_any_text_comes_back_from_csv(texts: list[str]) -> None:
    page = FORMATS["csv"](table_of(*texts))
    cells = [row[1] for row in csv.reader(io.StringIO(page, newline=""))][1:]
    guarded = [f"'{t}" if t[:1] and t[0] in "=+-@\t\r" else t for t in texts]
    assert cells == guarded


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_a_csv_text_that_a_spreadsheet_would_run_gets_an_apostrophe(first: str) -> None:
    page = FORMATS["csv"](table_of(f"{first}1+1"))
    rows = list(csv.reader(io.StringIO(page, newline="")))
    assert rows == [["trial", "option"], ["0", f"'{first}1+1"]]


def test_a_csv_number_stays_a_number_with_all_its_digits() -> None:
    table = Table(
        (Column("a"), Column("b"), Column("c"), Column("d")), ((-0.1, 0.1 + 0.2, None, (64, 32)),)
    )
    rows = list(csv.reader(io.StringIO(FORMATS["csv"](table))))
    assert rows[1] == ["-0.1", "0.30000000000000004", "", "[64, 32]"]


def test_a_header_is_guarded_as_a_cell_is() -> None:
    table = Table((Column("=x|y<"),), ((1,),))
    assert FORMATS["csv"](table).startswith("'=x")
    assert r"\|y\<" in FORMATS["markdown"](table)
    assert "=x|y&lt;" in FORMATS["html-table"](table)


def test_control_characters_neither_break_a_line_nor_steer_the_terminal() -> None:
    table = table_of("a\nb", "\x1b[31mred", "\x01", "\u202eback")
    for name in ("text", "markdown", "latex", "html-table"):
        page = FORMATS[name](table)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", page)
        assert len(page.splitlines()) == len(
            FORMATS[name](table_of("a", "b", "c", "d")).splitlines()
        )
    assert r"a\nb" in plain_text(table)


scores = st.none() | st.floats(0, 1)


@given(
    st.lists(
        st.tuples(scores, st.sampled_from([s for s in STATUSES if s != "complete"]), st.text()),
        max_size=6,
    )
)
def test_every_format_takes_every_board(found: list[tuple[float | None, str, str]]) -> None:
    names = tuple(dict.fromkeys(text for _, _, text in found)) or ("x",)
    space = Space({"option": Choice(names), "layers": Integer(SCALES["linear"](1, 3), "linear")})
    results = [
        Result(
            number,
            status if score is None else "complete",
            {"option": text, "layers": 1 + number % 3},
            (0.0, 0.0),
            0,
            None,
            score,
            {"train_error": score, "dev_error": score},
        )
        for number, (score, status, text) in enumerate(found)
    ]
    table = leaderboard([Run("r", "dev_error", "minimize", 0.0, space, results)])
    assert len(table.rows) == len(results)
    for write in FORMATS.values():
        write(table)
    rows = json.loads(FORMATS["json"](table), parse_constant=lambda word: pytest.fail(word))
    ranked = [row["score"] for row in rows if row["score"] is not None]
    assert ranked == sorted(ranked)
    assert [row["score"] for row in rows[len(ranked) :]] == [None] * (len(rows) - len(ranked))


def test_trials_of_the_highest_rung_stand_beside_those_of_a_run_without_rungs() -> None:
    space = Space({})

    def one(number: int, score: float, rung: int | None) -> Result:
        return Result(number, "complete", {}, (), 0, 3, score, rung=rung)

    halving = [one(0, 0.2, 1), one(1, 0.05, 0), one(2, 0.4, 1)]
    whole = [one(0, 0.1, None), one(1, 0.3, None)]
    for others in (whole, [*whole, Result(2, "failed", {}, (), 0, 3, None)]):
        table = leaderboard(
            [
                Run("h", "loss", "minimize", 0.0, space, halving),
                Run("w", "loss", "minimize", 0.0, space, others),
            ]
        )
        assert [row[1:4] for row in table.rows[:5]] == [
            ("w", 0, 0.1),
            ("h", 0, 0.2),
            ("w", 1, 0.3),
            ("h", 2, 0.4),
            ("h", 1, 0.05),  # stopped early: its score says less
        ]


# Width


def wide_board(parameters: int) -> Table:
    axis = Real(SCALES["log"](1e-4, 1), "log")
    names = [f"parameter_number_{i}" for i in range(parameters)]
    space = Space(dict.fromkeys(names, axis))
    results = [
        Result(
            number,
            "complete",
            dict.fromkeys(names, 0.000123 * (number + 1)),
            (0.5,) * parameters,
            0,
            1,
            number / 1000,
            {"train_error": 0.5, "dev_error": number / 1000},
            seconds=1.0,
        )
        for number in range(12)
    ]
    return leaderboard([Run("r", "dev_error", "minimize", 0.0, space, results)])


def widest(text: str) -> int:
    return max(map(len, text.splitlines()))


@pytest.mark.parametrize("parameters", range(1, 12))
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_on_a_terminal_the_leaderboard_fits_and_says_what_it_leaves_out(
    parameters: int, width: int
) -> None:
    table = wide_board(parameters)
    narrow, left_out = fitted(table, width)
    assert widest(plain_text(narrow, width)) <= width
    assert sorted([*narrow.names, *left_out]) == sorted(table.names)
    assert narrow.names[:3] == ("rank", "trial", "score")
    assert narrow.names == tuple(name for name in table.names if name not in left_out)


def test_what_says_least_is_left_out_first() -> None:
    table = wide_board(4)
    order: list[str] = []
    for width in range(200, 10, -1):
        order += [name for name in fitted(table, width)[1] if name not in order]
    assert order == [
        "dev_error",  # it is the score
        "seconds",
        "train_error",
        "diagnosis",
        *(f"parameter_number_{i}" for i in (3, 2, 1, 0)),
    ]


def test_nothing_is_left_out_of_what_fits() -> None:
    table = wide_board(2)
    assert fitted(table, 200) == (table, [])


def test_the_column_that_was_sorted_by_is_kept_on_any_width() -> None:
    narrow, left_out = fitted(sort_table(wide_board(4), "-seconds"), 60)
    assert "seconds" in narrow.names
    assert "dev_error" in left_out


def test_errors_line_up_with_four_decimals_and_never_vanish() -> None:
    text = Column("x", leaderboard([_one()]).columns[2].text).text
    assert [text(value) for value in (0.0, 0.5, 0.02777, 1e-6)] == [
        "0",
        "0.5000",
        "0.0278",
        "1e-06",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.234e-7, "1.234e-07"), (-0.53, "-0.53"), (1234.5678, "1235"), (1e300, "1e+300"), (1, "1")],
)
def test_what_is_called_an_error_and_is_no_share_keeps_its_digits(value: float, text: str) -> None:
    assert leaderboard([_one()]).columns[2].text(value) == text


def _one() -> Run:
    each = Result(0, "complete", {}, (), 0, 1, 0.5, {"dev_error": 0.5})
    return Run("r", "dev_error", "minimize", 0.0, Space({}), [each])


def test_a_score_that_is_no_share_keeps_its_magnitude() -> None:
    run = replace(_one(), metric="dev_loss")
    assert leaderboard([run]).columns[2].text(12345.678) == "1.235e+04"


def test_runs_to_be_ranked_together_must_agree_on_the_goal() -> None:
    with pytest.raises(UserError, match="no common ranking"):
        leaderboard([_one(), replace(_one(), goal="maximize")])


def test_a_table_holds_no_number_that_json_has_not(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    lost = replace(result(0, None, "diverged"), metrics={"train_error": None, "dev_error": None})
    make_run("a", [lost, result(1, 0.5)])
    rows = rows_of(report("-f", "json"))
    assert rows[1]["dev_error"] is None
    assert all(not isinstance(v, float) or math.isfinite(v) for row in rows for v in row.values())


def test_runs_on_different_data_have_no_common_leaderboard(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    text = (tmp_path / "tiny.yaml").read_text()
    other = "data: {source: other.csv, label: y}"
    rows = "".join(f"{i % 2 + i / 100},{i % 2}\n" for i in range(90))
    (tmp_path / "other.csv").write_text("x,y\n" + rows)
    changed = text.replace("data: {source: digits}", other)
    (tmp_path / "other.yaml").write_text(changed)
    assert command("run", "other.yaml", "-q").returncode == 0
    refused = command("report", "tiny", "other")
    assert refused.returncode == 2
    assert "different data" in refused.stderr
    (tmp_path / "split.yaml").write_text(text.replace("digits}", "digits, seed: 9}"))
    assert command("run", "split.yaml", "-q").returncode == 0
    warned = command("report", "tiny", "split")
    assert warned.returncode == 0
    assert "split the data differently" in warned.stderr


def test_the_lineage_shows_each_run_of_a_family_and_what_it_gained(
    command: Command, answer: Command, tmp_path: Path, tiny_run: Path
) -> None:
    assert command("refine", "-q").returncode == 0
    assert command("refine", "-q").returncode == 0
    assert command("refine", "tiny", "-q", "--name", "other").returncode == 0
    assert command("run", "tiny.yaml", "-q", "--name", "stranger").returncode == 0
    names = ["tiny", "other", "tiny-refined", "tiny-refined-2"]
    tables = [answer("report", name, "--lineage").stdout for name in names]
    assert len(set(tables)) == 1  # whichever of the family is named
    lines = tables[0].splitlines()
    assert [line.split()[0].strip(".") for line in lines[2:3]] == ["tiny"]
    assert "stranger" not in tables[0]
    assert any(line.startswith(". . tiny-refined-2") for line in lines)
    assert any(line.startswith("learning_rate") and "0.0001 .. 0.1" in line for line in lines)

    rows = json.loads(answer("report", "other", "--lineage", "-f", "json").stdout)
    by_name = {row["run"]: row for row in rows}
    assert list(by_name) == names
    for row in rows:
        if row["parent"]:
            gain = by_name[row["parent"]]["best_score"] - row["best_score"]
            assert row["gain"] == pytest.approx(gain)
        else:
            assert row["gain"] is None


def test_a_lineage_is_of_one_run(command: Command, answer: Command, tiny_run: Path) -> None:
    outcome = answer("report", "tiny", "tiny", "--lineage")
    assert outcome.returncode == 0
    command("run", "tiny.yaml", "-q", "--name", "two")
    outcome = answer("report", "tiny", "two", "--lineage")
    assert outcome.returncode == 2
    assert "name one" in outcome.stderr


# Repeats


def repeated(number: int, *scores: float, **params: Any) -> Result:
    return replace(result(number, sum(scores) / len(scores), **params), scores=list(scores))


NOISY = [
    repeated(0, 0.5, 0.51, 0.52),
    repeated(1, 0.02, 0.03, 0.04),
    repeated(2, 0.03, 0.03, 0.06),
    result(3, None, "diverged"),
]


def test_repeats_add_their_error_and_which_trials_are_tied_with_the_best(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", NOISY)
    rows = rows_of(report("-f", "json"))
    assert list(rows[0])[:5] == ["rank", "trial", "score", "score_error", "tied"]
    assert [row["trial"] for row in rows] == [1, 2, 0, 3]
    assert [row["tied"] for row in rows] == [True, True, False, None]
    assert rows[0]["score_error"] == pytest.approx(0.01 / math.sqrt(3))
    assert rows[3]["score_error"] is None
    lines = report("-f", "csv").stdout.splitlines()
    assert lines[0].startswith("rank,trial,score,score_error,tied,")
    assert lines[1].split(",")[4] == "true"
    assert "with the best" in report("-f", "markdown").stdout
    assert rows_of(report("-f", "json", "-s", "-score_error"))[0]["trial"] == 2


def test_a_terminal_gets_a_sentence_for_the_ties(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", NOISY)
    shown = report("--top", 1)
    *_, first = shown.stdout.splitlines()
    assert shown.stdout.split()[:4] == ["rank", "trial", "score", "±"]
    assert "tied" not in shown.stdout
    assert first.split()[2:4] == ["0.0300", "0.0058"]
    assert shown.stderr == "Trial 2 cannot be told apart from the best, trial 1 (95%).\n"
    assert report("-f", "csv").stderr == ""


def test_the_ties_of_several_runs_are_named_with_their_run(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", NOISY[:2])
    make_run("b", [repeated(0, 0.03, 0.03, 0.06), result(1, 0.035), result(2, 0.9)])
    assert report("a", "b").stderr.endswith(
        "Trials 1 of b and 0 of b cannot be told apart from the best, trial 1 of a (95%).\n"
    )
    rows = rows_of(report("a", "b", "-f", "json"))
    assert [row["tied"] for row in rows] == [True, True, True, False, False]
    assert rows[1]["score_error"] is None


def test_a_best_that_stands_apart_is_said_too(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", NOISY[:2])
    assert "The best, trial 1, stands apart from all others (95%)." in report().stderr
    assert {row["tied"] for row in rows_of(report("-f", "json"))} == {False}


def test_a_sentence_names_ten_trials_and_counts_the_others(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [repeated(i, 0.02 + i / 1000, 0.06 + i / 1000) for i in range(15)])
    assert "Trials 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 4 more cannot" in report().stderr


def test_one_scored_trial_is_tied_with_nothing(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [NOISY[1], NOISY[3]])
    assert report().stderr == ""
    assert [row["tied"] for row in rows_of(report("-f", "json"))] == [False, None]


def test_a_table_without_repeats_has_none_of_it(
    make_run: Maker, report: Callable[..., Invocation]
) -> None:
    make_run("a", [result(0, 0.5), result(1, 0.4)])
    for name in FORMATS:
        shown = report("-f", name)
        assert shown.stderr == ""
        assert not re.search("tied|score_error|score.error|±", shown.stdout)


def test_an_output_without_the_sign_gets_plain_characters(
    make_run: Maker, command: Command
) -> None:
    make_run("a", NOISY)
    done = command("report", "--top", "1", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "+-" in done.stdout


@pytest.mark.parametrize(
    ("error", "text"),
    [(0.0, "0"), (1e-9, "1e-09"), (0.01234, "0.012"), (12.34, "12"), (345.6, "345.6")],
)
def test_the_error_of_a_score_that_is_no_share_has_two_digits_or_more(
    error: float, text: str
) -> None:
    each = Result(0, "complete", {}, (), 0, 1, 5.0, {}, scores=[4.0, 6.0])
    table = leaderboard([replace(_one(), metric="cost", results=[each])])
    assert table.names[3] == "score_error"
    assert table.columns[3].text(error) == text


def test_importance_is_of_the_parameters_that_change_the_score(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "f.py").write_text(
        "def score(rate, idle, kind): return (rate - 0.1) ** 2 + 0.1 * (kind == 'b')"
    )
    text = (
        'objective: {python: "f.py:score"}\nmetric: {name: accuracy, goal: maximize}\n'
        "parameters:\n  rate: {scale: linear, min: 0, max: 1}\n"
        "  idle: {type: int, min: 1, max: 3}\n  kind: {values: [a, b, c]}\n"
        "budget: {trials: 25}\nmethod: "
    )
    for method in ("bayes", "random"):
        (tmp_path / f"{method}.yaml").write_text(text + method)
        assert command("run", f"{method}.yaml", "-q").returncode == 0
        rows = json.loads(command("report", method, "--importance", "-f", "json").stdout)
        share = {row["parameter"]: row["importance"] for row in rows}
        assert share["rate"] > share["kind"] > share["idle"]
        assert sum(share.values()) == pytest.approx(1)
        assert [row["value"] for row in rows if row["parameter"] == "idle"] == [1, 2, 3]
        assert all(row["low"] <= row["expected"] <= row["high"] for row in rows)
        rates = {row["value"]: row["expected"] for row in rows if row["parameter"] == "rate"}
        assert rates[1.0] > rates[0.0] + 0.4
        shown = command("report", method, "--importance", COLUMNS="80").stdout.splitlines()
        assert max(map(len, shown)) <= 80
        assert shown[0].split() == ["parameter", "importance", "length_scale"]
        assert shown[2].split()[0] == "rate"
        page = (tmp_path / "runs" / method / "leaderboard.md").read_text()
        assert ("## Importance" in page) == (method == "bayes")


def test_importance_needs_one_run_with_scores_that_differ(command: Command, tmp_path: Path) -> None:
    assert command("run", "tiny.yaml", "-q", "-n", "tiny").returncode == 0
    both = command("report", "tiny", "--importance", "--rounds")
    assert both.returncode == 2
    assert "--rounds and --importance are several reports" in both.stderr
    (tmp_path / "f.py").write_text("def score(rate): return 0.5")
    (tmp_path / "flat.yaml").write_text(
        'objective: {python: "f.py:score"}\nmetric: {name: loss, goal: minimize}\n'
        "parameters: {rate: {scale: linear, min: 0, max: 1}}\nbudget: {trials: 12}\n"
        "method: bayes\n"
    )
    assert command("run", "flat.yaml", "-q").returncode == 0
    none = command("report", "flat", "--importance")
    assert (none.returncode, none.stdout) == (2, "")
    assert "too few complete trials with different scores" in none.stderr
    several = command("report", "flat", "tiny", "--importance")
    assert (several.returncode, several.stdout) == (2, "")
    assert "name one" in several.stderr


def test_the_rounds_of_a_zoom_are_shown_with_the_reason_for_each_bound(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    text = (tmp_path / "tiny.yaml").read_text().replace("trials: 6", "trials: 9")
    (tmp_path / "boxes.yaml").write_text(text + "method: {name: zoom, rounds: 3}\n")
    assert command("run", "boxes.yaml", "-q").returncode == 0
    rows = json.loads(command("report", "boxes", "--rounds", "-f", "json").stdout)
    assert [row["round"] for row in rows] == [f"{n} of 3" for n in (1, 1, 2, 2, 3, 3)]
    assert rows[0]["box"] == "0.0001 .. 0.1"
    assert all(row["because"] for row in rows)
    assert "best" in rows[2]["because"]
    lines, _ = on_screen(tmp_path, "report", "boxes", "--rounds", columns=60)
    shared = ", ".join(row["parameter"] for row in rows[:2])
    first = f"1 of 3, {shared}: the whole range: it is the first round"
    assert first in re.sub(r"\s+", " ", " ".join(lines))
    assert not any("because" in line for line in lines)
    page = (tmp_path / "runs" / "boxes" / "leaderboard.md").read_text()
    assert "## Rounds" in page
    assert "2 of 3" in page

    (tmp_path / "steps.yaml").write_text(text.replace("trials: 9", "trials: 24") + "method: zoom\n")
    assert command("run", "steps.yaml", "-q").returncode == 0
    steps = json.loads(command("report", "steps", "--rounds", "-f", "json").stdout)
    assert steps
    for step in steps:
        assert step["step_from"] < step["trial"]
        assert str(step["step_from"]) in step["best_so_far"].split(", ")
    assert "## Rounds" not in (tmp_path / "runs" / "steps" / "leaderboard.md").read_text()

    none = command("report", "tiny", "--rounds")
    assert none.returncode == 2
    assert "no rounds" in none.stderr


LETTERS = st.text(st.sampled_from("ab 1.-_±é中\u0301한ｗ🙂|"), max_size=6)


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[LETTERS] * n), min_size=1)))
def test_a_table_in_a_terminal_is_aligned_as_tabulate_does(rows: list[tuple[str, ...]]) -> None:
    head, *cells = rows
    table = Table(tuple(map(Column, head)), tuple(cells))
    texts = [list(head), ["-" * max(map(len, each)) for each in zip(*rows, strict=True)], *cells]
    sides = ("left",) * len(head)
    wanted = tabulate(texts, tablefmt="plain", disable_numparse=True, colalign=sides)
    assert plain_text(table, 1000) == wanted
