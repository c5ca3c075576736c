"""Readers: what a file means, and what is said when it means nothing."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data_files import example_of, load, refusal, source_of, write
from hpsearch.data import READERS, Dataset
from hpsearch.errors import DataError

GOOD = "a,b,kind\n1,2,x\n3,4.5,y\n5,-6e1,x\n7,8,y\n"

reused_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def save(folder: Path, **arrays: Any) -> str:
    np.savez(folder / "t.npz", **arrays)
    return "t.npz"


def same(one: Dataset, other: Dataset) -> bool:
    return (
        np.array_equal(one.x, other.x)
        and np.array_equal(one.y, other.y)
        and (one.features, one.classes) == (other.features, other.classes)
    )


# What is read


@pytest.mark.parametrize("name", ["t.csv", "T.CSV", "t.csv.gz"])
def test_a_table_becomes_numbers_and_classes(tmp_path: Path, name: str) -> None:
    found = load(write(tmp_path, GOOD, name), "kind", tmp_path)
    assert found.x.dtype == np.float64
    assert found.x.tolist() == [[1, 2], [3, 4.5], [5, -60], [7, 8]]
    assert found.y.dtype == np.int64
    assert found.y.tolist() == [0, 1, 0, 1]
    assert (found.features, found.classes) == (("a", "b"), ("x", "y"))


@pytest.mark.parametrize(
    "variant",
    [
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        "\ufeff" + GOOD,
        GOOD.rstrip("\n"),
        GOOD + "\n  \n\n",
        GOOD.replace(",", ", "),
        GOOD.replace("a,b", '"a", "b"').replace("3,4.5", '"3","4.5"'),
    ],
    ids=[
        "semicolon",
        "tab",
        "crlf",
        "cr",
        "bom",
        "no_last_newline",
        "blank_end",
        "spaces",
        "quoted",
    ],
)
def test_the_dialects_of_csv_read_the_same(tmp_path: Path, variant: str) -> None:
    write(tmp_path, GOOD, "good.csv")
    assert same(
        load(write(tmp_path, variant), "kind", tmp_path), load("good.csv", "kind", tmp_path)
    )


@pytest.mark.parametrize(
    ("labels", "classes", "y"),
    [
        (["10", "9", "10", "9"], ("9", "10"), [1, 0, 1, 0]),
        (["1", "1.0", "-2", "-2e0"], ("-2", "1"), [1, 1, 0, 0]),
        (["10", "9", "b", "b", "9", "10"], ("10", "9", "b"), [0, 1, 2, 2, 1, 0]),
        (["é", "a b", "é", "a b"], ("a b", "é"), [1, 0, 1, 0]),
        (
            ["9007199254740993", "9007199254740992"] * 2,
            ("9007199254740992", "9007199254740993"),
            [1, 0] * 2,
        ),
    ],
    ids=["numbers", "floats", "mixed", "text", "beyond_2_to_53"],
)
def test_classes_are_sorted_by_value_or_as_text(
    tmp_path: Path, labels: list[str], classes: tuple[str, ...], y: list[int]
) -> None:
    text = "a,k\n" + "".join(f"1,{label}\n" for label in labels)
    found = load(write(tmp_path, text), "k", tmp_path)
    assert (found.classes, found.y.tolist()) == (classes, y)
    from_arrays = load(save(tmp_path, x=np.ones((len(y), 1)), y=np.array(labels)), None, tmp_path)
    assert (from_arrays.classes, from_arrays.y.tolist()) == (classes, y)


@reused_folder
@example(rows=[[1.7e308, 1.7e308, -5e-324]] * 4)
@given(
    rows=st.lists(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        min_size=4,
        max_size=20,
    )
)
def test_finite_floats_come_back_from_text_bit_for_bit(
    tmp_path: Path, rows: list[list[float]]
) -> None:
    lines = [",".join([*map(repr, row), "ab"[i % 2]]) for i, row in enumerate(rows)]
    found = load(write(tmp_path, "\n".join(["p,q,r,k", *lines])), "k", tmp_path)
    assert found.x.tobytes() == np.array(rows).tobytes()


@pytest.mark.parametrize(
    "y",
    [
        np.array([0, 2, 0, 2]),
        np.array([0.0, 2.0, 0.0, 2.0], dtype=np.float32),
        np.array([[0], [2], [0], [2]], dtype=np.uint8),
        np.array([[1, 0, 0], [0, 0, 1]] * 2),
        np.array(["0", "2", "0", "2"]),
    ],
    ids=["integers", "floats", "column", "one_hot", "text"],
)
def test_every_form_of_npz_labels_reads_the_same(tmp_path: Path, y: np.ndarray) -> None:
    found = load(save(tmp_path, x=np.zeros((4, 2), np.uint8), y=y), None, tmp_path)
    assert (found.classes, found.y.tolist()) == (("0", "2"), [0, 1, 0, 1])


def test_images_are_flattened_row_by_row_and_features_say_where(tmp_path: Path) -> None:
    x = np.arange(24, dtype=np.float16).reshape(4, 2, 3)
    found = load(save(tmp_path, x=x, y=[0, 1, 0, 1]), None, tmp_path)
    assert found.image == (2, 3, 1)
    assert found.x[1].tolist() == [6, 7, 8, 9, 10, 11]
    assert found.features == ("x_0_0", "x_0_1", "x_0_2", "x_1_0", "x_1_1", "x_1_2")


def test_a_fingerprint_is_of_the_bytes(tmp_path: Path) -> None:
    name = write(tmp_path, GOOD)
    found = source_of(name, "kind", tmp_path).fingerprinted().sha256
    assert found == ((name, hashlib.sha256(GOOD.encode()).hexdigest()),)
    with pytest.raises(DataError, match="no file"):
        source_of("other.csv", "kind", tmp_path).fingerprinted()


# Which file


def test_an_unknown_source_offers_the_nearest_and_lists_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("flowers.csv", "notes.txt", "sub/cells.npz"):
        write(tmp_path, GOOD, name)
    assert refusal("flower.csv", None, tmp_path) == (
        "'flower.csv' is no shipped data set, and there is no file flower.csv."
        " Did you mean 'flowers.csv'? Known: digits, spirals, blobs, moons, circles, flowers.csv",
        "source",
    )
    assert "Did you mean 'digits'?" in refusal("digit", None, tmp_path)[0]
    assert "Did you mean 'sub/cells.npz'?" in refusal("sub/cell.npz", None, tmp_path)[0]
    assert "Known: digits" in refusal("flowers.csv/x.csv", None, tmp_path)[0]


def test_a_folder_is_refused_with_the_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path, GOOD, "sub/cells.csv")
    assert refusal("sub", None, tmp_path) == (
        f"{tmp_path / 'sub'} is a folder; a file is needed. In it: sub/cells.csv".replace(
            f"{tmp_path}{os.sep}", ""
        ),
        "source",
    )


def test_an_unknown_ending_names_the_known_ones(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, GOOD, "t.xlsx"), "kind", tmp_path) == (
        "t.xlsx: no reader for .xlsx. Known endings: " + ", ".join(READERS),
        "source",
    )


def test_a_pipe_is_refused_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.csv")
    text, key = refusal("p.csv", "kind", tmp_path)
    assert (text, key) == ("p.csv is no regular file (a pipe or a device)", "source")


def test_what_the_system_refuses_is_said_in_its_words(tmp_path: Path) -> None:
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    for source in ("loop.csv", "n" * 5000 + ".csv", "nul\0.csv"):
        text, key = refusal(source, "kind", tmp_path)
        assert "cannot be read: " in text
        assert key == "source"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("suffix", READERS)
def test_a_file_without_permission_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / write(tmp_path, GOOD, f"t{suffix}")).chmod(0)
    assert "cannot be read: Permission denied" in refusal(f"t{suffix}", None, tmp_path)[0]


@pytest.mark.parametrize("suffix", READERS)
def test_an_empty_file_is_refused_by_every_reader(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"t{suffix}").write_bytes(b"")
    (tmp_path / "y.npy").write_bytes(b"")
    label = {"column": "kind", "file": "y.npy", "nothing": None}[READERS[suffix].label]
    assert refusal(f"t{suffix}", label, tmp_path)[0].startswith(f"t{suffix}: ")


# What is wrong in a table


BAD_TABLES = {
    "empty": (" \n\n", "t.csv: empty; the first line must name the columns", None),
    "blank_header": ("\na,kind\n1,x\n", "t.csv:1: a blank line; the first line must name", None),
    "header_only": ("a,kind\n\n", "t.csv: a header and no rows; every line below it", None),
    "no_name": (",a,kind\n", "t.csv:1: column 1 has no name; pandas names no index: save", None),
    "no_name_later": ("a,,kind\n", "t.csv:1: column 2 has no name", None),
    "twice": ("a,b,a,kind\n", "t.csv:1: columns 1 and 3 are both called 'a'; every column", None),
    "no_header": (
        "0,5,0,1\n",
        "needs a name of its own. Line 1 holds only numbers: does the",
        None,
    ),
    "label_missing": (
        "a,Kinds,c\n1,x,2\n",
        "t.csv: no column 'kind'. Did you mean 'Kinds'? Columns: a, Kinds, c.",
        "label",
    ),
    "label_far": ("1,2,3\n1,2,3\n", "'kind'. Columns: 1, 2, 3. Line 1 holds only numbers", "label"),
    "only_label": ("kind\nx\ny\n", "t.csv:1: the label 'kind' is the only column", None),
    "short": ("a,b,kind\n1,2,x\n1,x\n", "t.csv:3: 2 cells, but the header names 3 columns", None),
    "long": ("a,b,kind\n1,2,3,x\n", "t.csv:2: 4 cells, but the header names 3 columns", None),
    "word": ("a,b,kind\n1,2,x\n1,red,x\n", "t.csv:3: column 'b' is 'red', not a number;", None),
    "after_label": ("kind,b\nx,1\ny,red\n", "t.csv:3: column 'b' is 'red', not a number;", None),
    "cell_empty": (
        "a,b,kind\n1, ,x\n",
        "t.csv:2: column 'b' is empty, a missing value; fill",
        None,
    ),
    "cell_na": ("a,b,kind\n1,N/A,x\n", "t.csv:2: column 'b' is 'N/A', a missing value;", None),
    "cell_nan": ("a,b,kind\nNaN,1,x\n", "t.csv:2: column 'a' is 'NaN', a missing value;", None),
    "cell_inf": (
        "a,b,kind\n1,-inf,x\n",
        "t.csv:2: column 'b' is '-inf', which is not finite",
        None,
    ),
    "cell_huge": ("a,b,kind\n1,1e999,x\n", "t.csv:2: column 'b' is '1e999', which is not f", None),
    "comma": (
        "a;b;kind\n1;1,5;x\n",
        "t.csv:2: column 'b' is '1,5', a number with a comma; write 1.5, or 15 if it parts",
        None,
    ),
    "comma_quoted": ('a,b,kind\n1,"1,500",x\n', "write 1.500, or 1500 if it parts", None),
    "underscore": ("a,b,kind\n1,1_000,x\n", "t.csv:2: column 'b' is '1_000'; write 1000", None),
    "foreign_digit": ("a,b,kind\n1,١,x\n", "t.csv:2: column 'b' is '١', not a number", None),
    "blank_inside": ("a,kind\n1,x\n\n2,y\n", "t.csv:3: a blank line inside the table", None),
    "quote": (
        'a,kind\n1,x\n2,"y\n3,x\n',
        "t.csv:3: not a valid row of a CSV file: unexpected",
        None,
    ),
    "after_long_cell": ('a,b,kind\n1,2,"x\ny"\n3,q,z\n', "t.csv:4: column 'b' is 'q'", None),
    "latin": (b"a,kind\n1,x\n2,caf\xe9\n", "t.csv:3: byte 0xe9 is not UTF-8; save the", None),
    "utf16": ("a,kind\n1,x\n".encode("utf-16"), "t.csv:1: byte 0xff is not UTF-8", None),
    "no_label_value": ("a,kind\n1,x\n2,\n", "t.csv:3: column 'kind' is empty, a missing", None),
    "nan_label": ("a,kind\n1,1\n2,nan\n", "t.csv:3: column 'kind' is 'nan', a missing", None),
    "fraction_label": (
        "a,kind\n1,1\n2,1.5\n",
        "t.csv:3: column 'kind' is 1.5; a label is",
        "label",
    ),
    "inf_label": ("a,kind\n1,1\n2,inf\n", "t.csv:3: column 'kind' is inf; a label is", "label"),
    "one_class": (
        "a,kind\n1,x\n2,x\n",
        "t.csv: column 'kind' holds one class only, 'x', in all 2 examples;",
        "label",
    ),
    "single": (
        "a,kind\n1,x\n2,y\n3,x\n",
        "t.csv:3: class 'y' has 1 example; every class needs at least 2, one to train on and one to"
        " judge by. Add examples, remove or merge the class, or set `stratify: false`",
        None,
    ),
    "singles": ("a,kind\n1,x\n2,y\n3,x\n4,z\n", "has 1 example, and so have 'z'; every", None),
    "row_names": (
        "a,kind\n" + "".join(f"1,r{i}\n" for i in range(30)),
        "t.csv: column 'kind' holds 30 different labels in 30 examples, 30 of them once only;",
        "label",
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_refused_with_its_line_and_column(tmp_path: Path, case: str) -> None:
    content, sentence, key = BAD_TABLES[case]
    text, found = refusal(write(tmp_path, content), "kind", tmp_path)
    assert sentence in text
    assert found == key


def test_a_table_without_a_label_names_its_columns(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, GOOD), None, tmp_path) == (
        "t.csv: which column holds the class? Name it, as in `label: kind`. Columns: a, b, kind",
        "label",
    )
    wide = ",".join(f"c{i}" for i in range(40))
    assert "c11, ... (40 in all)" in refusal(write(tmp_path, wide), None, tmp_path)[0]


@pytest.mark.parametrize("damage", ["cut", "changed", "plain"])
def test_a_damaged_gzip_is_refused(tmp_path: Path, damage: str) -> None:
    packed = gzip.compress(GOOD.encode() * 50)
    changed = packed[:30] + bytes([packed[30] ^ 255]) + packed[31:]
    data = {"cut": packed[:-12], "changed": changed, "plain": GOOD.encode()}[damage]
    (tmp_path / "t.csv.gz").write_bytes(data)
    assert "t.csv.gz: not a whole gzip file: " in refusal("t.csv.gz", "kind", tmp_path)[0]


def test_a_long_value_is_cut_in_the_message(tmp_path: Path) -> None:
    text, _ = refusal(write(tmp_path, f"a,kind\n{'v' * 5000},x\n"), "kind", tmp_path)
    assert len(text) < 250


# What is wrong in arrays


X, Y = np.zeros((4, 2), int), np.array([0, 1, 0, 1])
LONG = np.finfo(np.longdouble).max  # where long doubles are no longer than float64: inf
LONG = LONG if np.finfo(np.float64).max < LONG else np.longdouble("inf")
BAD_ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "no_x": ({"data": X, "y": Y}, "t.npz: no array 'x'. It holds: data, y; x and y are needed"),
    "near_x": ({"X": X, "y": Y}, "t.npz: no array 'x'. Did you mean 'X'? It holds: X, y;"),
    "no_y": ({"x": X}, "t.npz: no array 'y'. It holds: x; x and y are needed"),
    "object": ({"x": X, "y": np.array(["a", 1, None, 2], dtype=object)}, "object array, which"),
    "nan": ({"x": np.array([[0, 1], [2, np.nan]]), "y": [0, 1]}, "t.npz: x[1, 1] is nan; every"),
    "inf": ({"x": np.full((4, 2, 2), np.inf), "y": Y}, "t.npz: x[0, 0, 0] is inf; every value"),
    "long": ({"x": np.full((4, 1), LONG), "y": Y}, "t.npz: x[0, 0] is "),
    "complex": ({"x": X + 1j, "y": Y}, "t.npz: x is of dtype complex128; numbers are needed"),
    "words": ({"x": X.astype(str), "y": Y}, "t.npz: x is of dtype <U21; numbers are needed"),
    "flat": ({"x": X[:, 0], "y": Y}, "t.npz: x has shape (4,); (examples, features) is needed"),
    "none": ({"x": X[:0], "y": Y[:0]}, "t.npz: x has shape (0, 2); (examples, features) is"),
    "narrow": ({"x": X[:, :0], "y": Y}, "t.npz: x has shape (4, 0); (examples, features) is"),
    "lengths": ({"x": X, "y": Y[:3]}, "t.npz: x has 4 examples and y has 3; both need"),
    "scalar": ({"x": X, "y": 1}, "t.npz: y has shape (); (examples,) or one-hot is needed"),
    "dates": ({"x": X, "y": Y.astype("M8[s]")}, "t.npz: y is of dtype datetime64[s]; whole"),
    "fractions": ({"x": X, "y": Y + 0.5}, "t.npz: y[0] is 0.5; a label is a text or a whole"),
    "y_nan": ({"x": X, "y": [0, 1, np.nan, 1]}, "t.npz: y[2] is 'nan', a missing value;"),
    "hot_twice": ({"x": X, "y": [[1, 0], [1, 1], [0, 1], [1, 0]]}, "t.npz: y[1] is not one-hot;"),
    "hot_two": ({"x": X, "y": [[1, 0], [0, 2], [0, 1], [1, 0]]}, "t.npz: y[1] is not one-hot;"),
    "hot_words": ({"x": X, "y": np.full((4, 2), "a")}, "t.npz: y has shape (4, 2); text labels"),
    "one_class": ({"x": X, "y": Y * 0}, "t.npz: y holds one class only, '0', in all 4 examples"),
    "single": (
        {"x": X, "y": [0, 0, 0, 7]},
        "t.npz: example 4: class '7' has 1 example; every",
    ),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_are_refused_with_their_place(tmp_path: Path, case: str) -> None:
    arrays, sentence = BAD_ARRAYS[case]
    text, key = refusal(save(tmp_path, **arrays), None, tmp_path)
    assert sentence in text
    assert key is None


def test_an_npz_takes_no_label(tmp_path: Path) -> None:
    text, key = refusal(save(tmp_path, x=X, y=Y), "kind", tmp_path)
    assert "t.npz: an .npz file has no columns to name: its array y is the label." in text
    assert key == "label"


def test_what_is_no_npz_is_told_how_to_become_one(tmp_path: Path) -> None:
    with (tmp_path / "t.npz").open("wb") as file:
        np.save(file, X)
    assert (
        "t.npz: not an .npz file; write one with numpy.savez('t.npz', x=x, y=y)"
        in (refusal("t.npz", None, tmp_path)[0])
    )


# Any bytes at all


def outcome(source: str, label: str | None, folder: Path) -> Dataset | DataError:
    try:
        return load(source, label, folder)
    except DataError as error:
        return error


@reused_folder
@given(data=st.data(), suffix=st.sampled_from(list(READERS)))
def test_damaged_bytes_are_read_or_refused_in_words(
    tmp_path: Path, data: st.DataObject, suffix: str
) -> None:
    name, label = example_of(suffix, tmp_path, X, Y)
    whole = (tmp_path / name).read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 8)))
    damaged = whole[:start] + data.draw(st.binary(max_size=8)) + whole[end:]
    (tmp_path / name).write_bytes(damaged)
    found = outcome(name, label, tmp_path)
    if isinstance(found, DataError):
        assert name in str(found)
    else:
        assert np.isfinite(found.x).all()
        assert found.x.shape == (len(found.y), len(found.features))


@reused_folder
@given(text=st.text(alphabet='ab1.,;"\n\r\t \0_é-', max_size=60))
def test_any_text_is_read_or_refused_in_words(tmp_path: Path, text: str) -> None:
    found = outcome(write(tmp_path, "a,b\n" + text), "b", tmp_path)
    assert isinstance(found, DataError) or min(np.bincount(found.y)) >= 1
