"""The real command on every kind of data: it runs, and best.yaml gives the same score."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from conftest import Command
from data_files import idx_bytes, write
from hpsearch.yamlfile import dump, parse_yaml

TEXT = """
objective: {{trainer: mlp, epochs: 2, batch_size: 8}}
data: {data}
parameters:
  learning_rate: {{scale: log, min: 1e-3, max: 1e-1}}
budget: {{trials: 2}}
"""


def table(folder: Path, name: str, start: int, stop: int) -> str:
    """Write a table with gaps, words and an id."""
    rows = []
    for i in range(start, stop):
        size = "" if i % 9 == 0 else f"{i % 5 + (i % 3) * 2}"
        colour = "NA" if i % 7 == 0 else ["red", "green", "blue"][(i + i // 4) % 3]
        rows.append(f"{size},{colour},5,n{i},{['x', 'y', 'z'][i % 3]}\n")
    return write(folder, "size,colour,same,id,kind\n" + "".join(rows), name)


def make_files(folder: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    x = rng.integers(0, 200, (120, 5, 4)).astype(np.uint8)
    x[:, 2, 2] = 20 * y
    (folder / "sub").mkdir()
    write(folder / "sub", idx_bytes(x[:90]), "train-images-idx3-ubyte.gz")
    write(folder / "sub", idx_bytes(y[:90]), "train-labels-idx1-ubyte.gz")
    write(folder / "sub", idx_bytes(x[90:]), "t10k-images-idx3-ubyte.gz")
    write(folder / "sub", idx_bytes(y[90:]), "t10k-labels-idx1-ubyte.gz")
    np.save(folder / "sub" / "x.npy", x)
    np.save(folder / "sub" / "y.npy", y)
    table(folder / "sub", "all.csv", 0, 120)
    table(folder / "sub", "train.csv", 0, 90)
    table(folder / "sub", "dev.csv", 90, 120)


DATA: dict[str, tuple[str, str]] = {
    "idx": (
        "{source: {train: train-images-idx3-ubyte.gz, test: t10k-images-idx3-ubyte.gz}, "
        "label: {train: train-labels-idx1-ubyte.gz, test: t10k-labels-idx1-ubyte.gz}}",
        "120 examples (train 72, dev 18, test 30), 20 features, 3 classes",
    ),
    "npy": (
        "{source: x.npy, label: y.npy, stratify: false}",
        "x.npy: 120 examples (train 72, dev 24, test 24), 20 features, 3 classes",
    ),
    "csv": (
        "{source: all.csv, label: kind, missing: median, ignore: [id], categorical: [size]}",
        "120 examples (train 72, dev 24, test 24), 13 features, 3 classes",
    ),
    "parts": (
        "{source: {train: train.csv, dev: dev.csv}, label: kind, missing: median, ignore: [id]}",
        "train train.csv, dev dev.csv: 120 examples (train 90, dev 30, test 0), 5 features",
    ),
    "counts": (
        "{source: all.csv, label: kind, missing: median, ignore: [id], "
        "split: {train: 60, dev: 30, test: 9}}",
        "99 examples (train 60, dev 30, test 9)",
    ),
    "folds": (
        "{source: moons, folds: 5, split: {train: 0.8, test: 0.2}, seed: 4}",
        "moons: 600 examples (5 folds, each with train 384, dev 96, test 120), 2 features",
    ),
    "image": (
        "{source: x.npy, label: y.npy, image: [5, 4]}",
        "120 examples (train 72, dev 24, test 24), 20 features",
    ),
}


def scores(folder: Path) -> dict[str, str]:
    """Return all that was measured, by the learning rate."""
    with (folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        row["learning_rate"]: dump({k: v for k, v in row.items() if k not in ("trial", "seconds")})
        for row in rows
    }


@pytest.mark.parametrize("name", DATA)
def test_a_run_and_its_best_yaml_measure_the_same(
    command: Command, tmp_path: Path, name: str
) -> None:
    make_files(tmp_path)
    data, about = DATA[name]
    (tmp_path / "sub" / "c.yaml").write_text(TEXT.format(data=data))
    shown = command("preview", "sub/c.yaml")
    assert (shown.returncode, about in shown.stdout) == (0, True), shown
    done = command("run", "sub/c.yaml")
    assert done.returncode == 0, done.stderr
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert notes == shown.stderr.splitlines()
    assert len(notes) == {"csv": 1, "parts": 1, "counts": 2}.get(name, 0)
    best = command("run", "runs/c/best.yaml", "-q")
    assert (best.returncode, best.stdout, best.stderr) == (0, "", "")
    first = scores(tmp_path / "runs" / "c")
    again = scores(tmp_path / "runs" / "c-best")
    assert again.items() <= first.items()
    identities = [
        json.loads((tmp_path / "runs" / run / "provenance.json").read_text())["identity"]["data"]
        for run in ("c", "c-best")
    ]
    assert identities[0] == identities[1]
    again_run = command("run", "sub/c.yaml")
    assert "complete already" in again_run.stderr


def test_a_parquet_file_is_searched(command: Command, tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {
        "size": pa.array([None if i % 9 == 0 else i % 5 + i % 3 for i in range(60)]),
        "colour": [["red", "green", "blue"][i % 3] for i in range(60)],
        "kind": [i % 3 for i in range(60)],
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    data = "{source: t.parquet, label: kind, missing: median}"
    (tmp_path / "c.yaml").write_text(TEXT.format(data=data))
    done = command("run", "c.yaml")
    assert done.returncode == 0, done.stderr
    assert command("run", "runs/c/best.yaml", "-q").returncode == 0
    assert scores(tmp_path / "runs/c-best").items() <= scores(tmp_path / "runs/c").items()


def test_notes_are_said_once_and_not_when_quiet(command: Command, tmp_path: Path) -> None:
    data = "{source: moons, split: {train: 100, dev: 50}}"
    (tmp_path / "c.yaml").write_text(TEXT.format(data=data))
    note = "note: 450 of 600 examples are not used: split asks for 150"
    assert command("run", "c.yaml").stderr.count(note) == 1
    assert command("run", "c.yaml", "-q", "-n", "other").stderr == ""


def test_large_data_are_mapped_by_the_workers(command: Command, tmp_path: Path) -> None:
    x = np.zeros((9_000, 2_000), np.uint8)  # 72 MB as float32
    y = np.arange(9_000) % 2
    x[:, 0] = y
    x[:, 1:9] = np.random.default_rng(0).integers(0, 9, (9_000, 8))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    text = TEXT.format(data="{source: x.npy, label: y.npy}").replace("epochs: 2", "epochs: 1")
    text = text.replace("batch_size: 8", "batch_size: 512, hidden_units: 4")
    (tmp_path / "c.yaml").write_text(text)
    done = command("run", "c.yaml", HPSEARCH_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert "constant columns become 0" in done.stderr
    (kept,) = (tmp_path / "cache" / "hpsearch-data").iterdir()
    assert (kept / "0-train-x.npy").stat().st_size > 40_000_000
    (tmp_path / "file").write_text("")
    other = command("run", "c.yaml", "-n", "b", HPSEARCH_CACHE=str(tmp_path / "file" / "no"))
    assert other.returncode == 0, other.stderr
    assert other.stderr.count("note: every process keeps the data in its own memory") == 1
    assert scores(tmp_path / "runs" / "c") == scores(tmp_path / "runs" / "b")


BAD: dict[str, tuple[str, bytes, str]] = {
    "cut_idx": ("t.idx", idx_bytes(np.ones((4, 2)))[:-1], "t.idx: cut short"),
    "damaged_gz": ("t.idx.gz", b"\x1f\x8bgarbage", "t.idx.gz: not a whole gzip file"),
    "empty_npy": ("t.npy", b"", "t.npy: not an .npy file"),
    "no_parquet": ("t.parquet", b"PAR1", "t.parquet: "),
    "header_only": ("t.csv", b"a,kind\n", "t.csv: a header and no rows"),
    "damaged_csv_gz": ("t.csv.gz", gzip.compress(b"a,kind\n1,x\n")[:-4], "not a whole gzip file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_end_the_command_with_2_and_one_sentence(
    command: Command, tmp_path: Path, case: str
) -> None:
    name, content, sentence = BAD[case]
    (tmp_path / name).write_bytes(content)
    write(tmp_path, idx_bytes([0, 1, 0, 1]), "y.idx")
    label = "y.idx" if "idx" in name or "npy" in name else "kind"
    (tmp_path / "c.yaml").write_text(TEXT.format(data=f"{{source: {name}, label: {label}}}"))
    done = command("run", "c.yaml")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_best_yaml_writes_every_key_of_data_that_was_given(
    command: Command, tmp_path: Path
) -> None:
    make_files(tmp_path)
    data = (
        "{source: {train: train.csv, test: dev.csv}, label: kind, split: {train: 40, dev: 20}, "
        "stratify: false, folds: 3, categorical: [size], ignore: [id], missing: median, seed: 5}"
    )
    (tmp_path / "sub" / "c.yaml").write_text(TEXT.format(data=data))
    assert command("run", "sub/c.yaml", "-q").returncode == 0
    given = parse_yaml(data.encode(), "given").value
    best = parse_yaml((tmp_path / "runs" / "c" / "best.yaml").read_bytes(), "best").value["data"]
    given["source"] = {k: f"../../sub/{name}" for k, name in given["source"].items()}
    assert best == given
