"""Tables of results, and the formats they are written in."""

from hpsearch.report.formats import FORMATS, csv_text
from hpsearch.report.rounds import boxes_table, steps_table
from hpsearch.report.table import Column, Run, Table, leaderboard, sort_table, trials_table
from hpsearch.report.ties import ties_text

__all__ = [
    "FORMATS",
    "Column",
    "Run",
    "Table",
    "boxes_table",
    "csv_text",
    "leaderboard",
    "sort_table",
    "steps_table",
    "ties_text",
    "trials_table",
]
