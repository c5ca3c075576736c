"""Columns: categories, columns left out, missing values, and files that must agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_files import load, refusal, splits, write
from hpsearch.data import Split

MIXED = "a,colour,size,kind\n1,red,1,x\n2,blue,2,y\n3,red,1,x\n4,green,2,y\n"


def raw(split: Split, part: str) -> np.ndarray:
    """Return a part in the file's own units; what is constant in train is so in all parts."""
    std = np.where(np.isinf(split.std), 0, split.std)
    return np.asarray(getattr(split, part).x * std + split.mean)


def test_a_column_of_words_becomes_one_column_for_each_word(tmp_path: Path) -> None:
    found = load(write(tmp_path, MIXED), "kind", tmp_path)
    assert found.features == ("a", "colour=blue", "colour=green", "colour=red", "size")
    assert found.x.tolist() == [[1, 0, 0, 1, 1], [2, 1, 0, 0, 2], [3, 0, 0, 1, 1], [4, 0, 1, 0, 2]]
    assert found.groups == (("colour", 1, 4),)


def test_numbers_can_be_declared_categories_and_columns_left_out(tmp_path: Path) -> None:
    found = load(
        write(tmp_path, MIXED), "kind", tmp_path, categorical=("size",), ignore=("colour", "a")
    )
    assert found.features == ("size=1", "size=2")
    assert found.x.tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]


def ids(count: int, distinct: int) -> str:
    return "id,a,kind\n" + "".join(f"n{i % distinct},{i},{'xy'[i % 2]}\n" for i in range(count))


@pytest.mark.parametrize(
    ("text", "keys", "sentence", "key"),
    [
        (
            "a,kind\n1,x\nred,y\n3,x\n4,y\n",
            {},
            "t.csv:3: column 'a' is 'red', not a number; encode the column, or name it under"
            " data.categorical or data.ignore",
            None,
        ),
        (ids(30, 30), {}, "t.csv: column 'id' holds 30 different words in 30 examples;", "ignore"),
        (ids(400, 101), {}, "column 'id' holds 101 different words in 400 examples;", "ignore"),
        (MIXED, {"ignore": ("colr",)}, "t.csv: no column 'colr'. Did you mean 'colour'?", "ignore"),
        (MIXED, {"categorical": ("b",)}, "t.csv: no column 'b'. Columns: a, col", "categorical"),
        (MIXED, {"ignore": ("kind",)}, "'kind' is the label; remove it from ignore", "ignore"),
        (
            MIXED,
            {"ignore": ("a",), "categorical": ("a",)},
            "'a' is under categorical and",
            "ignore",
        ),
        (
            MIXED,
            {"ignore": ("a", "colour", "size")},
            "t.csv:1: every column but the label 'kind' is under ignore; there is nothing left to",
            "ignore",
        ),
        (MIXED, {"image": (1, 5)}, "image: column 'colour' holds categories, which are", "image"),
        ("a;kind\n1,5;x\n2,5;y\n1,5;x\n2,5;y\n", {}, "column 'a' is '1,5', a number with a", None),
    ],
)
def test_what_is_wrong_with_columns_is_said(
    tmp_path: Path, text: str, keys: dict[str, Any], sentence: str, key: str | None
) -> None:
    found, at = refusal(write(tmp_path, text), "kind", tmp_path, **keys)
    assert sentence in found
    assert at == key


@pytest.mark.parametrize(("count", "distinct"), [(10, 10), (400, 100), (24, 12)])
def test_a_column_of_few_words_is_categorical(tmp_path: Path, count: int, distinct: int) -> None:
    found = load(write(tmp_path, ids(count, distinct)), "kind", tmp_path)
    assert len(found.features) == distinct + 1
    many = load(write(tmp_path, ids(150, 150)), "kind", tmp_path, categorical=("id",))
    assert len(many.features) == 151


# Missing values

GAPS = "a,colour,kind\n1,red,x\n,red,y\n3,,x\n5,blue,y\n7,red,x\nNA,?,y\n,blue,x\n9,red,y\n"


def test_a_missing_value_is_refused_with_the_way_to_fill_it_in(tmp_path: Path) -> None:
    text, key = refusal(write(tmp_path, GAPS), "kind", tmp_path)
    assert text.startswith("t.csv:3: column 'a' is empty, a missing value; fill it in, remove")
    assert "`missing: median`" in text
    assert key is None


def test_the_training_parts_median_and_most_frequent_category_fill_in(tmp_path: Path) -> None:
    write(tmp_path, "a,colour,kind\n1,red,x\n3,,y\n100,red,x\n,blue,y\n", "train.csv")
    write(tmp_path, "a,colour,kind\n,,x\n500,blue,y\n600,blue,x\n700,blue,y\n", "dev.csv")
    sources = {"train": "train.csv", "dev": "dev.csv"}
    (split,) = splits(sources, "kind", tmp_path, fractions=(), missing="median")
    assert split.features == ("a", "colour=blue", "colour=red")
    assert raw(split, "train") == pytest.approx(
        np.array([[1, 0, 1], [3, 0, 1], [100, 0, 1], [3, 1, 0]]), abs=1e-5
    )
    assert raw(split, "dev")[0] == pytest.approx([3, 0, 1], abs=1e-5)


@pytest.mark.parametrize(
    ("text", "sentence", "key"),
    [
        ("a,kind\n1,x\n2,\n3,x\n4,y\n", "t.csv:3: column 'kind' is empty, a missing value", None),
        ("a,b,kind\n1,,x\n2,NA,y\n3,?,x\n4,,y\n", "column 'b' has no value in the t", "missing"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(
    tmp_path: Path, text: str, sentence: str, key: str | None
) -> None:
    found, at = refusal(write(tmp_path, text), "kind", tmp_path, missing="median")
    assert sentence in found
    assert at == key


def test_a_column_whose_values_are_all_in_dev_cannot_be_filled_in(tmp_path: Path) -> None:
    write(tmp_path, "a,b,kind\n1,,x\n2,,y\n", "train.csv")
    write(tmp_path, "a,b,kind\n1,red,x\n2,blue,y\n", "dev.csv")
    sources = {"train": "train.csv", "dev": "dev.csv"}
    text, key = refusal(sources, "kind", tmp_path, fractions=(), missing="median")
    assert text.startswith("column 'b' has no value in the training part")
    assert key == "missing"


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_nan_in_arrays_is_a_missing_value(tmp_path: Path, ending: str) -> None:
    x = np.array([[0.0, np.nan], [2, 1], [np.nan, 3], [10, 5]])
    y = np.array([0, 1, 0, 1])
    np.savez(tmp_path / "t.npz", x=x, y=y)
    np.save(tmp_path / "t.npy", x)
    np.save(tmp_path / "y.npy", y)
    label = "y.npy" if ending == ".npy" else None
    text, _ = refusal(f"t{ending}", label, tmp_path)
    assert text.startswith(f"t{ending}: x[0, 1] is nan; every value must be finite")
    assert "`missing: median`" in text
    (split,) = splits(f"t{ending}", label, tmp_path, missing="median")
    train = raw(split, "train")
    assert np.isfinite(train).all()
    np.savez(tmp_path / "t.npz", x=np.where(x == 10, np.inf, x), y=y)
    assert "x[3, 0] is inf" in refusal("t.npz", None, tmp_path, missing="median")[0]


def test_the_median_of_the_largest_floats_is_finite(tmp_path: Path) -> None:
    big = 1.7e308
    x = np.array([[big], [big * 0.99], [np.nan], [big]] * 3)
    np.savez(tmp_path / "t.npz", x=x, y=[0, 1] * 6)
    (split,) = splits("t.npz", None, tmp_path, missing="median")
    assert np.isfinite(split.train.x).all()


# Several files


def test_columns_are_aligned_by_name(tmp_path: Path) -> None:
    write(tmp_path, "a,colour,kind\n1,red,x\n2,blue,y\n", "train.csv")
    write(tmp_path, "colour,kind,a\ngreen,y,7\nred,x,8\n", "dev.csv")
    sources = {"train": "train.csv", "dev": "dev.csv"}
    found = load(sources, "kind", tmp_path, fractions=())
    assert found.features == ("a", "colour=blue", "colour=green", "colour=red")
    assert found.x.tolist() == [[1, 0, 0, 1], [2, 1, 0, 0], [7, 0, 1, 0], [8, 0, 0, 1]]
    assert found.y.tolist() == [0, 1, 1, 0]
    assert found.parts == (("train", 2), ("dev", 2))


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ("b,kind\n1,x\n2,y\n", "dev.csv: no column 'a', which "),
        ("a,b,kind\n1,1,x\n2,2,y\n", "train.csv: no column 'b', which "),
        ("a,sort\n1,x\n2,y\n", "dev.csv: no column 'kind'. Columns: a, sort"),
        ("a,kind\n1,x\nred,y\n", "dev.csv:3: column 'a' is 'red', not a number"),
        ("a,kind\nblue,x\nred,y\n", "dev.csv:2: column 'a' is 'blue', not a number"),
    ],
)
def test_files_that_do_not_agree_are_refused(tmp_path: Path, other: str, sentence: str) -> None:
    write(tmp_path, "a,kind\n1,x\n2,y\n", "train.csv")
    write(tmp_path, other, "dev.csv")
    text, _ = refusal({"train": "train.csv", "dev": "dev.csv"}, "kind", tmp_path, fractions=())
    assert sentence in text


def test_files_of_different_kinds_cannot_be_mixed(tmp_path: Path) -> None:
    write(tmp_path, "a,kind\n1,x\n2,y\n", "train.csv")
    np.savez(tmp_path / "dev.npz", x=np.ones((2, 1)), y=[0, 1])
    np.save(tmp_path / "dev.npy", np.ones((2, 1)))
    text, key = refusal({"train": "dev.npz", "dev": "dev.npy"}, None, tmp_path, fractions=())
    assert key == "source"
    text, key = refusal({"train": "train.csv", "dev": "dev.npz"}, "kind", tmp_path, fractions=())
    assert "must be of one kind, but train is train.csv and dev is dev.npz" in text
    assert key == "source"


def test_constant_columns_become_0_and_are_said_once(tmp_path: Path) -> None:
    rows = "".join(f"{i},5,7,{'xy'[i % 2]}\n" for i in range(8))
    (split,) = splits(write(tmp_path, "a,b,c,kind\n" + rows), "kind", tmp_path)
    assert split.notes == ("2 constant columns become 0: b, c",)
    assert not split.train.x[:, 1:].any()


TRAIN = "a,colour,kind\n1,red,x\n2,blue,y\n3,red,y\n4,blue,x\n"


def in_files(folder: Path, dev: str, test: str, **keys: Any) -> tuple[Split, ...]:
    """Prepare the table TRAIN with a row for each of the words in dev and in test."""
    sources = {"train": write(folder, TRAIN, "train.csv")}
    for part, words in (("dev", dev), ("test", test)):
        rows = "".join(f"{i},{word},{'xy'[i % 2]}\n" for i, word in enumerate(words.split()))
        sources[part] = write(folder, "a,colour,kind\n" + rows, f"{part}.csv")
    return splits(sources, "kind", folder, fractions=(), **keys)


def test_words_of_dev_and_test_change_nothing_of_training(tmp_path: Path) -> None:
    (plain,) = in_files(tmp_path, "red blue", "blue red")
    (other,) = in_files(tmp_path, "red green", "pink green red grey")
    assert plain.notes == ()
    assert other.features == plain.features == ("a", "colour=blue", "colour=red")
    assert other.train.x.tobytes() == plain.train.x.tobytes()
    assert raw(other, "dev")[:, 1:] == pytest.approx(np.array([[0, 1], [0, 0]]), abs=1e-6)
    assert raw(other, "test")[1, 1:] == pytest.approx([0, 0], abs=1e-6)
    assert other.notes == (
        "colour: 3 values of dev and test do not occur in train and become 0: green, grey, pink",
    )
    (one,) = in_files(tmp_path, "red blue", "red a=b")
    assert one.notes == ("colour: 1 value of test does not occur in train and becomes 0: a=b",)


def test_with_folds_the_words_of_dev_are_learned_too(tmp_path: Path) -> None:
    found = in_files(tmp_path, "green green red blue", "green pink", folds=2)
    assert {each.features for each in found} == {("a", "colour=blue", "colour=green", "colour=red")}
    note = "colour: 1 value of test does not occur in train and dev and becomes 0: pink"
    assert all(note in each.notes for each in found)


def test_words_are_those_of_the_training_part_where_one_file_is_shared_out(tmp_path: Path) -> None:
    rows = "".join(f"{i},w{i % 10},{'xy'[i % 2]}\n" for i in range(20))
    name = write(tmp_path, "a,word,kind\n" + rows)
    (found,) = splits(name, "kind", tmp_path, fractions=(("train", 8), ("dev", 4), ("test", 2)))
    learned = found.features[1:]
    assert (raw(found, "train")[:, 1:].sum(axis=0) > 0.5).all()
    assert 4 <= len(learned) <= 8
    (note,) = [note for note in found.notes if note.startswith("word: ")]
    assert "do not occur in train and become 0: w" in note
    assert not any(f"{word.partition('=')[2]}," in f"{note}," for word in learned)


def test_a_missing_word_is_filled_in_and_a_new_one_is_not(tmp_path: Path) -> None:
    write(tmp_path, "a,colour,kind\n1,red,x\n2,red,y\n3,blue,x\n4,?,y\n", "train.csv")
    write(tmp_path, "a,colour,kind\n1,?,x\n2,green,y\n", "dev.csv")
    sources = {"train": "train.csv", "dev": "dev.csv"}
    (found,) = splits(sources, "kind", tmp_path, fractions=(), missing="median")
    assert raw(found, "dev")[:, 1:] == pytest.approx(np.array([[0, 1], [0, 0]]), abs=1e-6)


# Declared categories


NUMBERS = "code,a,kind\n1010,1,x\n1010.0,2,y\n01010,3,x\n2.5,4,y\n2.50,5,x\n-0.0,6,y\n0,7,x\n"


def test_equal_numbers_are_one_category(tmp_path: Path) -> None:
    found = load(write(tmp_path, NUMBERS), "kind", tmp_path, categorical=("code",))
    assert found.features == ("code=0", "code=1010", "code=2.5", "a")
    assert found.x[:, :3].argmax(axis=1).tolist() == [1, 1, 1, 2, 2, 0, 0]
    words = NUMBERS.replace("2.5,", "A1,")
    found = load(write(tmp_path, words), "kind", tmp_path, categorical=("code",))
    assert {"code=1010", "code=01010", "code=1010.0", "code=A1"} < set(found.features)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_equal_numbers_of_several_files_are_one_category(tmp_path: Path, ending: str) -> None:
    codes = {"train": [1010, 2020, 1010, 2020], "dev": [2020.0, None, 1010.0, 1010.0]}
    for part, cells in codes.items():
        if ending == ".csv":
            rows = "".join(
                f"{'' if c is None else c},{i},{'xy'[i % 2]}\n" for i, c in enumerate(cells)
            )
            write(tmp_path, "code,a,kind\n" + rows, f"{part}.csv")
            continue
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        table = pa.table({"code": cells, "a": range(4), "kind": list("xyxy")})
        pq.write_table(table, tmp_path / f"{part}{ending}")
    sources = {part: f"{part}{ending}" for part in codes}
    keys: dict[str, Any] = {"categorical": ("code",), "missing": "median", "fractions": ()}
    (found,) = splits(sources, "kind", tmp_path, **keys)
    assert found.features == ("code=1010", "code=2020", "a")
    assert found.notes == ()
    assert raw(found, "dev")[:, 0] == pytest.approx([0, 1, 1, 1], abs=1e-6)


def test_words_that_mean_missing_are_categories_where_the_column_is_declared(
    tmp_path: Path,
) -> None:
    words = ["none", "NA", "?", "-", "n/a", "yes"]
    text = "a,b,kind\n" + "".join(f"{i},{w},{'xy'[i % 2]}\n" for i, w in enumerate(words))
    found = load(write(tmp_path, text), "kind", tmp_path, categorical=("b",))
    assert found.features == ("a", *sorted(f"b={word}" for word in words))
    assert "column 'b' is 'none', a missing" in refusal("t.csv", "kind", tmp_path)[0]
    for word in ("", "NaN", "null"):
        write(tmp_path, text.replace("none", word))
        sentence, _ = refusal("t.csv", "kind", tmp_path, categorical=("b",))
        assert sentence.startswith("t.csv:2: column 'b' is ")
        assert "a missing value" in sentence


@pytest.mark.parametrize("word", ["?", "-", "NA", "N/A", "null", "none", "NaN"])
def test_a_label_that_means_missing_is_refused(tmp_path: Path, word: str) -> None:
    rows = f"1,x\n2,{word}\n3,x\n4,{word}\n"
    text, key = refusal(write(tmp_path, "a,kind\n" + rows), "kind", tmp_path)
    assert text == (
        f"t.csv:3: column 'kind' is '{word}', a missing value; fill it in or remove the row;"
        " a class of that name needs another one, such as `nothing`"
    )
    assert key is None
