"""A training on disk: written after one epoch, read to go on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ARRAYS = ("parameters", "averages", "moments")
REST = ("epochs", "averaged", "taken", "since", "start", "rng")


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a `Trainer.state` as an .npz that is read without unpickling anything.

    Raises:
        OSError: the file cannot be written.
    """
    arrays, rest = _parted(state, "")
    if state["best"] is not None:
        figures, best = state["best"]
        best_arrays, best_rest = _parted(best, "best_")
        arrays |= best_arrays
        rest["best"] = [figures, best_rest]
    with path.open("wb") as file:  # given a name, savez would add .npz to it
        np.savez(file, **arrays, rest=np.array(json.dumps(rest)))


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote, for `Trainer.restore`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or is no state of a training.
    """
    with path.open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
            rest = dict(json.loads(str(archive["rest"])))
            best = rest.get("best")
            if best is not None:
                best = best[0], _whole(archive, best[1], "best_") | {"best": None}
            return _whole(archive, rest, "") | {"best": best}
        except Exception as error:  # zipfile, NumPy and json raise a dozen kinds for damaged bytes
            raise ValueError(f"{path} is no saved state of a training: {error}") from None


def _parted(state: Mapping[str, Any], prefix: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a state into arrays, whose names get the prefix, and what JSON can hold."""
    arrays = {f"{prefix}{name}": state[name] for name in ARRAYS}
    return arrays, {**{name: state[name] for name in REST}, "best": None}


def _whole(archive: Mapping[str, Any], rest: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Undo `_parted`."""
    arrays = {name: archive[f"{prefix}{name}"] for name in ARRAYS}
    return {**arrays, **{name: rest[name] for name in REST}}
