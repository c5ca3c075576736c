"""DataSource: what decides the numbers is in its identity, and so in the name of its cache."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import pytest

from data_files import source_of, write
from hpsearch.data import DataSource, pipeline

OTHER: dict[str, Any] = {
    "label": "a",
    "fractions": (("train", 0.8), ("dev", 0.2)),
    "seed": 1,
    "categorical": ("a",),
    "ignore": ("a",),
    "missing": "median",
    "stratify": False,
    "folds": 3,
    "image": (1, 1),
    "regression": True,
}
BYTES = {"source", "folder", "sha256"}


def plain(folder: Path, **keys: Any) -> DataSource:
    write(folder, "a,kind\n1,x\n2,y\n3,x\n4,y\n")
    return source_of("t.csv", "kind", folder, **keys).fingerprinted()


@pytest.mark.parametrize("field", sorted({field.name for field in fields(DataSource)} - BYTES))
def test_every_field_but_those_of_the_bytes_is_in_the_identity_and_the_cache_key(
    tmp_path: Path, field: str
) -> None:
    one = plain(tmp_path)
    other = replace(one, **{field: OTHER[field]})
    assert other.identity() != one.identity()
    assert pipeline.cache_key(other) != pipeline.cache_key(one)
    assert json.loads(json.dumps(other.identity())) == other.identity()


def test_the_identity_holds_four_keys_and_what_is_not_as_usual(tmp_path: Path) -> None:
    one = plain(tmp_path)
    assert list(one.identity()) == ["sha256", "label", "split", "seed"]
    usual = {field.name for field in fields(DataSource) if field.default is not MISSING}
    for name in usual - BYTES:
        other = replace(one, **{name: OTHER[name]}).identity()
        assert list(other) == ["sha256", "label", "split", "seed", name]


def test_a_moved_file_has_the_same_identity(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert plain(tmp_path).identity() == plain(tmp_path / "sub").identity()


@pytest.mark.parametrize("key", ["categorical", "ignore"])
def test_the_order_of_columns_makes_no_other_identity(tmp_path: Path, key: str) -> None:
    one = plain(tmp_path, **{key: ("b", "a")})
    other = plain(tmp_path, **{key: ("a", "b", "a")})
    assert one == other
    assert one.identity()[key] == ["a", "b"]


def test_what_is_no_key_of_data_is_not_written_in_its_section(tmp_path: Path) -> None:
    section = plain(tmp_path, regression=True, folds=3).section(str)
    assert set(section) == {"source", "label", "split", "seed", "folds"}
