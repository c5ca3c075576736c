"""The pictures of a report. To add one, write a file like these and its line in PICTURES."""

from __future__ import annotations

from collections.abc import Callable

from hpsearch.report.picture import Picture, Report
from hpsearch.report.pictures.curves import curves
from hpsearch.report.pictures.errors import errors
from hpsearch.report.pictures.importance import importances
from hpsearch.report.pictures.parallel import parallel
from hpsearch.report.pictures.path import path
from hpsearch.report.pictures.progress import progress
from hpsearch.report.pictures.projection import projection
from hpsearch.report.pictures.scatter import scatter

PICTURES: dict[str, Callable[[Report], Picture]] = {
    "curves": curves,
    "scatter": scatter,
    "parallel": parallel,
    "importance": importances,
    "progress": progress,
    "projection": projection,
    "errors": errors,
}
"""A page shows them in this order."""

BY_HAND: dict[str, Callable[[Report], Picture]] = {"path": path}
"""The pictures of one model that was trained by hand."""
