"""Tables and pictures of results, and the formats they are written in.

The page and the pictures are imported from their own modules, as most commands need neither.
"""

from hpsearch.report.formats import FORMATS, csv_lines, csv_text
from hpsearch.report.importance import (
    beliefs,
    beliefs_table,
    expected_table,
    importance_table,
)
from hpsearch.report.rounds import boxes_table, steps_table
from hpsearch.report.rungs import epochs_text, rungs_table, stops_table
from hpsearch.report.table import (
    LUCK,
    Column,
    Run,
    Table,
    leaderboard,
    sort_table,
    trials_columns,
    trials_table,
)
from hpsearch.report.ties import ties_text

__all__ = [
    "FORMATS",
    "LUCK",
    "Column",
    "Run",
    "Table",
    "beliefs",
    "beliefs_table",
    "boxes_table",
    "csv_lines",
    "csv_text",
    "epochs_text",
    "expected_table",
    "importance_table",
    "leaderboard",
    "rungs_table",
    "sort_table",
    "steps_table",
    "stops_table",
    "ties_text",
    "trials_columns",
    "trials_table",
]
