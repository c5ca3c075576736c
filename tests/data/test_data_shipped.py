"""The sets that come with hpsearch are what their origin says they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_files import load, refusal
from hpsearch.data import DATASETS, split
from hpsearch.errors import DataError

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("name", DATASETS)
def test_every_shipped_set_reads_splits_and_states_its_licence(name: str, tmp_path: Path) -> None:
    data = load(name, None, tmp_path)
    parts = split(data, {"train": 0.6, "dev": 0.2, "test": 0.2}, np.random.default_rng(0))
    assert len(parts.train.y) > len(parts.dev.y) > 0
    assert len(DATASETS[name].sha256()) == 64
    if DATASETS[name].drawn:
        return
    licence = DATASETS[name].path.with_name(f"LICENSE-{name}.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in licence
    assert "doi.org" in licence


def test_digits_are_the_1797_images_of_the_test_part() -> None:
    digits = load("digits", None, Path())
    assert digits.x.shape == (1797, 64)
    assert digits.classes == tuple("0123456789")
    # The counts that the repository's description gives for the test part.
    assert np.bincount(digits.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (digits.x.min(), digits.x.max(), digits.x.sum()) == (0, 16, 561718)
    assert digits.features[:2] == ("pixel_0_0", "pixel_0_1")
    assert digits.features[-1] == "pixel_7_7"
    zero = digits.x[0].reshape(8, 8)
    assert digits.y[0] == 0
    assert zero[3].tolist() == [0, 4, 12, 0, 0, 8, 8, 0]


GENERATED = [name for name, shipped in DATASETS.items() if shipped.drawn]


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_set_is_the_same_on_every_machine(name: str, tmp_path: Path) -> None:
    assert list(HASHES) == GENERATED
    assert DATASETS[name].sha256() == DATASETS[name].sha256()
    assert DATASETS[name].sha256()[:16] == HASHES[name]
    found = load(name, None, tmp_path)
    assert found.x.shape == (600, 2)
    assert len(set(np.bincount(found.y).tolist())) == 1
    assert len(found.classes) == (3 if name in ("spirals", "blobs") else 2)
    assert found.image is None


HASHES = {
    "spirals": "06174744a4ccb106",
    "blobs": "1658a51f1e0cb140",
    "moons": "01eb979459fce726",
    "circles": "f95e397c256a69af",
}
"""Of the drawn bytes: a run says which data it was measured on."""


@pytest.mark.parametrize("name", GENERATED)
def test_only_blobs_are_parted_by_straight_lines(name: str, tmp_path: Path) -> None:
    found = load(name, None, tmp_path)
    x = np.column_stack([np.ones(600), found.x])
    hot = np.eye(len(found.classes))[found.y]
    guess = (x @ np.linalg.lstsq(x, hot, rcond=None)[0]).argmax(axis=1)
    error = float((guess != found.y).mean())
    assert (error < 0.1) == (name == "blobs")


def test_digits_are_images() -> None:
    assert load("digits", None, Path()).image == (8, 8, 1)


def test_a_shipped_set_takes_no_label(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="digits is a shipped data set and knows its label"
    ) as caught:
        load("digits", "digit", tmp_path)
    assert caught.value.key == "label"


def test_digits_were_packed_without_a_time() -> None:
    packed = DATASETS["digits"].path.read_bytes()
    assert packed[4:8] == bytes(4)


def test_wine_is_the_178_wines_of_three_cultivars() -> None:
    wine = load("wine.csv", "cultivar", CONFIGS)
    assert wine.x.shape == (178, 13)
    counts = dict(zip(wine.classes, np.bincount(wine.y).tolist(), strict=True))
    assert counts == {"barolo": 59, "grignolino": 71, "barbera": 48}
    column = {name: wine.x[:, j] for j, name in enumerate(wine.features)}
    # Extremes, means and deviations from the data's description.
    assert (column["alcohol"].min(), column["alcohol"].max()) == (11.03, 14.83)
    assert (column["proline"].min(), column["proline"].max()) == (278, 1680)
    assert column["magnesium"].mean() == pytest.approx(99.7, abs=0.05)
    assert column["od280_od315_of_diluted_wines"].std(ddof=1) == pytest.approx(0.71, abs=0.005)
    assert "CC BY 4.0" in (CONFIGS / "LICENSE-wine.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("label", "written"), [("a", "label: a"), ({"train": "a"}, "label")])
def test_a_label_to_remove_is_shown_as_it_is_written(
    tmp_path: Path, label: Any, written: str
) -> None:
    text, key = refusal("moons", label, tmp_path)
    assert text == f"moons is a shipped data set and knows its label. Remove `{written}`"
    assert key == "label"
