"""The page of a run, read as a browser would read it; and the commands that write it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Invocation

from hpsearch.cli import cli
from hpsearch.derived import report_of
from hpsearch.lines import encode
from hpsearch.report import forest
from hpsearch.report.page import embedded, report_page
from hpsearch.report.pictures import PICTURES
from hpsearch.store import CONFIG, RECORD, RunFolder
from hpsearch.trial import Result

HOSTILE = (
    "<script>alert(1)</script>",
    "</script>",
    "</ScRiPt ><img src=x onerror=alert(1)>",
    "\"quoted\" 'twice' & &lt;",
    "$x^2$ ${alert(1)} {{x}}",
    "<!-- <script>",
    "ünïcödé \u2028 ☃",
)

TEXT = """\
metric: {name: dev_error, goal: minimize}
objective: {trainer: mlp, epochs: 3}
data: {source: digits}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1}
  optimizer:     {values: [adam, momentum]}
budget: {trials: 40}
"""

PROGRAM = """\
metric: {{name: "<i>loss</i>", goal: minimize}}
objective: {{command: "true {{name}} {{x}}"}}
parameters:
  x: {{min: 0, max: 1}}
  name: {{values: {values}}}
budget: {{trials: 40}}
"""


def result(number: int, score: float | None, params: dict[str, Any], **more: Any) -> Result:
    given = {
        "metrics": {} if score is None else {"dev_error": score, "train_error": score / 3},
        "curve": {"dev_error": [0.9, score]},
        "started": f"2026-01-01T00:00:{number:02}+00:00",
        "seconds": 1.25,
        **more,
    }
    status = "complete" if score is not None else "failed"
    unit = (0.5,) * len(params)
    return Result(number, status, params, unit, 7, 3, score, **given)


def plain(number: int, score: float | None, **more: Any) -> Result:
    params = {
        "learning_rate": 0.001 * (number + 1),
        "optimizer": "adam" if number % 2 else "momentum",
    }
    return result(number, score, params, **more)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def made(runs: Path, results: list[Result], text: str = TEXT, name: str = "a") -> RunFolder:
    folder = RunFolder(runs / name)
    with folder.claim():
        folder.write(CONFIG, text)
        for each in results:
            folder.append(each)
    return folder


def by_hand(runs: Path) -> RunFolder:
    """One model that was trained by hand, with hostile notes and a branch that was left."""
    folder = RunFolder(runs / "by_hand")
    with folder.claim_acts():
        folder.write(CONFIG, TEXT)
        start = {"kind": "start", "params": {"learning_rate": 0.1}, "seed": 1, "epochs": 9}
        folder.append_act({**start, "metric": "dev_error", "goal": "minimize"})
        for branch in (1, 2):
            for epoch in range(1 if branch == 1 else 3, 7):
                metrics = {"dev_error": 0.5 / epoch / branch, "train_error": 0.1}
                event = {"kind": "epoch", "branch": branch, "epoch": epoch, "seconds": 0.1}
                folder.append_act({**event, "metrics": metrics})
            for note in HOSTILE:
                folder.append_act({"kind": "act", "act": "note", "text": f"note {note}"})
            if branch == 1:
                folder.append_act({"kind": "act", "act": "back", "to": 2, "text": "back 2"})
    return folder


def hostile(runs: Path) -> RunFolder:
    """A run in which everything that comes from outside is hostile."""
    text = PROGRAM.format(values=json.dumps(HOSTILE))
    results = [
        result(
            i,
            None if i % 5 == 4 else 0.01 * (i + 1),
            {"x": i / 20, "name": HOSTILE[i % len(HOSTILE)]},
            message=HOSTILE[i % len(HOSTILE)] if i % 5 == 4 else None,
            curve={each: [0.5, 0.4] for each in HOSTILE},
            metrics={} if i % 5 == 4 else {HOSTILE[0]: 0.5, "train_error": 0.1, "dev_error": 0.2},
        )
        for i in range(20)
    ]
    folder = made(runs, results, text)
    session = {"started": HOSTILE[0], "command": list(HOSTILE), "host": HOSTILE[1]}
    folder.write_provenance(
        {
            "config": {"folder": str(runs)},
            "identity": {},
            "sources": {each: each for each in HOSTILE},
            "sessions": [session],
        }
    )
    return folder


@pytest.fixture
def command(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Invocation]:
    """Run `hpsearch report` in this process; a traceback fails the test."""
    monkeypatch.chdir(runs.parent)

    def run(*arguments: object) -> Invocation:
        words = ["report", "--runs-dir", str(runs), *map(str, arguments)]
        return CliRunner().invoke(cli, words, catch_exceptions=False)

    return run


class Page(HTMLParser):
    """What a browser makes of a page: its elements, its scripts and its text."""

    VOID = ("meta", "link", "img", "br", "input", "hr")

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif "style" not in self.open:
            self.text += data

    @property
    def data(self) -> dict[str, Any]:
        """What the page's own script reads."""
        return dict(json.loads(self.scripts[0], parse_constant=lambda word: pytest.fail(word)))


def page_of(outcome: Invocation, path: Path) -> Page:
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout == ""
    assert f"Wrote {path}" in outcome.stderr
    return Page(path.read_text(encoding="utf-8"))


def fails(outcome: Invocation, *parts: str) -> None:
    assert outcome.exit_code == 2, outcome.output
    assert outcome.stdout == ""
    for part in parts:
        assert part in outcome.stderr


SECTIONS = [
    "summary",
    "leaderboard",
    *PICTURES,
    "diagnosis",
    "failed",
    "provenance",
    "config",
]


def test_the_page_has_every_section_and_a_link_to_each(
    runs: Path, command: Callable[..., Invocation]
) -> None:
    made(runs, [plain(i, 0.01 * (i + 1)) for i in range(12)])
    page = page_of(command("a", "--html"), runs / "a" / "report.html")
    sections = [attrs["id"] for tag, attrs in page.elements if tag == "section"]
    assert sections == SECTIONS
    links = [attrs["href"] for tag, attrs in page.elements if tag == "a"]
    assert links == [f"#{each}" for each in SECTIONS]
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert "budget: {trials: 40}" in page.text
    assert page.data["pictures"].keys() == PICTURES.keys()


def test_the_page_asks_nothing_of_the_network(
    runs: Path, command: Callable[..., Invocation]
) -> None:
    made(runs, [plain(i, 0.01 * (i + 1)) for i in range(12)])
    page = page_of(command("a", "--html"), runs / "a" / "report.html")
    for tag, attrs in page.elements:
        assert tag not in ("link", "img", "iframe", "base")
        assert "src" not in attrs
        assert (attrs.get("href") or "#").startswith("#")
    (policy,) = [
        attrs["content"]
        for _, attrs in page.elements
        if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_the_leaderboard_of_the_page_is_that_of_the_terminal(
    runs: Path, command: Callable[..., Invocation]
) -> None:
    scores = [0.3, 0.1, None, 0.2]
    made(runs, [plain(i, each, scores=[each] * 3 if each else []) for i, each in enumerate(scores)])
    table = page_of(command("a", "--html"), runs / "a" / "report.html").data["table"]
    names = [column["name"] for column in table["columns"]]
    assert names[:5] == ["rank", "trial", "score", "±", "tied"]
    assert [row[1] for row in table["rows"]] == ["1", "3", "0", "2"]
    assert [row[0] for row in table["keys"]] == [1, 2, 3, None]
    assert table["rows"][0][2] == "0.1000"


def test_everything_from_outside_is_text(runs: Path, command: Callable[..., Invocation]) -> None:
    hostile(runs)
    page = page_of(command("a", "--html"), runs / "a" / "report.html")
    assert len(page.scripts) == 3
    assert [tag for tag, _ in page.elements].count("script") == 3
    assert not [tag for tag, _ in page.elements if tag in ("img", "i", "b")]
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    for each in HOSTILE:
        shown = each.replace("\u2028", "\\u2028")
        assert any(shown in row for row in page.data["table"]["rows"]), each
        assert each in page.text
        assert any(f"name {each}" in told["setting"] for told in page.data["trials"].values())
    titles = [panel["title"] for panel in page.data["pictures"]["curves"]["panels"]]
    assert set(titles) <= set(HOSTILE)
    assert "alert(1)" not in page.scripts[2]


@pytest.mark.parametrize("name", PICTURES)
def test_a_page_of_one_picture_holds_only_that(
    name: str, runs: Path, command: Callable[..., Invocation]
) -> None:
    hostile(runs)
    page = page_of(command("a", "--plot", name, "-o", "one.html"), Path("one.html"))
    assert list(page.data["pictures"]) == [name]
    assert page.data["table"] is None
    assert [attrs["id"] for tag, attrs in page.elements if tag == "section"] == [name]


@pytest.mark.parametrize("text", HOSTILE)
def test_embedded_json_ends_no_script_and_is_read_as_it_was(text: str) -> None:
    written = embedded({text: [text]})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {text: [text]}


def test_half_a_letter_pair_is_written_all_the_same() -> None:
    assert json.loads(embedded(["\ud83d"])) == ["\ud83d"]


def test_the_page_is_the_same_at_every_call(runs: Path, command: Callable[..., Invocation]) -> None:
    hostile(runs)
    for name in ("one.html", "two.html"):
        assert command("a", "--html", name).exit_code == 0
    assert Path("one.html").read_bytes() == Path("two.html").read_bytes()


def test_a_run_with_only_failures_has_a_page_that_says_so(
    runs: Path, command: Callable[..., Invocation]
) -> None:
    made(runs, [plain(i, None, message=f"out of luck {i // 2}") for i in range(4)])
    page = page_of(command("a", "--html"), runs / "a" / "report.html")
    assert (
        "No trial of the run a is complete (4 failed); trial 0 failed: out of luck 0." in page.text
    )
    assert "out of luck 0" in page.text
    assert "2, 3" in page.text
    assert page.data["pictures"].keys() == {"curves", "projection"}
    for name in ("scatter", "errors", "importance", "parallel", "progress"):
        why = f"the run a has no picture '{name}': no trial is complete"
        fails(command("a", "--plot", name, "-o", "x.png"), why)
    assert not Path("x.png").exists()


def test_failures_that_differ_in_a_number_a_path_or_a_time_are_one_kind(
    runs: Path, command: Callable[..., Invocation]
) -> None:
    messages = [
        f"could not read {place} at 12:0{i}:11, row {7 * i}\n  bad(x)\n  {'^' * (i + 3)}"
        for i, place in enumerate(("/data/a/part-3.csv", "/other/part.csv", "C:\\x\\y.csv"))
    ]
    lost = [plain(i, None, message=each) for i, each in enumerate([*messages, "another"])]
    made(runs, [*lost, plain(4, 0.1)])
    page = page_of(command("a", "--html"), runs / "a" / "report.html")
    failed = page.text[page.text.rindex("What failed, and why") : page.text.rindex("Provenance")]
    assert "could not read /data/a/part-3.csv at 12:00:11, row 0\n  bad(x)" in failed
    assert "the others differ in a number, a path or a time30, 1, 2" in failed
    assert "/other/part.csv" not in failed
    assert "^" not in failed
    assert "failedanother13" in failed


def test_ties_are_told_in_words(runs: Path, command: Callable[..., Invocation]) -> None:
    scores = [[0.1, 0.2], [0.12, 0.19], [0.9, 0.91]]
    made(runs, [plain(i, sum(each) / 2, scores=each) for i, each in enumerate(scores)])
    table = page_of(command("a", "--html"), runs / "a" / "report.html").data["table"]
    assert [row[4] for row in table["rows"]] == ["with the best", "with the best", "no"]


def test_a_run_that_is_being_written_has_a_page_of_what_is_whole(
    runs: Path, command: Callable[..., Invocation]
) -> None:
    folder = made(runs, [plain(i, 0.1) for i in range(3)])
    with folder.claim():
        with (folder.path / RECORD).open("ab") as file:
            file.write(encode(plain(3, 0.1))[:50])
        page = page_of(command("a", "--html"), folder.path / "report.html")
    assert "not finished: 3 of 40 trials so far" in page.text


def test_without_scikit_learn_the_page_says_what_to_install(
    runs: Path,
    command: Callable[..., Invocation],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    without = tmp_path_factory.mktemp("without")
    (without / "sklearn.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(without)  # which the process beside this one has too
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    made(runs, [plain(i, 0.01 * (i + 1)) for i in range(12)])
    page = page_of(command("a", "--html"), runs / "a" / "report.html")
    assert "importance needs scikit-learn: pip install 'hpsearch[report]'" in page.text


def test_without_plotly_a_sentence_says_what_to_install(
    runs: Path, command: Callable[..., Invocation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    folder = made(runs, [plain(0, 0.1)])
    fails(command("a", "--html"), "needs plotly: pip install plotly")
    assert not (folder.path / "report.html").exists()


# What goes wrong


def test_an_empty_run_is_a_sentence(runs: Path, command: Callable[..., Invocation]) -> None:
    made(runs, [])
    fails(command("a", "--html"), "the run a has no finished trial yet")
    fails(command("a", "--plot", "curves", "-o", "x.png"), "the run a has no finished trial yet")
    fails(command("a", "--watch"), "the run a has no finished trial yet")


def test_what_is_no_run_is_a_sentence(runs: Path, command: Callable[..., Invocation]) -> None:
    made(runs, [plain(0, 0.1)], name="digits")
    fails(command("digit", "--html"), "there is no run 'digit'", "Did you mean 'digits'?")
    fails(command("digit", "--watch"), "there is no run 'digit'")


def test_a_record_of_a_newer_version_is_a_sentence(
    runs: Path, command: Callable[..., Invocation], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(runs / "a")
    with monkeypatch.context() as newer, folder.claim():
        newer.setattr("hpsearch.lines.FORMAT", 99)
        folder.write(CONFIG, TEXT)
        folder.append(plain(0, 0.1))
    for arguments in (["--html"], ["--plot", "curves", "-o", "x.svg"], ["--watch"]):
        fails(command("a", *arguments), "format 99", "upgrade hpsearch")
    assert not (folder.path / "report.html").exists()


def test_a_run_named_after_html_is_not_taken_for_a_file(
    runs: Path, command: Callable[..., Invocation]
) -> None:
    made(runs, [plain(0, 0.1)])
    fails(command("--html", "a"), "'a' was read as the file of --html", "hpsearch report a --html")


@pytest.mark.parametrize("name", ["x.pdf", "x", "x.png.gz", "png"])
def test_an_unknown_ending_is_a_sentence(
    name: str, runs: Path, command: Callable[..., Invocation]
) -> None:
    made(runs, [plain(0, 0.1)])
    fails(command("a", "--plot", "curves", "-o", name), f"'{name}'", ".png, .svg or .html")
    assert not Path(name).exists()


def test_a_picture_needs_a_file(runs: Path, command: Callable[..., Invocation]) -> None:
    made(runs, [plain(0, 0.1)])
    fails(command("a", "--plot", "curves"), "-o curves.png")
    fails(command("a", "-o", "x.png"), "--output is the file of --plot")
    fails(command("a", "--plot", "curve", "-o", "x.png"), "'curve' is not one of")


@pytest.mark.parametrize("arguments", [["--html"], ["--plot", "curves", "-o"]])
def test_a_place_that_cannot_be_written_is_a_sentence(
    arguments: list[str], runs: Path, command: Callable[..., Invocation]
) -> None:
    made(runs, [plain(0, 0.1)])
    Path("folder.html").mkdir()
    Path("file").write_text("")
    fails(command("a", *arguments, "nowhere/x.html"), "there is no folder nowhere")
    fails(command("a", *arguments, "folder.html"), "folder.html is a folder")
    fails(command("a", *arguments, "file/x.html"), "there is no folder file")
    assert sorted(path.name for path in Path().iterdir()) == ["file", "folder.html", "runs"]


def test_a_page_that_could_not_be_written_leaves_the_old_one(
    runs: Path, command: Callable[..., Invocation]
) -> None:
    folder = made(runs, [plain(0, 0.1)])
    (folder.path / ".report.html.new").mkdir()  # so that none can be written beside
    (folder.path / "report.html").write_text("old")
    fails(command("a", "--html"), "report.html", "--html FILE.html")
    assert (folder.path / "report.html").read_text() == "old"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["a", "--html", "--watch"], "--html and --watch are several reports"),
        (["a", "--rounds", "--plot", "curves"], "--rounds and --plot are several reports"),
        (["a", "b", "--html"], "--html shows one run"),
        (["a", "--open", "--top", "3"], "--html takes no --top"),
        (["a", "--watch", "--format", "json"], "--watch takes no --top, --all, --sort or --format"),
    ],
)
def test_options_that_do_not_go_together_are_a_sentence(
    arguments: list[str], part: str, runs: Path, command: Callable[..., Invocation]
) -> None:
    made(runs, [plain(0, 0.1)])
    made(runs, [plain(0, 0.1)], name="b")
    fails(command(*arguments), part)


def test_open_shows_the_page_in_the_browser(
    runs: Path, command: Callable[..., Invocation], monkeypatch: pytest.MonkeyPatch
) -> None:
    import webbrowser

    browser = runs.parent / "browser"
    browser.write_text('#!/bin/sh\nprintf %s "$1" > opened\n')
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    monkeypatch.setattr(webbrowser, "_tryorder", None)  # or it remembers another test's browser
    folder = made(runs, [plain(0, 0.1)])
    page_of(command("a", "--open"), folder.path / "report.html")
    assert Path("opened").read_text() == (folder.path / "report.html").resolve().as_uri()


def test_a_report_knows_the_steps_of_trials(runs: Path) -> None:
    report = report_of(made(runs, [plain(i, 0.1) for i in range(3)]))
    assert [each.trial for each in report.steps] == [0, 1, 2]
    assert report.config == TEXT


def asked() -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    places = rng.random((40, 3))
    return places, np.argsort(np.argsort(places[:, 0])) / 39


def test_a_forest_in_another_process_comes_to_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = forest.errors(*asked())
    monkeypatch.delattr(forest, "errors")  # so that it is not asked here
    with forest.Aside() as aside:
        there = aside(*asked())
    assert all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))


@pytest.mark.parametrize("harm", ["not started", "killed"])
def test_without_that_process_a_forest_is_asked_in_this_one(
    monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    if harm == "not started":
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with forest.Aside() as aside:
        if aside._process is not None:
            aside._process.kill()
        found = aside(*asked())
    wanted = forest.errors(*asked())
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_the_page_says_what_the_model_of_a_search_believes_and_of_which_rung(runs: Path) -> None:
    results = [
        replace(plain(number, 0.5 - 0.05 * number), unit=(number / 8, number % 2 / 2), rung=0)
        for number in range(8)
    ]
    method = "method: {name: halving, propose: bayes, min: 1}\nbudget"
    page = report_page(report_of(made(runs, results, TEXT.replace("budget", method))))
    section = page.partition('<section id="model">')[2].partition("</section>")[0]
    assert "those after 3 epochs, the highest rung" in section
    assert section.count("<td>learning_rate</td>") == 1 + 5
    assert section.count("<td>optimizer</td>") == 1 + 2
    other = report_page(report_of(made(runs, [plain(0, 0.5)], name="b")))
    assert 'id="model"' not in other
