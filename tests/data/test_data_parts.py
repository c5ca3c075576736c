"""Files for parts, numbers of examples, folds; targets and images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_files import load, refusal, splits, write
from hpsearch.data import PARTS, Dataset, Split, split
from hpsearch.data import dataset as dataset_module
from hpsearch.data.shares import Rows, fold, share_out
from hpsearch.errors import DataError

Counts = dict[str, float]


def dataset(sizes: list[int], classes: bool = True) -> Dataset:
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    x = np.arange(len(y), dtype=np.float64)[:, None]
    names = tuple(f"class {k}" for k in range(len(sizes)))
    return Dataset(x, y if classes else y * 1.5, ("f",), names if classes else ())


def dealt(rows: Rows) -> list[int]:
    return sorted(np.concatenate(rows).tolist())


# Numbers of examples


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(2, 40), min_size=2, max_size=8),
    data=st.data(),
    stratify=st.booleans(),
)
def test_every_part_has_the_number_of_examples_that_is_asked_for(
    sizes: list[int], data: st.DataObject, stratify: bool
) -> None:
    m, c = sum(sizes), len(sizes)
    train = data.draw(st.integers(c, m - c))
    dev = data.draw(st.integers(c, m - train))
    test = data.draw(st.integers(0, m - train - dev))
    examples = dataset(sizes)
    shares: Counts = {"train": train, "dev": dev, "test": test}
    rows = share_out(examples, shares, np.random.default_rng(1), stratify=stratify)
    assert [len(part) for part in rows] == [train, dev, test]
    assert len(set(dealt(rows))) == train + dev + test
    if stratify:
        for part in rows[:2]:
            assert (np.bincount(examples.y[part], minlength=c) >= 1).all()


def test_examples_that_no_part_asks_for_are_noted() -> None:
    parts = split(dataset([50, 50]), {"train": 30, "dev": 20, "test": 10}, np.random.default_rng(0))
    assert parts.notes == ("40 of 100 examples are not used: split asks for 60",)
    assert np.bincount(parts.train.y).tolist() == [15, 15]


@pytest.mark.parametrize(
    ("sizes", "shares", "sentence"),
    [
        ([5, 5], {"train": 8, "dev": 2, "test": 1}, "split asks for 11 examples, but there are 10"),
        ([5, 5, 5], {"train": 8, "dev": 2, "test": 0}, "dev: 2 examples cannot hold one of each"),
        ([5, 1], {"train": 3, "dev": 2, "test": 0}, "split: class 'class 1' has 1 example"),
    ],
)
def test_numbers_of_examples_that_cannot_be_are_refused(
    sizes: list[int], shares: Counts, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        split(dataset(sizes), shares, np.random.default_rng(0))
    assert caught.value.key == "split"


def test_without_stratify_a_class_may_be_in_one_part_only_and_that_is_noted() -> None:
    shares: Counts = {"train": 0.5, "dev": 0.5, "test": 0.0}
    parts = split(dataset([20, 1]), shares, np.random.default_rng(0), stratify=False)
    assert len(parts.train.y) + len(parts.dev.y) == 21
    unseen = "1 class has no training example: 'class 1'"
    assert (unseen in parts.notes) == (1 not in parts.train.y)


# Files


FILES = {
    "train": "a,kind\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(20)),
    "dev": "a,kind\n100,x\n101,y\n102,x\n",
    "test": "a,kind\n200,x\n201,y\n",
}


def in_files(folder: Path, *parts: str, **keys: Any) -> Split:
    sources = {part: write(folder, FILES[part], f"{part}.csv") for part in parts}
    (found,) = splits(sources, "kind", folder, **keys)
    return found


def raw(found: Split) -> dict[str, list[int]]:
    parts = {part: getattr(found, part).x[:, 0] * found.std[0] + found.mean[0] for part in PARTS}
    return {part: np.rint(x).astype(int).tolist() for part, x in parts.items()}


def test_a_part_with_a_file_is_that_file(tmp_path: Path) -> None:
    found = raw(in_files(tmp_path, "train", "dev", "test", fractions=()))
    assert found == {"train": list(range(20)), "dev": [100, 101, 102], "test": [200, 201]}


def test_a_part_without_a_file_is_shared_out_from_train(tmp_path: Path) -> None:
    shares = (("train", 0.8), ("dev", 0.2))
    found = raw(in_files(tmp_path, "train", "test", fractions=shares))
    assert found["test"] == [200, 201]
    assert sorted(found["train"] + found["dev"]) == list(range(20))
    assert len(found["dev"]) == 4
    counts = (("train", 10), ("test", 4))
    found = raw(in_files(tmp_path, "train", "dev", fractions=counts))
    assert found["dev"] == [100, 101, 102]
    assert (len(found["train"]), len(found["test"])) == (10, 4)


def test_one_file_for_two_parts_is_noted(tmp_path: Path) -> None:
    twice = {part: write(tmp_path, FILES["train"], "a.csv") for part in ("train", "dev")}
    (found,) = splits(twice, "kind", tmp_path, fractions=())
    assert found.notes == ("train and dev are the same file, so dev tells nothing of new examples",)


@pytest.mark.parametrize("part", ["dev", "test"])
def test_a_class_that_only_dev_or_test_has_is_refused(tmp_path: Path, part: str) -> None:
    sources = {"train": write(tmp_path, FILES["train"], "train.csv")}
    sources[part] = write(tmp_path, "a,kind\n1,x\n2,z\n3,z\n4,w\n", f"{part}.csv")
    text, key = refusal(sources, "kind", tmp_path, fractions=())
    assert text == (
        f"{part}.csv:3: class 'z' does not occur in train, and neither do 'w', so that it cannot be"
        " learned; add examples of it there, or remove them here"
    )
    assert key is None


def test_with_folds_dev_is_for_training_too(tmp_path: Path) -> None:
    z = "1,z\n2,z\n3,z\n"
    sources = {
        "train": write(tmp_path, FILES["train"], "train.csv"),
        "dev": write(tmp_path, f"a,kind\n{z}", "dev.csv"),
        "test": write(tmp_path, f"a,kind\n{z}", "test.csv"),
    }
    found = splits(sources, "kind", tmp_path, fractions=(), folds=3)
    assert {each.classes for each in found} == {("x", "y", "z")}
    write(tmp_path, f"a,kind\n{z}4,w\n", "test.csv")
    text, _ = refusal(sources, "kind", tmp_path, fractions=(), folds=3)
    assert text.startswith("test.csv:5: class 'w' does not occur in train and dev, so that it")


# Folds


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(10, 40), min_size=2, max_size=6),
    k=st.integers(2, 6),
    seed=st.integers(0, 2**32),
    classes=st.booleans(),
    test=st.sampled_from([0.0, 0.2]),
)
def test_each_example_is_dev_in_one_fold_and_test_stays_apart(
    sizes: list[int], k: int, seed: int, classes: bool, test: float
) -> None:
    examples, rng = dataset(sizes, classes), np.random.default_rng(seed)
    shares = {"train": 0.6, "dev": 0.4 - test, "test": test}
    rows = share_out(examples, shares, rng)
    folds = fold(examples, rows, k, rng)
    assert len(folds) == k
    pool = sorted(np.concatenate([rows.train, rows.dev]).tolist())
    assert sorted(np.concatenate([each.dev for each in folds]).tolist()) == pool
    for each in folds:
        assert dealt(each) == list(range(sum(sizes)))
        assert np.array_equal(each.test, rows.test)
    lengths = [len(each.dev) for each in folds]
    assert max(lengths) - min(lengths) <= 1
    if classes:
        counts = np.array([np.bincount(examples.y[f.dev], minlength=len(sizes)) for f in folds])
        assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()


def test_each_fold_is_normalised_by_its_own_training_part(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"fractions": (("train", 0.8), ("dev", 0.0), ("test", 0.2)), "folds": 4}
    found = splits(write(tmp_path, FILES["train"]), "kind", tmp_path, **keys)
    assert len(found) == 4
    for each in found:
        assert each.mean == pytest.approx(np.mean(raw(each)["train"]), abs=1e-6)
        assert raw(each)["test"] == raw(found[0])["test"]
    assert len({float(each.mean[0]) for each in found}) > 1


def test_more_folds_than_examples_of_a_class_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path, FILES["dev"] + FILES["test"].partition("\n")[2])
    text, key = refusal(source, "kind", tmp_path, folds=3)
    assert text.startswith("folds: 3, but class 'y' has only 2 examples in train and dev; use few")
    assert key == "folds"
    assert len(splits(source, "kind", tmp_path, folds=5, stratify=False)) == 5
    text, _ = refusal(source, "kind", tmp_path, folds=6, stratify=False)
    assert "there are only 5 examples in train and dev; use fewer folds" in text


# Targets


def test_a_target_is_normalised_by_the_training_part(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i * 3.5 - 7}\n" for i in range(40))
    source = write(tmp_path, "a,price\n" + rows)
    dataset = load(source, "price", tmp_path, regression=True)
    assert dataset.y.dtype == np.float64
    assert dataset.y.tolist() == [i * 3.5 - 7 for i in range(40)]
    (found,) = splits(source, "price", tmp_path, regression=True)
    assert found.classes == ()
    assert found.target is not None
    mean, std = found.target
    for part in PARTS:
        examples = getattr(found, part)
        assert examples.y.dtype == np.float32
        x = examples.x[:, 0] * found.std[0] + found.mean[0]
        assert examples.y * std + mean == pytest.approx(x * 3.5 - 7, abs=1e-3)
    assert found.train.y.mean() == pytest.approx(0, abs=1e-6)
    assert found.train.y.std() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("y", [np.arange(8.0), np.arange(8)[:, None], np.arange(8).astype(str)])
def test_every_form_of_numbers_is_a_target(tmp_path: Path, y: np.ndarray) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((8, 2)), y=y)
    assert load("t.npz", None, tmp_path, regression=True).y.tolist() == list(range(8))


@pytest.mark.parametrize(
    ("labels", "sentence", "key"),
    [
        (["1", "red", "2", "3"], "t.csv:3: column 'y' is 'red', not a finite number; `lo", "label"),
        (["1", "", "2", "3"], "t.csv:3: column 'y' is empty, a missing value; fill it in or", None),
        (["1", "?", "2", "3"], "t.csv:3: column 'y' is '?', a missing value", None),
        (["1", "inf", "2", "3"], "t.csv:3: column 'y' is 'inf', not a finite number", "label"),
        (["2.5", "2.5", "2.5", "2.5"], "the label is 2.5 in all 2 training examples", "label"),
    ],
)
def test_targets_nothing_can_be_learned_from_are_refused(
    tmp_path: Path, labels: list[str], sentence: str, key: str | None
) -> None:
    source = write(tmp_path, "x,y\n" + "".join(f"{i},{y}\n" for i, y in enumerate(labels)))
    text, found = refusal(source, "y", tmp_path, regression=True)
    assert sentence in text
    assert found == key


def test_an_absurd_target_outside_train_is_named(tmp_path: Path) -> None:
    write(tmp_path, "x,y\n1,1\n2,2\n", "a.csv")
    write(tmp_path, "x,y\n1,1\n2,1e300\n", "b.csv")
    text, _ = refusal(
        {"train": "a.csv", "dev": "b.csv"}, "y", tmp_path, regression=True, fractions=()
    )
    assert text.startswith("b.csv:3: the label is 1e+300, more than 1e+18 standard deviations")


def test_a_measurement_as_a_class_is_pointed_to_mse(tmp_path: Path) -> None:
    source = write(tmp_path, "x,y\n" + "".join(f"{i},{i / 3}\n" for i in range(9)))
    assert "write `loss: mse` under objective" in refusal(source, "y", tmp_path)[0]
    source = write(tmp_path, "x,y\n" + "".join(f"{i},{i}\n" for i in range(30)))
    assert "write `loss: mse` under objective" in refusal(source, "y", tmp_path)[0]


# Images


def test_images_are_normalised_channel_by_channel(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal([10, -3], [2, 5], (40, 4, 3, 2))
    np.savez(tmp_path / "t.npz", x=x, y=np.arange(40) % 2)
    (found,) = splits("t.npz", None, tmp_path)
    assert found.image == (4, 3, 2)
    assert (found.mean.shape, found.std.shape) == ((24,), (24,))
    train = found.train.x.reshape(-1, 4, 3, 2)
    assert train.mean(axis=(0, 1, 2)) == pytest.approx([0, 0], abs=1e-5)
    assert train.std(axis=(0, 1, 2)) == pytest.approx([1, 1], abs=1e-5)
    back = found.mean.reshape(4, 3, 2)
    assert (back == back[0, 0]).all()
    np.savez(tmp_path / "f.npz", x=x[:, :, ::-1], y=np.arange(40) % 2)
    (flipped,) = splits("f.npz", None, tmp_path)
    turned = flipped.train.x.reshape(-1, 4, 3, 2)[:, :, ::-1]
    assert turned == pytest.approx(train, abs=1e-6)


def test_flat_rows_are_images_where_the_config_says_so(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(5, 2, (20, 12))
    np.savez(tmp_path / "t.npz", x=x, y=np.arange(20) % 2)
    for image, whole in (((3, 4), (3, 4, 1)), ((2, 2, 3), (2, 2, 3))):
        (found,) = splits("t.npz", None, tmp_path, image=image)
        assert found.image == whole
        assert len(set(found.mean.tolist())) == whole[2]
    assert splits("t.npz", None, tmp_path)[0].image is None
    assert refusal("t.npz", None, tmp_path, image=(3, 5)) == (
        "image: 3 x 5 x 1 are 15 values, but an example has 12",
        "image",
    )
    np.savez(tmp_path / "t.npz", x=x.reshape(20, 3, 4), y=np.arange(20) % 2)
    text, key = refusal("t.npz", None, tmp_path, image=(4, 3))
    assert "but the examples are images of 3 x 4 x 1. Remove `image`" in text
    assert key == "image"


def test_a_constant_channel_becomes_0_and_channels_that_come_first_are_noted(
    tmp_path: Path,
) -> None:
    x = np.random.default_rng(0).normal(0, 1, (20, 2, 2, 3))
    x[..., 1] = 7
    np.savez(tmp_path / "t.npz", x=x, y=np.arange(20) % 2)
    (found,) = splits("t.npz", None, tmp_path)
    assert found.notes == ("1 constant channel becomes 0: 1",)
    assert not found.train.x.reshape(-1, 3)[:, 1].any()
    np.savez(tmp_path / "t.npz", x=x.transpose(0, 3, 1, 2).repeat(4, 3), y=np.arange(20) % 2)
    (found,) = splits("t.npz", None, tmp_path)
    assert found.notes == (
        "images of height x width x channels 3 x 2 x 8: are the channels really last?",
    )


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_huge_and_tiny_pixels_are_normalised(tmp_path: Path, scale: float) -> None:
    x = np.random.default_rng(0).normal(0, 1, (20, 2, 2)) * scale
    np.savez(tmp_path / "t.npz", x=x, y=np.arange(20) % 2)
    (found,) = splits("t.npz", None, tmp_path)
    assert found.train.x.std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("chunk", [1, 50, 10_000])
def test_a_pixel_that_wipes_out_its_channel_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(dataset_module, "CHUNK", chunk)
    x = np.random.default_rng(0).normal(0, 1, (40, 4, 3, 2))
    y = np.arange(40) % 2
    for i in range(40):  # whichever is in train
        x[i, 2, 1, 1] = 1e200
    np.savez(tmp_path / "t.npz", x=x, y=y)
    text, _ = refusal("t.npz", None, tmp_path)
    assert "column 'x_2_1_1' holds 1e+200, so far out that all other values of the" in text
    assert text.startswith("t.npz: example ")


def test_a_target_of_train_that_wipes_out_all_others_is_named(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i}\n" for i in range(9))
    write(tmp_path, f"x,y\n{rows}1,1e300\n", "a.csv")
    write(tmp_path, "x,y\n1,1\n2,2\n", "b.csv")
    sources = {"train": "a.csv", "dev": "b.csv"}
    text, _ = refusal(sources, "y", tmp_path, regression=True, fractions=())
    assert text.startswith("a.csv:11: the label is 1e+300, so far out that all other values of")


HINT = "write `objective: {trainer: mlp, loss: mse}`"


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({}, "has 1 example"),
        ({"fractions": (("train", 20), ("dev", 20), ("test", 0))}, "has 1 example"),
        ({"fractions": (("train", 30), ("dev", 3), ("test", 0))}, "dev: 3 examples cannot hold"),
        ({"fractions": (("train", 1.0),), "folds": 2}, "has only 1 examples in train and dev"),
    ],
)
def test_whole_numbers_that_may_be_targets_are_pointed_to_mse(
    tmp_path: Path, keys: dict[str, Any], sentence: str
) -> None:
    def refused(labels: list[Any]) -> str:
        rows = "".join(f"{i},{label}\n" for i, label in enumerate(labels))
        text, _ = refusal(write(tmp_path, "x,y\n" + rows), "y", tmp_path, **keys)
        assert sentence in text
        return text

    many = [25, *(100 + i // 3 for i in range(50))]
    assert refused(many).endswith(f" labels are numbers to predict rather than classes, {HINT}")
    assert "mse" not in refused([f"n{each}" for each in many])
    assert "mse" not in refused([3, *(i % 4 for i in range(3)), *(5 + i % 3 for i in range(40))])
