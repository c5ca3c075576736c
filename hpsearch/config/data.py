"""From the section `data` to the DataSource that fixes what a training sees."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from hpsearch.config.definitions import Data, Files, Fractions
from hpsearch.config.reading import Sections
from hpsearch.data import PARTS, DataSource
from hpsearch.errors import DataError
from hpsearch.objectives.mlp import load_split
from hpsearch.yamlfile import Document, Place

SPLIT: Place = ("data", "split")
ALONE = {"train": 0.8, "dev": 0.2}
"""How the training file is shared out where there is no file for dev, and no split is given."""


def data_source(
    sections: Sections, data: Data, folder: Path, seed: int, *, regression: bool
) -> DataSource:
    """Return all that fixes what a training sees, but the bytes of the files.

    Args:
        sections: Of the config, for the places of its mistakes.
        data: Its section `data`.
        folder: Where relative paths start.
        seed: Of the search, which the data take unless they have their own.
        regression: Whether the label is a number to predict.
    Raises:
        UserError: a split that cannot be, with the place.
    """
    return DataSource(
        source=_named(data.source),
        folder=str(folder.resolve()),
        label=None if data.label is None else _named(data.label),
        fractions=tuple(_fractions(sections, data).items()),
        seed=seed if data.seed is None else data.seed,
        categorical=data.categorical,
        ignore=data.ignore,
        missing=data.missing,
        stratify=data.stratify,
        folds=data.folds,
        image=data.image,
        regression=regression,
    )


def read_data(document: Document, source: DataSource) -> DataSource:
    """Name the data exactly, and read them once to find every mistake before anything starts."""
    try:
        exact = source.fingerprinted()
        load_split(exact)
    except DataError as error:
        if error.key is None:
            raise
        text, _, hint = str(error).partition("\n")
        raise document.error(("data", error.key), text, hint) from None
    return exact


def _named(value: str | Files) -> str | tuple[tuple[str, str], ...]:
    if isinstance(value, str):
        return value
    return tuple((part, name) for part, name in asdict(value).items() if name is not None)


def _fractions(sections: Sections, data: Data) -> dict[str, float]:
    """Return what each part gets of the one file, or of the file for train."""
    files = {} if isinstance(data.source, str) else asdict(data.source)
    own = [part for part in PARTS[1:] if files.get(part) is not None]
    given = sections.at(SPLIT) is not None
    if given:
        _check_split(sections, data, own)
    elif files:
        needs_dev = "dev" not in own and data.folds is None
        return dict(ALONE) if needs_dev else {}
    shares = asdict(data.split)
    if files:
        shares = {part: share for part, share in shares.items() if share and part not in own}
    counts = isinstance(data.split.train, int)
    return {part: (share or 0) if counts else float(share or 0) for part, share in shares.items()}


def _check_split(sections: Sections, data: Data, own: list[str]) -> None:
    """Refuse a split that cannot be; `own` are the parts with a file, apart from train."""
    split: Fractions = data.split
    document = sections.document
    example = "Example: split: {train: 0.6, dev: 0.2, test: 0.2}"
    named = {part: share for part in PARTS if (share := getattr(split, part)) is not None}
    for part in own:
        if part in named:
            raise document.error(
                (*SPLIT, part),
                f"data.split names {part}, which has its own file",
                f"Remove it: {part} is the whole file.",
                at_key=True,
            )
    if "dev" not in named and "dev" not in own and data.folds is None:
        raise document.error(SPLIT, "data.split needs the key 'dev'", example, at_key=True)
    kinds = {type(share) for share in named.values() if share != 0}
    if len(kinds) > 1:
        raise document.error(
            SPLIT,
            "data.split mixes shares and numbers of examples",
            "Give shares that add up to 1, such as 0.6, or whole numbers, such as 600.",
        )
    total = sum(named.values())
    if kinds == {float} and abs(total - 1) > 1e-9:
        raise document.error(
            SPLIT, f"the shares in data.split must add up to 1, found {total:g}", example
        )
