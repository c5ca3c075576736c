"""A curve drawn in letters, for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hpsearch.report.picture import usual_range

BLOCKS = " ▁▂▃▄▅▆▇█"


def curve_text(
    values: Sequence[float], text: Callable[[float], str], width: int, height: int, *, unicode: bool
) -> list[str]:
    """Draw values from left to right as a filled curve, `height` lines high.

    Values far from the others, as the first ones often are, stand at the edge.

    Args:
        values: At least one; where there are more than columns, a column shows the last of its
            share, as the best score so far is one that holds from then on.
        text: How a value is written at the side.
        width: Columns in all.
        unicode: False to draw with # alone.
    """
    low, high, _ = usual_range(values, values[-1:])
    names = {0: text(low), height - 1: text(high)}
    margin = max(map(len, names.values())) + 1
    count, columns = len(values), max(1, width - margin)
    shown = [values[-(-(i + 1) * count // columns) - 1] for i in range(columns)]
    steps = len(BLOCKS) - 1 if unicode else 1
    most = height * steps - 1
    # The lowest value is one step high, so that the curve is seen everywhere.
    shares = ((min(high, max(low, each)) - low) / (high - low or 1) for each in shown)
    levels = [1 + round(share * most) for share in shares]
    lines = []
    for row in reversed(range(height)):
        parts = (min(steps, max(0, level - row * steps)) for level in levels)
        drawn = "".join(BLOCKS[part] if unicode else " #"[part] for part in parts)
        lines.append(f"{names.get(row, ''):>{margin - 1}} {drawn}".rstrip())
    return lines


def chart_text(
    curves: Sequence[tuple[str, Sequence[float | None]]],
    text: Callable[[float], str],
    width: int,
    height: int,
    *,
    last: int,
    marks: Sequence[int] = (),
    mark: str = "^",
) -> list[str]:
    """Draw curves over the epochs as points, with both axes, in `height` lines.

    Values far from the others, as the first ones often are, stand at the edge.

    Args:
        curves: The letter of each and its values from epoch 1 on; later ones are drawn over
            earlier ones.
        text: How a value is written at the side.
        width: Columns in all.
        last: The epoch at the right end.
        marks: Epochs that are marked below.
    """
    known = [value for _, values in curves for value in values if value is not None]
    low, high, _ = usual_range(known) if known else (0.0, 1.0, 0)
    rows = max(1, height - 2)
    names = {0: text(high), rows - 1: text(low)} if known else {}
    margin = max((len(each) for each in names.values()), default=0) + 1
    columns = max(1, width - margin - 1)

    def column(epoch: int) -> int:
        return round((epoch - 1) * (columns - 1) / max(last - 1, 1))

    grid = [[" "] * columns for _ in range(rows)]
    for letter, values in curves:
        for epoch, value in enumerate(values, start=1):
            if value is not None and epoch <= last:
                share = (min(high, max(low, value)) - low) / (high - low or 1)
                grid[rows - 1 - round(share * (rows - 1))][column(epoch)] = letter
    lines = [
        f"{names.get(row, ''):>{margin - 1}} |{''.join(cells)}".rstrip()
        for row, cells in enumerate(grid)
    ]
    below = [" "] * columns
    for epoch in marks:
        if 1 <= epoch <= last:
            below[column(epoch)] = mark
    return [*lines, f"{'':>{margin}}|{''.join(below)}".rstrip(), _axis(last, margin, columns)]


def _axis(last: int, margin: int, columns: int) -> str:
    """Write some epochs below their columns."""
    line = [" "] * (margin + 1 + columns)
    step = next(
        (n * 10**k for k in range(10) for n in (1, 2, 5) if n * 10**k * columns >= 8 * last), last
    )
    for epoch in [1, *range(step, last + 1, step)]:
        at = margin + 1 + round((epoch - 1) * (columns - 1) / max(last - 1, 1))
        word = str(epoch)
        at = min(at, len(line) - len(word))
        if all(each == " " for each in line[max(0, at - 1) : at + len(word) + 1]):
            line[at : at + len(word)] = word
    return "".join(line).rstrip()
