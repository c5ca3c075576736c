"""Predictions of a kept model: the same for one example as for many, from every kind of file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
import random
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import TINY
from honest_helpers import call, done, refused
from hpsearch.errors import UserError
from hpsearch.model import Model, decode_model, load_model

TABLE = TINY.replace("source: digits", "source: d.csv, label: kind, missing: median, ignore: [id]")
TABLE = TABLE.replace("epochs: 2", "epochs: 15").replace("trials: 6", "trials: 4")
NUMBERS = """
objective: {trainer: mlp, epochs: 20, loss: mse}
data: {source: n.csv, label: target, categorical: [code]}
parameters: {learning_rate: {scale: log, min: 1e-3, max: 1e-1}}
budget: {trials: 3}
"""
ARRAYS = TINY.replace("source: digits", "source: d.npz")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict")
    rng = random.Random(0)
    colours, rows, targets = ["red", "green", "blue"], [], []
    for i in range(150):
        size, colour = round(rng.uniform(0, 10), 3), rng.choice(colours)
        kind = "big" if size + 3 * (colour == "red") > 6 else "small"
        rows.append([i, size if i % 11 else "", colour if i % 13 else "NA", kind])
        code = rng.choice(["7", "07", "12"])
        targets.append([size, code, 1000 + 50 * size + (100 if code == "12" else 0)])
    write(folder / "d.csv", ["id", "size", "colour", "kind"], rows)
    write(folder / "n.csv", ["size", "code", "target"], targets)
    x = np.array([[rng.gauss(0, 1) for _ in range(9)] for _ in range(90)]).reshape(90, 3, 3)
    np.savez(folder / "d.npz", x=x, y=np.array([int(each.sum() > 0) for each in x]))
    for name, text in (("table", TABLE), ("numbers", NUMBERS), ("arrays", ARRAYS)):
        (folder / f"{name}.yaml").write_text(text)
        done(folder, "run", f"{name}.yaml", "-q", "-j", 1)
    return folder


def write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def answers(folder: Path, *arguments: object) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(done(folder, "predict", *arguments).stdout)))


@pytest.fixture(scope="module")
def model(made: Path) -> Model:
    done(made, "best", "table", "--model", "m.npz")
    return load_model(made / "m.npz")


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_an_example_is_predicted_the_same_bit_for_bit_whatever_is_beside_it(
    model: Model, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    x = rng.normal(size=(data.draw(st.integers(2, 1200)), 4)).astype(np.float32)
    whole = model.predict(x)
    order = rng.permutation(len(x))
    assert np.array_equal(model.predict(x[order]), whole[order])
    i = data.draw(st.integers(0, len(x) - 1))
    assert np.array_equal(model.predict(x[i : i + 1])[0], whole[i])
    assert whole.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("run", "file"), [("table", "d.csv"), ("numbers", "n.csv")])
def test_one_line_of_a_file_alone_gets_the_same_answer(made: Path, run: str, file: str) -> None:
    whole = done(made, "predict", run, file).stdout.splitlines()
    header, rows = read(made / file)
    for i in (0, 11, 13, 77):
        write(made / "one.csv", header, [rows[i]])  # type: ignore[list-item]
        assert done(made, "predict", run, "one.csv").stdout.splitlines() == [
            whole[0],
            whole[i + 1],
        ]


def test_neither_the_label_nor_the_order_of_columns_nor_the_format_matters(made: Path) -> None:
    expected = answers(made, "table", "d.csv")
    header, rows = read(made / "d.csv")
    chosen = [header.index(name) for name in ("colour", "size")]
    write(made / "bare.csv", [header[i] for i in chosen], [[r[i] for i in chosen] for r in rows])
    assert answers(made, "table", "bare.csv") == expected
    options = pyarrow.csv.ConvertOptions(null_values=["", "NA"], strings_can_be_null=True)
    table = pyarrow.csv.read_csv(made / "bare.csv", convert_options=options)
    pyarrow.parquet.write_table(table, made / "bare.parquet")
    assert answers(made, "table", "bare.parquet") == expected
    (made / "bare.csv.gz").write_bytes(gzip.compress((made / "bare.csv").read_bytes()))
    assert answers(made, "table", "bare.csv.gz") == expected


def test_the_model_learned_something_and_its_answers_are_in_the_words_of_the_data(
    made: Path,
) -> None:
    found = answers(made, "table", "d.csv")
    _, rows = read(made / "d.csv")
    assert list(found[0]) == ["label", "p(big)", "p(small)"]
    right = sum(a["label"] == row[3] for a, row in zip(found, rows, strict=True))
    assert right > 0.7 * len(rows)
    for each in found:
        likely = "big" if float(each["p(big)"]) > float(each["p(small)"]) else "small"
        assert each["label"] == likely


def test_values_of_a_regression_are_in_the_unit_of_the_data(made: Path) -> None:
    found = [float(each["value"]) for each in answers(made, "numbers", "n.csv")]
    true = [float(row[2]) for row in read(made / "n.csv")[1]]
    assert np.corrcoef(found, true)[0, 1] > 0.9
    assert np.mean(found) == pytest.approx(np.mean(true), rel=0.05)


def test_a_category_is_the_same_however_its_number_is_written(made: Path) -> None:
    write(made / "codes.csv", ["size", "code"], [[5, "7"], [5, "07"], [5, "7.0"], [5, "12"]])
    first, *others = [each["value"] for each in answers(made, "numbers", "codes.csv")]
    assert others[:2] == [first, first]
    assert others[2] != first


def test_what_training_did_not_see_is_said(made: Path) -> None:
    write(made / "new.csv", ["size", "colour"], [[5, "pink"], [5, "red"], [5, ""]])
    found = done(made, "predict", "table", "new.csv", "-o", "p.json")
    assert "colour: pink did not occur in training" in found.stderr
    assert "Wrote 3 predictions to p.json" in found.stderr
    assert len(json.loads((made / "p.json").read_text())) == 3


def test_arrays_are_predicted_with_and_without_their_label(made: Path) -> None:
    expected = answers(made, "arrays", "d.npz")
    x = np.load(made / "d.npz")["x"]
    np.savez(made / "bare.npz", x=x)
    np.save(made / "bare.npy", x.reshape(90, 9))
    assert answers(made, "arrays", "bare.npz") == answers(made, "arrays", "bare.npy") == expected
    np.save(made / "other.npy", x.reshape(45, 18))
    assert "an example has shape (18,), but the model was trained on (9,) or (3, 3)" in refused(
        made, "predict", "arrays", "other.npy"
    )
    assert "an array has no names" in refused(made, "predict", "table", "bare.npy")


@pytest.mark.parametrize(
    ("header", "row", "sentence"),
    [
        (["size", "color"], [1, "red"], "no column 'colour', which the model was trained on. Did"),
        (["size"], [1], "no column 'colour'"),
        (["size", "colour", "age"], [1, "red", 3], "trained without a column 'age'. Remove it"),
        (["size", "colour"], ["tall", "red"], "w.csv:2: column 'size' is 'tall', but the model"),
        (["size", "colour"], ["1e300", "red"], "standard deviations"),
        (["size", "colour"], ["1,5", "red"], "a number with a comma; write 1.5"),
    ],
)
def test_other_columns_than_those_of_the_training_are_refused(
    made: Path, header: list[str], row: list[object], sentence: str
) -> None:
    write(made / "w.csv", header, [row])
    assert sentence in refused(made, "predict", "table", "w.csv")


def test_a_column_can_be_left_out_by_its_name(made: Path) -> None:
    write(made / "more.csv", ["size", "colour", "age"], [[1, "red", 3]])
    assert len(answers(made, "table", "more.csv", "--ignore", "age")) == 1


def test_a_column_that_the_model_needs_cannot_be_left_out(made: Path) -> None:
    said = refused(made, "predict", "table", "d.csv", "--ignore", "size")
    assert "the model was trained on the column 'size' and cannot ignore it" in said


def test_the_data_are_not_overwritten_by_their_predictions(made: Path) -> None:
    before = (made / "d.csv").read_bytes()
    said = refused(made, "predict", "table", "d.csv", "-o", "./d.csv")
    assert "d.csv holds the data: write the predictions to another file" in said
    assert (made / "d.csv").read_bytes() == before


def test_a_missing_value_is_refused_where_training_refused_it(made: Path) -> None:
    write(made / "gap.csv", ["size", "code"], [["", "7"]])
    told = refused(made, "predict", "numbers", "gap.csv")
    assert "gap.csv:2: column 'size' is empty" in told
    assert "take a model of a run with `missing: median`" in told
    assert "under data fill" not in told  # there is no such config here


def test_a_file_that_is_no_model_is_refused_and_nothing_in_it_runs(made: Path) -> None:
    ran = made / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (ran,))

    (made / "evil.npz").write_bytes(pickle.dumps(Evil()))
    np.savez(made / "pickled.npz", about=np.array([Evil()], dtype=object))
    np.savez(made / "other.npz", x=np.zeros(3))
    (made / "folder.npz").mkdir(exist_ok=True)
    sentences = {
        "evil.npz": "is no model",
        "pickled.npz": "is damaged",
        "other.npz": "no model of hpsearch",
        "folder.npz": "Is a directory",
        "lost.npz": "No such file",
    }
    for name, sentence in sentences.items():
        assert sentence in refused(made, "predict", name, "d.csv")
    assert not ran.exists()


def test_a_damaged_model_is_refused_wherever_the_damage_is(made: Path, model: Model) -> None:
    content = (made / "m.npz").read_bytes()
    x = np.ones((3, 4), np.float32)
    expected = model.predict(x)
    refusals = 0
    for at in range(0, len(content), max(1, len(content) // 150)):
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        try:
            found = decode_model(bytes(damaged), "m.npz")
        except UserError:
            refusals += 1
        else:  # a bit of the archive that says nothing, such as a date
            assert np.array_equal(found.predict(x), expected)
    assert refusals > 75
    for length in (0, 2, 100, len(content) - 1):
        with pytest.raises(UserError):
            decode_model(content[:length], "m.npz")


def test_a_model_of_a_newer_version_is_refused(made: Path, model: Model) -> None:
    arrays = dict(np.load(made / "m.npz"))
    about = json.loads(str(arrays["about"]))
    arrays["about"] = np.array(json.dumps({**about, "format": 2}))
    np.savez(made / "newer.npz", **arrays)
    assert "has format 2, and this hpsearch reads up to 1" in refused(
        made, "predict", "newer.npz", "d.csv"
    )


def test_a_kept_model_predicts_though_the_training_data_are_gone(made: Path) -> None:
    expected = done(made, "predict", "table", "d.csv").stdout
    (made / "d.csv").rename(made / "moved.csv")
    try:
        assert done(made, "predict", "table", "moved.csv").stdout == expected
    finally:
        (made / "moved.csv").rename(made / "d.csv")


def test_an_ending_that_is_no_table_is_refused(made: Path) -> None:
    found = call(made, "predict", "table", "d.csv", "-o", "p.xlsx")
    assert found.exit_code == 2
    assert "written as .csv or .json" in found.stderr
