"""A training on disk: written after one epoch, read to go on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ARRAYS = ("parameters", "averages", "moments")
REST = ("epochs", "averaged", "taken", "rng")


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a `Trainer.state` as an .npz that is read without unpickling anything.

    Raises:
        OSError: the file cannot be written.
    """
    rest = {name: state[name] for name in REST}
    with path.open("wb") as file:
        np.savez(
            file, **{name: state[name] for name in ARRAYS}, rest=np.array(json.dumps(rest))
        )  # through a file: savez would add .npz to the name


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote, for `Trainer.restore`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or is no state of a training.
    """
    with path.open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
            arrays = {name: archive[name] for name in ARRAYS}
            rest = dict(json.loads(str(archive["rest"])))
            return {**arrays, **{name: rest[name] for name in REST}}
        except Exception as error:  # zipfile, NumPy and json raise a dozen kinds for damaged bytes
            raise ValueError(f"{path} is no saved state of a training: {error}") from None
