"""How much each parameter matters for the rank of a trial."""

from __future__ import annotations

from hpsearch.report.picture import Axis, Bars, Panel, Picture, Report, short

TITLE = "Importance of each parameter"
MOST_BARS = 25
WEAK = 0.1
"""Where the model explains less than this, it has learned nothing that is worth reading."""


def importances(report: Report) -> Picture:
    """Draw a bar for each parameter, the most important on top."""
    known = report.importance
    if isinstance(known, str):
        return Picture("importance", TITLE, "", (), missing=known)
    names = known.names[:MOST_BARS]
    rows = tuple(float(len(names) - 1 - i) for i in range(len(names)))
    values, errors = known.values[: len(names)], known.errors[: len(names)]
    lowest = min(0.0, *(value - error for value, error in zip(values, errors, strict=True)))
    highest = max(0.0, *(value + error for value, error in zip(values, errors, strict=True)))
    weak = known.explained < WEAK
    share = f"{known.explained:.0%}" if known.explained > 0 else "nothing"
    trust = (
        f"A random forest, asked about trials it has not seen, explains {share} of how the "
        f"{known.trials} trials rank"
    )
    return Picture(
        "importance",
        TITLE,
        "Permutation importance: how much worse a random forest predicts the rank of a trial once "
        "the values of a parameter are shuffled. It is about 0, by chance even less, for one that "
        "does not matter; the whisker is ± one standard error. report --importance measures "
        "something else: each parameter's share of how the score changes, by a Gaussian process.",
        (
            Panel(
                "",
                Axis("loss of explained variance", short(1.1 * lowest), short(1.08 * highest) or 1),
                Axis("", -0.6, len(names) - 0.4, tuple(zip(rows, names, strict=True))),
                (Bars("middle" if not weak else "rest", rows, values, errors),),
            ),
        ),
        (
            f"{trust}: too little to tell which parameters matter; run more trials."
            if weak
            else f"{trust}. It tells of the ranges that were searched, not of others.",
        ),
    )
