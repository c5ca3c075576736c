"""Data sets: read one by its name or its path, part it in train, dev and test, normalise it.

A new format is one function that makes a Table or an Arrays from a path, and its line in
`readers.READERS`. A new shipped set is one file with its licence beside it, or one function in
`generated`, and its line in `shipped.DATASETS`.
"""

from __future__ import annotations

from hpsearch.data.assemble import read
from hpsearch.data.cache import cache_root
from hpsearch.data.dataset import Dataset
from hpsearch.data.encoding import Encoding, read_inputs
from hpsearch.data.examples import Split, split
from hpsearch.data.pipeline import prepare, prepare_final
from hpsearch.data.readers import READERS
from hpsearch.data.shares import PARTS
from hpsearch.data.shipped import DATASETS
from hpsearch.data.source import DataSource

__all__ = [
    "DATASETS",
    "PARTS",
    "READERS",
    "DataSource",
    "Dataset",
    "Encoding",
    "Split",
    "cache_root",
    "prepare",
    "prepare_final",
    "read",
    "read_inputs",
    "split",
]
