"""A trained network as a file: all that turns new examples into predictions, and nothing that runs.

An .npz archive of plain arrays and one text of JSON, read without unpickling anything.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.errors import UserError
from hpsearch.trial import frozen, plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hpsearch.data import Encoding
    from hpsearch.nn.settings import Settings

FORMAT = 1
"""The version of the file; raised when an older hpsearch could not read it rightly."""
KIND = "hpsearch model"
ARRAYS = ("parameters", "averages", "mean", "std", "exponent", "fill")


@dataclass(frozen=True, eq=False)
class Model:
    """A network and what its inputs go through.

    parameters, averages, averaged: As in `nn.model.Network`.
    outputs: How many there are; 1 for regression.
    classes: Their names; empty for regression.
    target: Mean and standard deviation of the training targets, for regression.
    about: Where it comes from, as plain data.
    """

    settings: Settings
    outputs: int
    parameters: NDArray[np.floating]
    averages: NDArray[np.floating]
    averaged: int
    encoding: Encoding
    classes: tuple[str, ...]
    target: tuple[float, float] | None
    about: Mapping[str, Any]

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probabilities, (m, classes), or for regression the values, (m,).

        An example's prediction is the same bit for bit whatever else is predicted with it: matrix
        products of other heights may add up in another order, so all blocks have the same.

        x: (m, n), as `data.read_inputs` returns them.
        """
        import numpy as np

        from hpsearch.nn.losses import softmax
        from hpsearch.nn.model import BLOCK, Network

        network = Network(x.shape[1], self.settings, self.outputs, np.random.default_rng(0))
        network.parameters[...] = self.parameters
        network.averages[...] = self.averages
        network.averaged = self.averaged
        whole = np.zeros((-(-len(x) // BLOCK) * BLOCK, x.shape[1]), x.dtype)
        whole[: len(x)] = x
        with np.errstate(all="ignore"):
            if self.target is None:
                found = [softmax(outputs).T for _, outputs in network.outputs(whole)]
                return np.concatenate(found)[: len(x)].astype(np.float64)
            values = np.concatenate([outputs[0].copy() for _, outputs in network.outputs(whole)])
        mean, std = self.target
        answers: NDArray[np.float64] = values[: len(x)].astype(np.float64) * std + mean
        return answers

    def encode(self) -> bytes:
        """Return the bytes of the file: the same for an equal model."""
        import numpy as np

        encoding = self.encoding
        rest = {
            "kind": KIND,
            "format": FORMAT,
            "settings": {name: plain(value) for name, value in asdict(self.settings).items()},
            "outputs": self.outputs,
            "averaged": self.averaged,
            "classes": list(self.classes),
            "target": None if self.target is None else list(self.target),
            "encoding": {
                "features": list(encoding.features),
                "groups": [list(group) for group in encoding.groups],
                "image": None if encoding.image is None else list(encoding.image),
                "declared": list(encoding.declared),
                "label": encoding.label,
                "ignore": list(encoding.ignore),
                "table": encoding.table,
            },
            "about": dict(self.about),
        }
        arrays: dict[str, Any] = {
            "parameters": self.parameters,
            "averages": self.averages,
            "mean": encoding.inputs.mean,
            "std": encoding.inputs.std,
            "exponent": encoding.inputs.exponent,
            **({} if encoding.fill is None else {"fill": encoding.fill}),
        }
        file = io.BytesIO()
        np.savez(file, **arrays, about=np.array(json.dumps(rest)))
        return file.getvalue()


def load_model(path: Path) -> Model:
    """Read a model's file.

    Raises:
        UserError: it cannot be read, is damaged, is no model of ours, or a newer hpsearch wrote it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    return decode_model(content, str(path))


def decode_model(content: bytes, name: str) -> Model:
    """Read the bytes of a model's file, which a message calls `name`; as `load_model`."""
    import numpy as np

    if not content.startswith(b"PK"):
        raise UserError(f"{name} is no model: hpsearch writes models as .npz files")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in ARRAYS if key in archive.files}
            text = str(archive["about"]) if "about" in archive.files else "{}"
        rest = json.loads(text)
        known = isinstance(rest, dict) and rest.get("kind") == KIND
    except Exception as error:  # zipfile, NumPy, zlib and json raise a dozen kinds
        raise UserError(f"{name} is damaged: {error}; write it again") from None
    if not known:
        raise UserError(
            f"{name} is an .npz file, but no model of hpsearch; one is written by"
            " `hpsearch best RUN --model FILE`"
        )
    if rest.get("format") not in range(1, FORMAT + 1):
        raise UserError(
            f"{name} has format {rest.get('format')}, and this hpsearch reads up to {FORMAT}:"
            " upgrade hpsearch"
        )
    try:
        return _model(rest, arrays)
    except Exception as error:  # whatever is missing in it, or of another kind
        raise UserError(f"{name} is damaged: {type(error).__name__}: {error}") from None


def _model(rest: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Model:
    """Build the model; any error where something is missing or does not fit together."""
    import numpy as np

    from hpsearch.data import Encoding
    from hpsearch.data.dataset import Group
    from hpsearch.data.normalise import Statistics
    from hpsearch.nn.model import Network
    from hpsearch.nn.settings import Settings

    settings = Settings(**{name: frozen(value) for name, value in rest["settings"].items()})
    own = rest["encoding"]
    encoding = Encoding(
        features=tuple(own["features"]),
        groups=tuple(Group(*group) for group in own["groups"]),
        image=None if own["image"] is None else (own["image"][0], own["image"][1], own["image"][2]),
        declared=tuple(own["declared"]),
        label=own["label"],
        ignore=tuple(own["ignore"]),
        table=own["table"],
        fill=arrays.get("fill"),
        inputs=Statistics(arrays["mean"], arrays["std"], arrays["exponent"]),
    )
    count = len(encoding.features)
    like = Network(count, settings, rest["outputs"], np.random.default_rng(0))
    shapes = {
        "parameters": like.parameters.shape,
        "averages": like.averages.shape,
        **dict.fromkeys(("mean", "std", "exponent"), (count,)),
        **({"fill": (count,)} if "fill" in arrays else {}),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, expected {shape}")
        if arrays[name].dtype.kind not in "fi" or not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} holds what is no finite number")
    classes = tuple(rest["classes"])
    if classes and len(classes) != max(2, rest["outputs"]):
        raise ValueError(f"{len(classes)} classes for {rest['outputs']} outputs")
    return Model(
        settings=settings,
        outputs=rest["outputs"],
        parameters=arrays["parameters"],
        averages=arrays["averages"],
        averaged=rest["averaged"],
        encoding=encoding,
        classes=classes,
        target=None if rest["target"] is None else (rest["target"][0], rest["target"][1]),
        about=rest["about"],
    )
