"""How a table is written. To add a format, write one function and its line in FORMATS."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hpsearch.report.table import Table

DEFAULT_WIDTH = 100
FIRST_OF_OTHER_WIDTH = "\u0300"
"""Every printable letter before this one takes one column."""


def plain_text(table: Table, width: int = DEFAULT_WIDTH) -> str:
    """Aligned columns for a terminal; headers are broken at underscores where it gets too wide."""
    table = table.for_terminal()
    text = _aligned(table, list(table.names))
    if _width(text) > width:
        text = _aligned(table, [name.replace("_", "_\n") for name in table.names])
    return text


def fitted(table: Table, width: int) -> tuple[Table, list[str]]:
    """Leave out the columns most easily spared until the text is no wider than `width`.

    Returns the narrower table and the names of what was left out, in the table's order.
    """
    table = table.for_terminal()
    order = sorted(range(len(table.columns)), key=lambda i: (-table.columns[i].spare, -i))
    spare = [i for i in order if table.columns[i].spare]
    for count in range(len(spare) + 1):
        left_out = sorted(spare[:count])
        narrow = table.without(left_out)
        if _width(plain_text(narrow, width)) <= width:
            break
    return narrow, [table.names[i] for i in left_out]


def _width(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)


def _aligned(table: Table, headers: list[str]) -> str:
    """Align the columns; a header may have several lines."""
    cells = table.texts()
    broken = [name.split("\n") for name in headers]
    lines = max(map(len, broken), default=0)
    head = [[part[i] if i < len(part) else "" for part in broken] for i in range(lines)]
    rules = ["-" * max(map(len, column)) for column in zip(*head, *cells, strict=True)]
    rows = [[cell.strip() for cell in row] for row in (*head, rules, *cells)]
    widths = [max(map(_columns, column)) for column in zip(*rows, strict=True)]
    sides = _alignment(table) or ("left",) * len(headers)

    def padded(cell: str, width: int, side: str) -> str:
        space = " " * (width - _columns(cell))
        return cell + space if side == "left" else space + cell

    return "\n".join(
        "  ".join(padded(*each) for each in zip(row, widths, sides, strict=True)).rstrip()
        for row in rows
    )


def _columns(text: str) -> int:
    """Count the columns of a terminal that a text takes: letters of some scripts take two."""
    if max(text, default="") < FIRST_OF_OTHER_WIDTH:
        return len(text)
    try:
        from wcwidth import wcswidth
    except ImportError:  # as tabulate, which writes the other formats, does without
        return len(text)
    return wcswidth(text)


def _alignment(table: Table) -> tuple[str, ...] | None:
    if not table.rows:
        return None
    return tuple(
        "left" if any(isinstance(row[i], str) for row in table.rows) else "right"
        for i in range(len(table.columns))
    )


def markdown(table: Table) -> str:
    """A GitHub table."""
    from tabulate import tabulate

    cells = [[_markdown_cell(cell) for cell in row] for row in table.texts()]
    names = [_markdown_cell(name) for name in table.names]
    return tabulate(
        cells, names, tablefmt="github", disable_numparse=True, colalign=_alignment(table)
    )


def _markdown_cell(text: str) -> str:
    """Escape what would be markup; an underscore within a word is none."""
    return re.sub(r"[\\|<>&`*~$\[\]]|\b_|_\b", r"\\\g<0>", text)


def csv_text(table: Table) -> str:
    """Comma-separated values at full precision; an empty cell where there is no value."""
    return "".join(csv_lines([table.names, *table.rows])).removesuffix("\n")


def csv_lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield the lines of rows; the writer must know \\r as an end, or it leaves that unquoted."""
    import csv

    writer = csv.writer(_Line(), lineterminator="\r\n")
    for row in rows:
        line: str = writer.writerow(map(_csv_cell, row))
        yield line.removesuffix("\r\n") + "\n"


class _Line:
    """A file that gives back what is written to it; a csv.writer passes that on."""

    def write(self, text: str) -> str:
        """Return the text."""
        return text


def _csv_cell(cell: Any) -> Any:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, tuple | list):
        return json.dumps(cell)
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + cell  # a spreadsheet would run it as a formula
    return cell


def json_text(table: Table) -> str:
    """A JSON list with one object per row, at full precision; null where there is no value."""
    rows = [dict(zip(table.names, row, strict=True)) for row in table.rows]
    return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False)


def latex(table: Table) -> str:
    """A LaTeX tabular with booktabs rules."""
    from tabulate import tabulate

    text = tabulate(
        table.texts(),
        table.names,
        tablefmt="latex_booktabs",
        disable_numparse=True,
        colalign=_alignment(table),
    )
    return text.replace("|", r"\textbar{}")  # which tabulate leaves as it is, and fonts as a dash


def html_table(table: Table) -> str:
    """An HTML table element, every cell escaped; numbers to the right."""
    from html import escape

    sides = _alignment(table) or ("left",) * len(table.columns)
    styles = [' style="text-align: right;"' if side == "right" else "" for side in sides]

    def row(name: str, cells: Iterable[str]) -> str:
        inside = "".join(
            f"<{name}{style}>{escape(cell)}</{name}>"
            for style, cell in zip(styles, cells, strict=True)
        )
        return f"<tr>{inside}</tr>"

    body = "".join(f"{row('td', cells)}\n" for cells in table.texts())
    head = row("th", table.names)
    return f"<table>\n<thead>\n{head}\n</thead>\n<tbody>\n{body}</tbody>\n</table>"


FORMATS: dict[str, Callable[[Table], str]] = {
    "text": plain_text,
    "markdown": markdown,
    "csv": csv_text,
    "json": json_text,
    "latex": latex,
    "html-table": html_table,
}
