"""A training on disk: written after one epoch, read to go on from there."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ARRAYS = ("parameters", "averages", "moments")


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a `Trainer.state` as an .npz that is read without unpickling anything.

    Raises:
        OSError: the file cannot be written.
    """
    rest = {name: value for name, value in state.items() if name not in ARRAYS}
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
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ARRAYS}
            return {**arrays, **json.loads(str(archive["rest"]))}
    except (KeyError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no saved state of a training: {error}") from None
