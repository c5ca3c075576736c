"""Pictures as files for a paper: the same panels, drawn with matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hpsearch.errors import UserError
from hpsearch.report.picture import ROLES, Axis, Panel, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "best": "#d9480f",
    "top": "#1c5fb8",
    "middle": "#6f9fd8",
    "rest": "#b4bcc8",
    "lost": "#b3123f",
    "plain": "#5b6575",
    "box": "#e8a33d",
    "grid": "#5b6575",
}
WIDTHS = {"best": 2.2, "top": 1.1, "plain": 1.2}
SHAPES = {"dot": "o", "cross": "x", "square": "s", "end": "|"}
COLUMNS = 3
"""So many panels stand beside each other."""
LETTERS = 13
"""So many letters of a tick take an inch; where the ticks meet, they are written at a slant."""
SLANTED = 3
"""So many slanted ticks an inch at most; more stand upright."""
SHARE = 0.8
"""How much of a panel's width its axis takes, about."""


def drawing(picture: Picture, ending: str) -> bytes:
    """Return a picture as a PNG or SVG file, on white; of several to choose from, the first.

    ending: `png` or `svg`.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            f"a picture as .{ending} needs matplotlib: pip install 'hpsearch[report]'\n"
            "Or write it as .html, which needs nothing more."
        ) from None

    panels = picture.panels[:1] if picture.choose else picture.panels
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    width = (9.0 if picture.wide else 6.4) if columns == 1 else 3.6 * columns
    height = 4.2 if rows == columns == 1 else 2.9 * rows + 0.5
    # Names are shown as they are, a $ too; the file is the same at every call.
    settings: Any = {"text.parse_math": False, "svg.hashsalt": "hpsearch", "font.size": 9}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        grid: Any = figure.subplots(rows, columns, squeeze=False)
        cells = [cell for row in grid for cell in row]
        for cell, panel in zip(cells, panels, strict=False):
            _draw(cell, panel, width / columns)
        for cell in cells[len(panels) :]:
            cell.axis("off")
        _legend(figure, cells[: len(panels)])
        out = io.BytesIO()
        metadata = {"Date": None} if ending == "svg" else {"Software": None}
        figure.savefig(out, format=ending, dpi=200, metadata=metadata)
    return out.getvalue()


def _legend(figure: Any, cells: list[Axes]) -> None:
    entries: dict[str, Any] = {}
    for cell in cells:
        handles, labels = cell.get_legend_handles_labels()
        entries.update(zip(labels, handles, strict=True))
    if len(entries) > 1:
        figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside lower center",
            ncols=min(int(figure.get_figwidth() / 1.5), len(entries)),
            frameon=False,
        )


def _draw(cell: Axes, panel: Panel, width: float) -> None:
    for mark in panel.marks:
        label = mark.label or ROLES[mark.role]
        DRAW[mark.kind](cell, mark, COLOURS[mark.role], {"label": label} if label else {})
    _axis(cell, panel.x, "x", width, on_top=bool(panel.uprights))
    _axis(cell, panel.y, "y", width)
    cell.spines[["top", "right"]].set_visible(False)
    if panel.uprights:
        _uprights(cell, panel.uprights)


def _lines(cell: Axes, mark: Any, colour: str, keywords: dict[str, Any]) -> None:
    for line in mark.lines:
        y = [math.nan if value is None else value for value in line.y]
        style = "--" if mark.role == "plain" else "-"
        width = WIDTHS.get(mark.role, 0.7)
        cell.plot(line.x, y, style, color=colour, lw=width, alpha=0.9, **keywords)
        keywords = {}  # one entry in the legend for all


def _points(cell: Axes, mark: Any, colour: str, keywords: dict[str, Any]) -> None:
    size = 44 if mark.role == "best" else 16
    if mark.shape == "square":
        keywords = {**keywords, "facecolors": "none", "edgecolors": colour, "linewidths": 0.8}
    elif mark.shape == "dot":
        keywords = {**keywords, "color": colour, "linewidths": 0}
    else:
        keywords = {**keywords, "color": colour, "linewidths": 1.1}
    cell.scatter(mark.x, mark.y, s=size, marker=SHAPES[mark.shape], zorder=3, **keywords)


def _bars(cell: Axes, mark: Any, colour: str, keywords: dict[str, Any]) -> None:
    whisker = {"capsize": 3, "lw": 1}
    cell.barh(
        mark.y, mark.lengths, 0.65, xerr=mark.errors, color=colour, error_kw=whisker, **keywords
    )


def _boxes(cell: Axes, mark: Any, colour: str, keywords: dict[str, Any]) -> None:
    for low, high in zip(mark.low, mark.high, strict=True):
        cell.axvspan(low, high, color=colour, alpha=0.12, lw=0, **keywords)
        keywords = {}


DRAW: dict[str, Callable[[Any, Any, str, dict[str, Any]], None]] = {
    "lines": _lines,
    "points": _points,
    "bars": _bars,
    "boxes": _boxes,
}


def _axis(cell: Axes, side: Axis, way: str, width: float, *, on_top: bool = False) -> None:
    setters: Any = cell.xaxis if way == "x" else cell.yaxis
    (cell.set_xlim if way == "x" else cell.set_ylim)(side.low, side.high)
    (cell.set_xlabel if way == "x" else cell.set_ylabel)(side.label)
    if side.ticks is not None:
        texts = [_cut(text, side.letters) for _, text in side.ticks]
        setters.set_ticks([at for at, _ in side.ticks], texts)
        if way == "x" and _meet(side, texts, width):
            upright = len(texts) > SLANTED * width
            cell.tick_params("x", rotation=90 if upright else 30)
            if not upright and not on_top:  # the end of a text stands at its tick
                for text in cell.get_xticklabels():
                    text.set(ha="right", rotation_mode="anchor")


def _meet(side: Axis, texts: Sequence[str], width: float) -> bool:
    """Tell whether texts below a panel of so many inches would touch each other."""
    inches = SHARE * width / (side.high - side.low)
    ticks = sorted(zip([at for at, _ in side.ticks or ()], texts, strict=True))
    return any(
        (len(a) + len(b) + 2) / 2 / LETTERS > (right - left) * inches
        for (left, a), (right, b) in pairwise(ticks)
    )


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _uprights(cell: Axes, uprights: tuple[Axis, ...]) -> None:
    cell.spines[:].set_visible(False)
    cell.xaxis.tick_top()
    cell.tick_params("x", length=0)
    for i, side in enumerate(uprights):
        cell.plot([i, i], [side.low, 1], color="#5b6575", lw=1)
        for at, text in side.ticks or ():
            around = {"facecolor": "white", "alpha": 0.7, "pad": 0.6, "linewidth": 0}
            cell.text(
                i + 0.03, at, _cut(text, side.letters), fontsize=7.5, va="center", bbox=around
            )
