"""Runs seen from outside: their list, two side by side, the best setting; on a terminal."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import TINY
from honest_helpers import call, done, moved, on_screen, refused
from hpsearch.cli.best import SETTING_FORMAT_NAMES
from hpsearch.errors import UserError
from hpsearch.overview import Entry, age_text, due, entries
from hpsearch.report.settings import SETTING_FORMATS, as_env, as_flags, as_json, as_yaml
from hpsearch.store import RunFolder
from hpsearch.yamlfile import parse_yaml

OTHER = TINY.replace("epochs: 2", "epochs: 3").replace("trials: 6", "trials: 4")
LONG = "a-run-with-a-name-that-is-as-long-as-a-name-of-a-person-in-a-hurry"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("overview")
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "other.yaml").write_text(f"parent: tiny\n{OTHER}")
    (folder / "f.py").write_text("def score(rate):\n    raise ValueError('no')\n")
    (folder / "broken.yaml").write_text(
        'objective: {python: "f.py:score"}\nmetric: {name: loss, goal: minimize}\n'
        "parameters: {rate: {min: 0, max: 1}}\nbudget: {trials: 5, failures: 2}\n"
    )
    for name in ("tiny", "other", "broken"):
        assert call(folder, "run", f"{name}.yaml", "-q", "-j", 1).exit_code == (name == "broken")
    done(folder, "retest", "tiny", "--top", 2, "--repeats", 2, "-q", "-j", 1)
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    return moved(made, tmp_path / "here")


def listed(folder: Path, *arguments: object) -> dict[str, dict[str, Any]]:
    found = json.loads(done(folder, "list", "--json", *arguments).stdout)
    return {each["run"]: each for each in found}


def change(folder: RunFolder, **fields: Any) -> None:
    """Change what the last command of a run wrote down of itself."""
    provenance = folder.provenance()
    provenance["sessions"][-1] |= fields
    folder.write_provenance(provenance)


def best_score(run: RunFolder) -> float:
    """The lowest score of a run."""
    return min(each.score for each in run.results() if each.score is not None)


def test_every_run_is_listed_with_its_state(here: Path) -> None:
    cut = here / "runs" / "other" / "trials.jsonl"
    cut.write_bytes(b"".join(cut.read_bytes().splitlines(keepends=True)[:2]))
    change(RunFolder(here / "runs" / "other"), ended="signal")
    (here / "runs" / "notes").mkdir()
    found = listed(here)
    states = {name: each["state"] for name, each in found.items()}
    assert states == {
        "tiny": "complete",
        "other": "interrupted",
        "broken": "failed",
        "tiny-retest": "complete",
    }
    assert (found["other"]["trials"], found["other"]["parent"]) == (2, "tiny")
    assert found["tiny-retest"]["retest"] is True
    best = best_score(RunFolder(here / "runs" / "tiny"))
    assert found["tiny"]["best"] == best
    assert found["broken"]["best"] is None


def test_one_that_cannot_be_read_hides_no_other_and_says_why(here: Path) -> None:
    (here / "runs" / "other" / "config.yaml").write_text("nonsense: [")
    record = here / "runs" / "broken" / "trials.jsonl"
    record.write_bytes(b"x" + record.read_bytes())
    found = listed(here)
    assert found["tiny"]["state"] == "complete"
    assert found["other"]["state"] == found["broken"]["state"] == "unreadable"
    assert "config.yaml:1" in found["other"]["problem"]
    assert "trials.jsonl:1: this line of the record is damaged" in found["broken"]["problem"]
    shown = done(here, "list")
    assert [line.split()[1] for line in shown.stdout.splitlines()[-2:]] == ["unreadable"] * 2
    assert max(map(len, shown.stdout.splitlines())) <= 110
    assert "other cannot be read: config.yaml:1:" in shown.stderr
    assert "broken cannot be read: trials.jsonl:1: this line of the record is dam" in shown.stderr


def test_a_run_without_a_complete_trial_is_described_alike_everywhere(here: Path) -> None:
    sentence = "No trial of the run broken is complete (2 failed); trial 0 failed: ValueError: no."
    assert sentence in done(here, "list").stderr
    assert sentence in done(here, "report", "broken").stderr
    assert sentence in done(here, "report", "broken", "--watch").stdout
    done(here, "report", "broken", "--html", "page.html")
    assert sentence in (here / "page.html").read_text()
    assert listed(here)["broken"]["problem"] == sentence[0].lower() + sentence[1:-1]


def test_a_version_that_changed_makes_a_run_due_until_it_is_retested(here: Path) -> None:
    tiny = RunFolder(here / "runs" / "tiny")
    old = {**tiny.provenance()["sessions"][-1]["versions"], "numpy": "1.0", "joblib": "0.1"}
    assert listed(here)["tiny"]["due"] is None
    change(tiny, versions=old)
    assert listed(here)["tiny"]["due"] is None  # its retest is newer than the change
    shutil.rmtree(here / "runs" / "tiny-retest")
    assert listed(here)["tiny"]["due"].startswith("numpy 1.0 -> ")
    assert list(listed(here, "--due")) == ["tiny"]
    assert "* numpy 1.0" in done(here, "list").stdout


def test_data_that_changed_or_are_gone_make_a_run_due(here: Path) -> None:
    rows = ["x,y,kind"] + [f"{i % 7},{i % 5},{'ab'[i % 7 > 3]}" for i in range(60)]
    (here / "d.csv").write_text("\n".join(rows))
    text = TINY.replace("source: digits", "source: d.csv, label: kind")
    (here / "csv.yaml").write_text(text.replace("trials: 6", "trials: 2"))
    done(here, "run", "csv.yaml", "-q", "-j", 1)
    assert listed(here)["csv"]["due"] is None
    (here / "d.csv").write_text("\n".join(rows[:-1]))
    assert listed(here)["csv"]["due"] == "d.csv changed"
    (here / "d.csv").unlink()
    assert "d.csv" in listed(here)["csv"]["due"]


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(name: str, days: int, **fields: Any) -> Entry:
    known = {"trials": 3, "metric": "loss", "best": 0.1, "best_trial": 0, "parent": None}
    last = NOW - timedelta(days=days)
    rest = {"state": "complete", "is_retest": False, "changes": (), **known, **fields}
    return Entry(name=name, last=last, **rest)


def test_a_run_is_due_when_it_and_its_last_retest_are_old() -> None:
    old, fresh, stopped = entry("a", 100), entry("b", 10), entry("c", 100, state="interrupted")
    retest = entry("b-retest", 5, parent="a", is_retest=True)
    limit = timedelta(days=90)
    assert due(old, [old, fresh], NOW, limit) == "older than 90d"
    assert due(old, [old, retest], NOW, limit) is None
    assert due(old, [old, retest], NOW, timedelta(days=3)) == "older than 3d"
    assert due(fresh, [fresh], NOW, limit) is None
    assert due(stopped, [stopped], NOW, limit) is None
    assert due(retest, [retest], NOW, timedelta(days=1)) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (10**7, "115d")]
)
def test_an_age_is_written_in_its_largest_unit(seconds: int, text: str) -> None:
    assert age_text(timedelta(seconds=seconds)) == text


def test_mistakes_in_list_are_sentences(here: Path) -> None:
    assert "there is no folder" in refused(here, "list", "--runs-dir", "lost")
    found = call(here, "list", "--older-than", "soon")
    assert found.exit_code == 2
    assert "'soon' must be a duration above 0 such as 90s" in found.stderr
    (here / "empty").mkdir()
    assert done(here, "list", "--runs-dir", "empty").stdout == "no runs in empty\n"


# compare


def test_two_runs_are_compared_by_what_differs_and_what_that_gained(made: Path) -> None:
    found = json.loads(done(made, "compare", "tiny", "other", "--json").stdout)
    assert found["differences"] == [
        {"key": "objective.epochs", "values": [2, 3]},
        {"key": "budget.trials", "values": [6, 4]},
    ]
    bests = [best_score(RunFolder(made / "runs" / name)) for name in ("tiny", "other")]
    assert found["gain"]["best"] == bests[0] - bests[1]
    assert "luck is part of it" in found["gain"]["text"]
    assert found["figures"]["best_score"] == bests  # at full precision
    assert found["figures"]["trials"] == [6, 4]
    assert found["figures"]["epochs"] == [12, 12]
    shown = done(made, "compare", "tiny", "other").stdout
    assert "objective.epochs  2     3" in shown
    same = done(made, "compare", "tiny", "tiny").stdout
    assert "The configs are the same." in same
    assert "Both bests have the same score" in same


def test_runs_of_different_metrics_show_what_differs_and_no_gain(made: Path) -> None:
    shown = done(made, "compare", "tiny", "broken").stdout
    assert re.search(r"metric\.name +dev_error +loss", shown)
    why = (
        "The scores cannot be compared: tiny is to minimize dev_error and broken to minimize loss."
    )
    assert why in shown
    found = json.loads(done(made, "compare", "tiny", "broken", "--json").stdout)
    assert found["gain"]["best"] is None
    assert {"key": "metric.name", "values": ["dev_error", "loss"]} in found["differences"]


def test_a_run_without_a_complete_trial_has_no_gain_and_an_empty_one_is_refused(
    here: Path,
) -> None:
    shown = done(here, "compare", "broken", "broken").stdout
    nothing = "no trial of the run broken is complete (2 failed); trial 0 failed: ValueError: no"
    assert f"The scores cannot be compared: {nothing}." in shown
    (here / "runs" / "tiny" / "trials.jsonl").write_bytes(b"")
    assert "the run tiny has no finished trial yet" in refused(here, "compare", "other", "tiny")


def test_the_same_data_in_another_place_and_what_only_the_program_knows_are_no_difference(
    here: Path,
) -> None:
    rows = ["x,y,kind"] + [f"{i % 7},{i % 5},{'ab'[i % 7 > 3]}" for i in range(60)]
    for name, end in (("d", ""), ("e", ""), ("f", "\n3,3,a")):
        (here / f"{name}.csv").write_text("\n".join(rows) + end)
        text = TINY.replace("source: digits", f"source: {name}.csv, label: kind")
        (here / f"{name}.yaml").write_text(text.replace("trials: 6", "trials: 2"))
        done(here, "run", f"{name}.yaml", "-q", "-j", 1)
    assert differing(here, "d", "e") == {}
    changed = differing(here, "d", "f")
    assert changed.keys() == {"data.source", "data.sha256"}
    assert changed["data.source"] == ["d.csv", "f.csv"]
    assert len(changed["data.sha256"][0]) == 64
    halving = TINY.replace("epochs: 2", "epochs: 3") + "method: halving\n"
    (here / "halving.yaml").write_text(halving.replace("trials: 6", "trials: 3"))
    done(here, "run", "halving.yaml", "-q", "-j", 1)
    assert differing(here, "tiny", "halving").keys() == {
        "objective.epochs",
        "method.name",
        "method.max",
        "budget.trials",
    }


def differing(folder: Path, *names: str) -> dict[str, list[Any]]:
    found = json.loads(done(folder, "compare", *names, "--json").stdout)["differences"]
    return {each["key"]: each["values"] for each in found}


def test_a_warm_start_is_told_of(here: Path) -> None:
    text = TINY.replace("trials: 6", "trials: 2") + "method: bayes\n"
    (here / "warm.yaml").write_text(text)
    done(here, "run", "warm.yaml", "--warm-start", "tiny", "-q", "-j", 1)
    assert differing(here, "tiny", "warm")["warm_start"] == [None, "tiny"]
    shown = done(here, "compare", "tiny", "warm").stdout
    assert "warm began with what the run tiny had found (warm start)" in shown


# best


VALUES = st.one_of(
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1),
    st.lists(st.integers(0, 99), max_size=3).map(tuple),
)
SETTINGS = st.dictionaries(st.from_regex(r"[a-z][a-z_0-9]{0,9}", fullmatch=True), VALUES)


@given(SETTINGS)
@settings(max_examples=40, deadline=None)
def test_a_setting_comes_back_from_every_form(setting: dict[str, Any]) -> None:
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in setting.items()}
    assert json.loads(as_json(setting)) == plain
    assert parse_yaml(as_yaml(setting).encode(), "s").value == plain
    texts = {key: v if isinstance(v, str) else json.dumps(v) for key, v in plain.items()}
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for key in setting:
        parser.add_argument(f"--{key}", dest=f"value {key}")
    found = vars(parser.parse_args(shlex.split(as_flags(setting))))
    assert {key: found[f"value {key}"] for key in setting} == texts
    lines = dict(shlex.split(line)[0].split("=", 1) for line in as_env(setting).splitlines())
    assert lines == {key.upper(): text for key, text in texts.items()}


def test_names_that_would_be_one_in_the_environment_are_refused() -> None:
    with pytest.raises(UserError, match="a and A would both be A in the environment"):
        as_env({"a": 1, "b": 2, "A": 3})


def test_best_prints_the_setting_of_the_best_trial_and_nothing_else(made: Path) -> None:
    best = min(
        RunFolder(made / "runs" / "tiny").results(), key=lambda each: (each.score, each.trial)
    )
    expected = {"epochs": 2, **best.params}
    process = subprocess.run(
        [sys.executable, "-m", "hpsearch", "best", "tiny", "--json"],
        cwd=made,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(process.stdout) == expected
    assert process.stderr == ""
    yaml = done(made, "best", "tiny").stdout
    assert parse_yaml(yaml.encode(), "s").value == expected


def test_the_command_offers_every_form() -> None:
    assert set(SETTING_FORMAT_NAMES) == set(SETTING_FORMATS)


def test_a_model_goes_to_a_file_of_its_own_kind_only(made: Path) -> None:
    assert "must end in .npz" in refused(made, "best", "tiny", "--model", "m.bin")
    assert "there is no folder lost" in refused(made, "best", "tiny", "--model", "lost/m.npz")


# The terminal


@pytest.fixture(scope="module")
def crowded(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = moved(made, tmp_path_factory.mktemp("crowded") / "here")
    shutil.copytree(folder / "runs" / "tiny", folder / "runs" / LONG)
    change(RunFolder(folder / "runs" / LONG), versions={"numpy": "1.26.4", "python": "3.9.1"})
    (folder / "runs" / "other" / "config.yaml").write_text("nonsense: [")
    return folder


COMMANDS = {
    "list": ["list", "--older-than", "1s"],
    "compare": ["compare", "tiny", "tiny-retest"],
    "retest": ["retest", "tiny", "--top", 2, "--repeats", 2],
    "evaluate": ["evaluate", "tiny", "--again"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_view_fits_a_terminal_of_80_columns(crowded: Path, command: str) -> None:
    lines, seen = on_screen(crowded, *COMMANDS[command], columns=80)
    for line in seen.decode().replace("\x1b", " ").splitlines():
        words = line.split()
        assert len(line) <= 80 + 12 * line.count(" [") or words[0] == "hpsearch", line
    assert len(lines) <= 24
    assert "Next:" in lines
    assert (b"\x1b[3" in seen) == (command == "list")  # its states have colours


def test_no_color_and_pipes_are_honoured_and_a_run_that_is_due_is_in_the_hint(
    crowded: Path,
) -> None:
    lines, seen = on_screen(crowded, "list", columns=200, NO_COLOR="1")
    assert b"\x1b[3" not in seen
    assert f"  hpsearch retest {LONG}" in lines
    piped = subprocess.run(
        [sys.executable, "-m", "hpsearch", "list"], cwd=crowded, capture_output=True, timeout=60
    )
    assert b"\x1b" not in piped.stdout + piped.stderr
    assert b"* " in piped.stdout


def test_an_error_on_a_terminal_is_broken_between_words_and_its_command_stays_whole(
    crowded: Path,
) -> None:
    done(crowded, "evaluate", "tiny", "--again", "-q")
    lines, _ = on_screen(crowded, "evaluate", "tiny", columns=60, code=2)
    assert lines[0].startswith("hpsearch: The test set was opened")
    assert lines[-1] == "  hpsearch evaluate tiny --again"
    piped = call(crowded, "evaluate", "tiny").stderr
    assert " ".join(" ".join(lines).split()) == " ".join(piped.split())


def test_report_names_the_next_commands_on_a_terminal_only_and_they_find_the_run(
    crowded: Path, tmp_path: Path
) -> None:
    lines, _ = on_screen(crowded, "report", "tiny")
    at = lines.index("Next:")
    assert lines[at + 1 : at + 3] == ["  hpsearch refine tiny", "  hpsearch report tiny --html"]
    elsewhere, _ = on_screen(tmp_path, "report", crowded / "runs" / "tiny", columns=400)
    assert f"  hpsearch refine tiny --runs-dir {crowded / 'runs'}" in elsewhere
    for arguments in (["tiny", "-q"], ["broken", "-q"]):
        quiet, _ = on_screen(crowded, "report", *arguments)
        assert quiet[0].startswith("rank")
        assert not [line for line in quiet if ":" in line]
    assert "Next:" not in done(crowded, "report", "tiny").stderr


def test_verbose_commands_say_more_and_only_on_stderr(crowded: Path) -> None:
    for arguments, word in (
        (["report", "tiny"], "  data, SHA-256: "),
        (["best", "tiny"], "  seed: "),
        (["compare", "tiny", "tiny-retest"], "  started: "),
        (["list"], f"{LONG} 1: "),
    ):
        plain, verbose = done(crowded, *arguments), done(crowded, *arguments, "-v")
        ages = re.compile(r"\b\d+s\b")  # a second may pass between the two
        assert ages.sub("", plain.stdout) == ages.sub("", verbose.stdout)
        assert word in verbose.stderr
        assert word not in plain.stderr


def test_each_importance_says_what_it_measures_and_names_the_other(crowded: Path) -> None:
    told = done(crowded, "report", "tiny", "--importance").stderr
    assert "By a Gaussian process of the scores" in told
    assert "The picture of the importance measures something else" in told
    assert done(crowded, "report", "tiny", "--importance", "-q").stderr == ""


def test_a_script_gets_json_from_every_view(crowded: Path) -> None:
    rows = json.loads(done(crowded, "report", "tiny", "--json").stdout)
    assert rows == json.loads(done(crowded, "report", "tiny", "--format", "json").stdout)
    assert "--json is --format json" in refused(crowded, "report", "tiny", "--json", "-f", "csv")
    for arguments in (["list"], ["best", "tiny"], ["compare", "tiny", "tiny-retest"]):
        json.loads(done(crowded, *arguments, "--json").stdout)


def test_quiet_commands_print_their_answer_or_nothing(crowded: Path) -> None:
    assert done(crowded, "evaluate", "tiny", "--again", "-q").output == ""
    assert done(crowded, "retest", "tiny", "--top", 2, "--repeats", 2, "-q").output == ""
    found = done(crowded, "list", "-q")
    assert (found.stdout != "", found.stderr) == (True, "")


def test_entries_are_listed_by_age(made: Path) -> None:
    found = entries(made / "runs")
    assert [each.name for each in found] == ["tiny", "other", "broken", "tiny-retest"]
