"""Data sets: read one by its name or its path, part it in train, dev and test, normalise it.

A new format is one function that makes a Table or an Arrays from a path, and its line in
`readers.READERS`. A new shipped set is one file with its licence beside it, or one function in
`generated`, and its line in `shipped.DATASETS`.
"""

from __future__ import annotations

from hpsearch.data.dataset import Dataset
from hpsearch.data.prepared import Examples, Split, split
from hpsearch.data.preparing import prepare
from hpsearch.data.readers import READERS, Reader
from hpsearch.data.reading import read
from hpsearch.data.shipped import DATASETS, Shipped
from hpsearch.data.source import DataSource
from hpsearch.data.splitting import PARTS

__all__ = [
    "DATASETS",
    "PARTS",
    "READERS",
    "DataSource",
    "Dataset",
    "Examples",
    "Reader",
    "Shipped",
    "Split",
    "prepare",
    "read",
    "split",
]
