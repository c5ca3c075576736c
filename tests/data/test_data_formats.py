"""Formats: the same examples come out of each, and what is damaged is refused in words."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_files import HALVES, IDX_CODES, example_of, idx_bytes, load, refusal, splits, write
from hpsearch.data import READERS, Split

X = np.arange(60).reshape(12, 5) % 7
Y = np.arange(12) % 3


def bits(split: Split) -> list[bytes]:
    parts = [split.train, split.dev, split.test]
    return [each.tobytes() for part in parts for each in part] + [split.mean.tobytes()]


@pytest.mark.parametrize("ending", READERS)
def test_every_format_gives_the_same_examples(tmp_path: Path, ending: str) -> None:
    source, label = example_of(ending, tmp_path, X, Y)
    found = load(source, label, tmp_path)
    assert found.take(np.arange(12)).tolist() == X.tolist()
    assert found.y.tolist() == Y.tolist()
    assert (found.features[0], found.classes) == ("x_0", ("0", "1", "2"))
    plain = example_of(".csv", tmp_path, X, Y)
    assert bits(*splits(source, label, tmp_path)) == bits(*splits(*plain, tmp_path))


@pytest.mark.parametrize("ending", READERS)
def test_every_format_can_be_given_part_by_part(tmp_path: Path, ending: str) -> None:
    found: dict[str, Any] = {}
    for part, at in (("train", slice(0, 9)), ("dev", slice(9, 12))):
        (tmp_path / part).mkdir()
        source, label = example_of(ending, tmp_path / part, X[at], Y[at])
        found[part] = (f"{part}/{source}", label and f"{part}/{label}")
    label = {part: name for part, (_, name) in found.items()}
    if READERS[ending].label != "file":
        label = label["train"] and "kind"
    sources = {part: name for part, (name, _) in found.items()}
    (split,) = splits(sources, label, tmp_path, fractions=())
    assert (len(split.train.y), len(split.dev.y), len(split.test.y)) == (9, 3, 0)
    assert split.dev.y.tolist() == Y[9:].tolist()
    raw = split.dev.x * split.std + split.mean
    assert raw == pytest.approx(X[9:], abs=1e-5)


@pytest.mark.parametrize("ending", [end for end in READERS if READERS[end].label == "file"])
def test_labels_in_a_file_of_their_own_must_be_named(tmp_path: Path, ending: str) -> None:
    source, label = example_of(ending, tmp_path, X, Y)
    assert refusal(source, None, tmp_path) == (
        f"{source}: which file holds the labels? Name it, as in `label: y.npy`",
        "label",
    )
    text, key = refusal({"train": source, "dev": source}, label, tmp_path)
    assert "as in `label: {train: y.npy, dev: y.npy}`" in text
    assert key == "label"
    text, key = refusal(source, "none.npy", tmp_path)
    assert (text[:22], key) == ("there is no file none.", "label")
    write(tmp_path, "a,b\n1,2\n", "y.csv")
    assert "are an array in a file of their own" in refusal(source, "y.csv", tmp_path)[0]
    short, _ = example_of(ending, tmp_path, Y[:4, None], Y)
    (tmp_path / short).rename(tmp_path / f"short{ending}")
    example_of(ending, tmp_path, X, Y)
    text, _ = refusal(source, f"short{ending}", tmp_path)
    assert f"x has 12 examples and y ({tmp_path}/short{ending}) has 4" in text or "has 4;" in text


# IDX


@pytest.mark.parametrize("kind", IDX_CODES)
@pytest.mark.parametrize("name", ["x-idx3-ubyte", "x.idx3-ubyte", "x.idx", "x.idx.gz"])
def test_every_number_that_idx_can_hold_is_read(tmp_path: Path, kind: str, name: str) -> None:
    x = np.arange(24).reshape(4, 2, 3)
    write(tmp_path, idx_bytes(x, kind), name)
    write(tmp_path, idx_bytes([0, 1, 0, 1]), "y.idx")
    found = load(name, "y.idx", tmp_path)
    assert found.take(np.arange(4)).tolist() == x.reshape(4, -1).tolist()
    assert found.image == (2, 3, 1)


BAD_IDX: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "t.idx: empty; copy it again"),
    "text": (b"a,b\n", "t.idx: not an IDX file: it begins with the bytes 612c620a, and not with"),
    "other": (b"\x01\x02\x08\x03", "; copy it again, or, if it is of another format, end its"),
    "kind": (b"\0\0\x07\x01", "t.idx: not an IDX file: it begins with the bytes 00000701"),
    "no_dimension": (b"\0\0\x08\0", "t.idx: not an IDX file"),
    "packed": (gzip.compress(b"abc"), "it is compressed, so end its name with .gz"),
    "header": (b"\0\0\x08\x03\0\0\0\x01", "t.idx: cut short: its header names 3 dimensions"),
    "cut": (idx_bytes(X)[:-1], "of shape (12, 5) and dtype uint8 has 60 bytes, found 59; copy it"),
    "long": (idx_bytes(X) + b"\0", "t.idx: longer than its header says: an array of shape (12, 5)"),
    "huge": (b"\0\0\x08\x03" + b"\xff" * 12, "t.idx: cut short"),
    "none": (idx_bytes(X[:0]), "t.idx: x has shape (0, 5)"),
    "flat": (idx_bytes(Y), "t.idx: x has shape (12,); (examples, features) is needed"),
    "nan": (idx_bytes(X * np.nan, ">f4"), "t.idx: x[0, 0] is nan; every value must be finite"),
}


@pytest.mark.parametrize("case", BAD_IDX)
@pytest.mark.parametrize("ending", [".idx", ".idx.gz"])
def test_a_bad_idx_file_is_refused(tmp_path: Path, case: str, ending: str) -> None:
    content, sentence = BAD_IDX[case]
    if ending == ".idx.gz" and case == "packed":
        return
    write(tmp_path, content, f"t{ending}")
    write(tmp_path, idx_bytes(Y), "y.idx")
    text = refusal(f"t{ending}", "y.idx", tmp_path)[0]
    for part in sentence.replace("t.idx", f"t{ending}").split("found 59"):
        assert part in text


@pytest.mark.parametrize("damage", ["cut", "plain"])
def test_a_damaged_gzip_of_an_idx_file_is_refused(tmp_path: Path, damage: str) -> None:
    packed = gzip.compress(idx_bytes(X))
    (tmp_path / "t.idx.gz").write_bytes({"cut": packed[:-9], "plain": idx_bytes(X)}[damage])
    assert "not a whole gzip file" in refusal("t.idx.gz", "y.idx", tmp_path_with(tmp_path))[0]


def tmp_path_with(folder: Path) -> Path:
    write(folder, idx_bytes(Y), "y.idx")
    return folder


# .npy


class Bomb:
    def __reduce__(self) -> Any:
        return exec, ("raise AssertionError('unpickled')",)


def test_an_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    bomb = np.array([Bomb(), 1], dtype=object)
    np.save(tmp_path / "x.npy", bomb)
    np.save(tmp_path / "y.npy", [0, 1])
    assert "x.npy: an array of objects, which is not" in refusal("x.npy", "y.npy", tmp_path)[0]
    np.savez(tmp_path / "t.npz", x=bomb, y=[0, 1])
    assert "t.npz: x or y is an object array, which" in refusal("t.npz", None, tmp_path)[0]


@pytest.mark.parametrize("cut", [1, 40, 100, -1])
def test_an_npy_file_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    source, label = example_of(".npy", tmp_path, X, Y)
    whole = (tmp_path / source).read_bytes()
    (tmp_path / source).write_bytes(whole[:cut])
    assert refusal(source, label, tmp_path)[0].startswith("t.npy: ")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["u1", ">i2", "i8", "f2", ">f4", "f8", "?"])
def test_every_dtype_and_order_of_npy_is_read(tmp_path: Path, kind: str, order: Any) -> None:
    x = (np.arange(24).reshape(4, 2, 3) % 5).astype(kind)
    np.save(tmp_path / "x.npy", np.asarray(x, order=order))
    np.save(tmp_path / "y.npy", np.array(["a", "b", "a", "b"]))
    found = load("x.npy", "y.npy", tmp_path)
    assert found.take(np.arange(4)).tolist() == x.reshape(4, -1).astype(float).tolist()
    assert found.classes == ("a", "b")


def test_an_array_in_fortrans_order_is_not_copied_whole(tmp_path: Path) -> None:
    x = np.arange(240).reshape(12, 4, 5)
    np.save(tmp_path / "x.npy", np.asfortranarray(x))
    np.save(tmp_path / "y.npy", Y)
    found: Any = load("x.npy", "y.npy", tmp_path).x
    assert all(isinstance(block.base, np.memmap) for block in found.blocks)
    assert found.shape == (12, 20)
    rows = np.array([7, 0, 11])
    assert np.array_equal(found[rows], x.reshape(12, 20)[rows])


def test_an_npy_file_is_mapped_rather_than_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    base: Any = load("x.npy", "y.npy", tmp_path).x
    while getattr(base, "base", None) is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


# Parquet


def parquet(folder: Path, columns: dict[str, Any], name: str = "t.parquet") -> str:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table(columns), folder / name)
    return name


def test_a_parquet_file_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    text, key = refusal("t.parquet", "kind", tmp_path)
    assert "pip install 'hpsearch[parquet]'" in text
    assert key == "source"


def test_numbers_text_booleans_and_dictionaries_of_parquet_are_read(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from decimal import Decimal

    source = parquet(
        tmp_path,
        {
            "small": pa.array([1, 2, None, 4], pa.int8()),
            "flag": [True, False, True, True],
            "price": pa.array([Decimal("1.5"), Decimal("2.5"), None, Decimal("0")]),
            "size": ["1", "2", "3", "4"],
            "colour": pa.array(["red", None, "blue", "red"]).dictionary_encode(),
            "kind": pa.array(["x", "y", "x", "y"]).dictionary_encode(),
        },
    )
    found = load(source, "kind", tmp_path, missing="median")
    assert found.features == ("small", "flag", "price", "size", "colour=blue", "colour=red")
    x = found.take(np.arange(4))
    nan = np.nan
    wanted = [
        [1, 1, 1.5, 1, 0, 1],
        [2, 0, 2.5, 2, nan, nan],
        [nan, 1, nan, 3, 1, 0],
        [4, 1, 0, 4, 0, 1],
    ]
    assert np.array_equal(x, wanted, equal_nan=True)
    assert found.classes == ("x", "y")


def test_what_is_wrong_in_parquet_is_said(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    kind = ["x", "y", "x", "y"]
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no parquet PAR1")
    assert "damaged, or not a Parquet file" in refusal("t.parquet", "kind", tmp_path)[0]
    cases: list[tuple[dict[str, Any], str, str | None]] = [
        ({"a": [[1], [2], [3], [4]], "kind": kind}, "column 'a' is of the nested type list<", None),
        ({"a": pa.array([0] * 4, pa.timestamp("us")), "kind": kind}, "type timestamp[us]", None),
        ({"a": [1, None, 3, 4], "kind": kind}, "t.parquet: row 2: column 'a' is empty, a", None),
        ({"a": [1, 2, np.inf, 4.0], "kind": kind}, "row 3: column 'a' is inf, not finite", None),
        ({"a": [1, 2, 3, 4], "kind": ["x", None, "x", "y"]}, "row 2: column 'kind' is empty", None),
        ({"a": [1, 2, 3, 4]}, "no column 'kind'. Columns: a.", "label"),
        ({"kind": kind}, "the label 'kind' is the only column", None),
        ({"a": pa.array([], pa.int8()), "kind": pa.array([], pa.int8())}, "and no rows", None),
    ]
    for columns, sentence, key in cases:
        text, found = refusal(parquet(tmp_path, columns), "kind", tmp_path)
        assert sentence in text
        assert found == key
    nested = parquet(tmp_path, {"a": [1, 2, 3, 4], "b": [[1]] * 4, "kind": kind})
    assert load(nested, "kind", tmp_path, ignore=("b",)).features == ("a",)


def test_two_columns_of_parquet_with_one_name_are_refused(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table([[1, 2], [3, 4], ["x", "y"]], names=["a", "a", "kind"])
    pq.write_table(table, tmp_path / "t.parquet")
    text, _ = refusal("t.parquet", "kind", tmp_path)
    assert "columns 1 and 2 are both called 'a'" in text


words = st.one_of(
    st.none(), st.integers(-9, 9).map(str), st.sampled_from(["NA", "", "red", "x y", "1,5", "inf"])
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(st.tuples(words, words), min_size=4, max_size=12), data=st.data())
def test_text_means_the_same_in_csv_and_in_parquet(
    tmp_path: Path, cells: list[tuple[str | None, str | None]], data: st.DataObject
) -> None:
    kind = [["p", "q"][i % 2] for i in range(len(cells))]
    keys: dict[str, Any] = {
        "missing": data.draw(st.sampled_from(["refuse", "median"])),
        "categorical": data.draw(st.sampled_from([(), ("a",)])),
        "fractions": HALVES,
    }
    columns = {"a": [a for a, _ in cells], "b": [b for _, b in cells], "kind": kind}
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(f'"{cell or ""}"' for cell in row) for row in rows]
    write(tmp_path, "\n".join(["a,b,kind", *lines]) + "\n")
    parquet(tmp_path, columns)
    outcomes = []
    for name in ("t.csv", "t.parquet"):
        try:
            found = load(name, "kind", tmp_path, **keys)
        except Exception as error:
            outcomes.append((type(error), str(error).partition("column")[2]))
        else:
            outcomes.append((found.features, np.nan_to_num(found.x, nan=-99).tolist()))
    assert outcomes[0] == outcomes[1]
