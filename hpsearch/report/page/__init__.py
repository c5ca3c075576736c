"""The page of a run: one file that holds everything, and asks nothing of the network."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from hpsearch.diagnosis import Diagnosis, diagnose
from hpsearch.errors import UserError
from hpsearch.report.byhand import acts_table, branches_table
from hpsearch.report.formats import html_table
from hpsearch.report.importance import EXPECTED, IMPORTANCE, expected_table, importance_table
from hpsearch.report.picture import ROLES, Picture, Report
from hpsearch.report.pictures import BY_HAND, PICTURES
from hpsearch.report.rounds import boxes_table
from hpsearch.report.rungs import epochs_text, rungs_table
from hpsearch.report.table import (
    LUCK,
    Column,
    Table,
    leaderboard,
    measure_text,
    printable,
)
from hpsearch.report.ties import ties_text
from hpsearch.space import option_text
from hpsearch.story import Story
from hpsearch.trial import Result, sentence, statuses_text

MOST_FAILURES = 50
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
"""The browser itself refuses whatever the page might ask of the network."""


def report_page(report: Report) -> str:
    """Return the HTML page that tells all about a run.

    report: Of a run with a finished trial.
    Raises:
        UserError: plotly is not installed.
    """
    if report.story is not None:
        return _story_page(report, report.story)
    table = leaderboard([report.run])
    pictures = {name: draw(report) for name, draw in PICTURES.items()}
    drawn = [each for each in pictures.values() if each.panels]
    sections = [
        ("summary", "Summary", _summary(report, table)),
        ("leaderboard", "Leaderboard", _leaderboard(table)),
        *(_picture_section(name, each) for name, each in pictures.items()),
        ("diagnosis", "Diagnosis", _diagnosis(report)),
        ("failed", "What failed, and why", _failures(report)),
        *_rounds(report),
        *_rungs(report),
        *_model(report),
        ("provenance", "Provenance", _provenance(report.provenance)),
        ("config", "Config", f"<pre>{escape(report.config)}</pre>"),
    ]
    return _page(report, sections, drawn, table)


def _story_page(report: Report, story: Story) -> str:
    """Return the page of one model that was trained by hand."""
    pictures = [draw(report) for draw in BY_HAND.values()]
    facts = [
        ("state", report.ended),
        ("judged by", f"{story.metric}, to {story.goal}"),
        ("began with", ", ".join(f"{n} {option_text(v)}" for n, v in story.params.items()) or "-"),
        ("seed", str(story.seed)),
    ]
    acts = _scrolled(acts_table(story)) if story.acts else "<p>None.</p>"
    sections = [
        ("summary", "Summary", _facts(facts)),
        *(_picture_section(each.name, each) for each in pictures),
        ("branches", "Branches", _scrolled(branches_table(story))),
        ("acts", "Acts", acts),
        ("provenance", "Provenance", _provenance(report.provenance)),
        ("config", "Config", f"<pre>{escape(report.config)}</pre>"),
    ]
    return _page(report, sections, pictures, None)


def picture_page(report: Report, picture: Picture) -> str:
    """Return an HTML page of one picture.

    Raises:
        UserError: plotly is not installed.
    """
    return _page(report, [_picture_section(picture.name, picture)], [picture], None)


Section = tuple[str, str, str]
"""Its id, title and HTML."""


def _page(
    report: Report, sections: Sequence[Section], pictures: Sequence[Picture], table: Table | None
) -> str:
    here = files(__name__)
    name = escape(report.run.name)
    links = "".join(f'<a href="#{id_}">{escape(title)}</a>' for id_, title, _ in sections)
    bodies = "".join(
        f'<section id="{id_}"><h2>{escape(title)}</h2>{body}</section>\n'
        for id_, title, body in sections
    )
    data = {
        "pictures": {each.name: each for each in pictures},
        "roles": ROLES,
        "trials": _trials(report, pictures),
        "table": None if table is None else _rows(table),
    }
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{name} - hpsearch</title>
<style>
{(here / "style.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
<h1>{name}</h1>
<button id="theme" type="button" title="Light or dark">Theme</button>
<nav>{links if len(sections) > 1 else ""}</nav>
</header>
<main>
<noscript><p class="note">The table and the pictures need JavaScript.</p></noscript>
{bodies}</main>
<footer>Written by hpsearch. This page is complete: it loads nothing from elsewhere.</footer>
<script type="application/json" id="data">{embedded(data)}</script>
<script>{_plotly()}</script>
<script>
{(here / "page.js").read_text(encoding="utf-8")}</script>
</body>
</html>
"""


def embedded(data: Any) -> str:
    """Write JSON, also of dataclasses, that nothing inside can end or begin a script with."""
    text = json.dumps(
        data, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=vars
    )
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode("utf-8", "backslashreplace").decode()


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise UserError("a page needs plotly: pip install plotly") from None
    source: str = get_plotlyjs()
    return source


def _trials(report: Report, pictures: Iterable[Picture]) -> dict[int, dict[str, str]]:
    """Return what hovering tells of each trial that a picture shows."""
    shown: set[int] = set()
    for picture in pictures:
        for panel in picture.panels:
            for mark in panel.marks:
                shown |= set(getattr(mark, "trials", ()))
                lines = getattr(mark, "lines", ())
                shown |= {line.trial for line in lines if line.trial is not None}
    return {each.trial: _told(report, each) for each in report.run.results if each.trial in shown}


def _told(report: Report, result: Result) -> dict[str, Any]:
    run = report.run
    score = result.status if result.score is None else measure_text(run.metric)(result.score)
    setting = [
        f"{name} {axis.text(result.params[name])}"
        for name, axis in run.space.axes.items()
        if name in result.params
    ]
    return {"score": score, "setting": setting, "message": result.message or ""}


def _rows(table: Table) -> dict[str, Any]:
    """Return the leaderboard with its texts, and beside them the numbers it is sorted by."""
    columns = []
    for i, column in enumerate(table.columns):
        cells = [row[i] for row in table.rows]
        numbers = [each for each in cells if each is not None]
        numeric = all(isinstance(e, int | float) and not isinstance(e, bool) for e in numbers)
        columns.append({"name": column.title or column.name, "numeric": numeric})
    return {
        "columns": columns,
        "rows": table.texts(),
        "keys": [
            [
                float(f"{cell:.7g}") if column["numeric"] and cell is not None else None
                for cell, column in zip(row, columns, strict=True)
            ]
            for row in table.rows
        ],
    }


def _summary(report: Report, table: Table) -> str:
    run = report.run
    facts = [
        ("trials", f"{len(run.results):,}"),
        ("ranked by", f"{run.metric}, to {run.goal}"),
        ("state", report.ended),
    ]
    if report.none_complete:
        words = sentence(f"{report.none_complete}. What failed, and why, is told below")
        return f'<p class="verdict bad">{escape(words)}</p>{_facts(facts)}'
    best = report.ranked[0]
    score = measure_text(run.metric)(best.score)
    facts.insert(0, ("best", f"{run.metric} {score}, trial {best.trial}"))
    verdict = _verdict(report, best)
    if verdict is not None:
        facts.append(("diagnosis of the best", f"{verdict.verdict}; remedy: {verdict.remedy}"))
    if report.lost:
        facts.append(("without a score", statuses_text(report.lost)))
    setting = [
        (name, printable(run.space.axes[name].text(value))) for name, value in best.params.items()
    ]
    ties = ties_text(table)
    return (
        _facts(facts)
        + (f"<h3>The best setting</h3>{_facts(setting)}" if setting else "")
        + (f"<p>{escape(ties)}</p>" if ties else "")
        + (f"<p>{escape(report.tested)}</p>" if report.tested else "")
        + f'<p class="note">{LUCK}</p>'
    )


def _facts(pairs: Iterable[tuple[str, str]]) -> str:
    items = "".join(f"<div><dt>{escape(a)}</dt><dd>{escape(b)}</dd></div>" for a, b in pairs)
    return f"<dl>{items}</dl>"


def _leaderboard(table: Table) -> str:
    tied = (
        "<p>Tied: cannot be told apart from the best, by the scores of the repeats (95%).</p>"
        if "tied" in table.names
        else ""
    )
    return (
        '<p class="tells">Click a heading to sort, a row to see its trial in the pictures.</p>'
        f'{tied}<p><label>Show rows with <input id="filter" type="search"></label> '
        '<span id="count"></span></p>'
        '<p class="note" id="sideways" hidden>There are more columns: scroll sideways. \u2192</p>'
        '<div class="scroll"><table id="board"></table></div>'
        '<p><button id="more" type="button">Show more</button></p>'
    )


def _picture_section(name: str, picture: Picture) -> Section:
    if not picture.panels:
        return name, picture.title, f'<p class="note">No picture: {escape(picture.missing)}.</p>'
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in picture.notes)
    body = (
        f'<p class="tells">{escape(picture.tells)}</p>'
        f'<div class="picture" data-picture="{escape(name)}"></div>{notes}'
    )
    return name, picture.title, body


def _verdict(report: Report, result: Result) -> Diagnosis | None:
    train, dev = result.metrics.get("train_error"), result.metrics.get("dev_error")
    if result.status != "complete" or train is None or dev is None:
        return None
    return diagnose(train, dev, report.run.optimal_error)


def _diagnosis(report: Report) -> str:
    found = [verdict for each in report.ranked if (verdict := _verdict(report, each)) is not None]
    if not found:
        return (
            '<p class="note">None: it takes train_error and dev_error, which no trial with a '
            "score reports.</p>"
        )
    best = _verdict(report, report.ranked[0])
    words = ""
    if best is not None:
        metrics = report.ranked[0].metrics
        words = (
            f"The best trial: train error {metrics['train_error']:.2%}, dev error "
            f"{metrics['dev_error']:.2%} (best achievable {report.run.optimal_error:.2%}). "
            f"Verdict: {best.verdict}; remedy: {best.remedy}."
        )
    rows = tuple(
        (verdict.verdict, verdict.remedy, count) for verdict, count in Counter(found).most_common()
    )
    table = Table((Column("verdict"), Column("first remedy"), Column("trials")), rows)
    return f"<p>{escape(words)}</p>{_scrolled(table)}"


def _failures(report: Report) -> str:
    if not report.lost:
        return "<p>Nothing: every trial has a score.</p>"
    groups: dict[tuple[str, str], list[Result]] = {}
    for each in report.lost:
        groups.setdefault((each.status, kind_of(each.message or "")), []).append(each)
    ordered = sorted(groups.values(), key=lambda group: (-len(group), group[0].trial))
    space = report.run.space
    names = ("how", "why", "count", "trials", "setting of the first")
    heads = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(
        f'<tr><td>{group[0].status}</td><td class="message">{_why(group)}</td>'
        f'<td class="number">{len(group):,}</td><td>{_listed(group)}</td>'
        f"<td>{escape(printable(space.text(group[0].params)))}</td></tr>"
        for group in ordered[:MOST_FAILURES]
    )
    more = len(ordered) - MOST_FAILURES
    note = f'<p class="note">and {more} more reasons</p>' if more > 0 else ""
    return f'<div class="scroll"><table><tr>{heads}</tr>{rows}</table></div>{note}'


VARYING = re.compile(
    r"0x[0-9a-f]+"
    r"|(?<![\w.])(?:[a-z]:)?[\\/][^\s'\",;:()\[\]]+"  # a path
    r"|\d+(?:[.:,_/-]\d+)*(?:e[+-]?\d+)?",
    re.IGNORECASE,
)
"""What may differ between two failures of one kind: addresses, paths, numbers, times, dates."""
MARKERS = re.compile(r"^[ ~]*[~^][ ~^]*(?:\n|\Z)", re.MULTILINE)
"""A line below one of a traceback, with which Python points at a part of it."""


def kind_of(message: str) -> str:
    """Return what a failure's message has in common with others of its kind."""
    return VARYING.sub("*", MARKERS.sub("", message))


def _why(group: Sequence[Result]) -> str:
    """Return the first message of a kind of failure, and whether the others differ from it."""
    message = MARKERS.sub("", group[0].message or "") or "-"
    alike = len({each.message for each in group}) == 1
    note = (
        "" if alike else '<div class="note">the others differ in a number, a path or a time</div>'
    )
    return f"{escape(message)}{note}"


def _listed(results: Sequence[Result], most: int = 8) -> str:
    more = f" and {len(results) - most} more" if len(results) > most else ""
    return ", ".join(str(each.trial) for each in results[:most]) + more


def _rounds(report: Report) -> list[Section]:
    table = boxes_table(report.run.space, report.run.results)
    return [] if table is None else [("rounds", "Rounds", _scrolled(table))]


def _rungs(report: Report) -> list[Section]:
    run, rungs = report.run, report.rungs
    table = rungs_table(report.steps, run.goal, run.metric, rungs) if rungs else None
    if table is None:
        return []
    saved = f"<p>{escape(epochs_text(report.steps, rungs[-1]) or '')}.</p>"
    return [("rungs", "Rungs", _scrolled(table) + saved)]


def _model(report: Report) -> list[Section]:
    """Return what the model of the search says of each parameter; nothing without one."""
    if not report.beliefs:
        return []
    texts = [f"<p>{escape(text)}</p>" for text in (report.of_rung, IMPORTANCE) if text]
    expected = expected_table(report.run.space, report.beliefs, report.run.metric)
    tables = _scrolled(importance_table(report.beliefs)), _scrolled(expected)
    body = "".join([*texts, *tables, f"<p>{escape(EXPECTED)}</p>"])
    return [("model", "What the model believes", body)]


def _scrolled(table: Table) -> str:
    return f'<div class="scroll">{html_table(table)}</div>'


def _provenance(provenance: Mapping[str, Any]) -> str:
    if not provenance:
        return '<p class="note">The run kept none.</p>'
    note = '<p class="note">It names your machine and paths: look before you publish it.</p>'
    sessions = provenance.get("sessions") or []
    wanted = ("started", "command", "host", "jobs", "versions", "git", "seconds", "ended")
    rows = tuple(tuple(_plain(session.get(key)) for key in wanted) for session in sessions)
    table = _scrolled(Table(tuple(map(Column, wanted)), rows))
    rest = {key: value for key, value in provenance.items() if key != "sessions"}
    text = json.dumps(rest, indent=2, ensure_ascii=False)
    return f"{note}{table}<details><summary>All of it</summary><pre>{escape(text)}</pre></details>"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "-" if value is None else option_text(value)
