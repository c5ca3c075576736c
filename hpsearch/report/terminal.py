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
    low, high, _ = usual_range(values)
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
