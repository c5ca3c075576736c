"""A curve drawn in letters, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"


def curve_text(
    values: Sequence[float], labels: tuple[str, str], width: int, height: int, *, unicode: bool
) -> list[str]:
    """Draw values from left to right as a filled curve, `height` lines high.

    Args:
        values: At least one; where there are more than columns, a column shows the last of its
            share, as the best score so far is one that holds from then on.
        labels: What stands at the highest and at the lowest value.
        unicode: False to draw with # alone.
    """
    margin = max(map(len, labels)) + 1
    columns = max(1, min(width - margin - 1, len(values) if len(values) > 8 else 8 * len(values)))
    count = len(values)
    shown = [
        values[(i + 1) * count // columns - 1 if columns < count else i * count // columns]
        for i in range(columns)
    ]
    low, high = min(values), max(values)
    steps = len(BLOCKS) - 1 if unicode else 1
    full = height * steps
    # The lowest value is one step high, so that the curve is seen everywhere.
    levels = [
        full if high == low else 1 + round((value - low) / (high - low) * (full - 1))
        for value in shown
    ]
    lines = []
    for row in reversed(range(height)):
        name = labels[0] if row == height - 1 else labels[1] if row == 0 and high != low else ""
        parts = (min(steps, max(0, level - row * steps)) for level in levels)
        drawn = "".join((BLOCKS[part] if unicode else " #"[part]) for part in parts)
        lines.append(f"{name:>{margin - 1}} {drawn}".rstrip())
    return lines
