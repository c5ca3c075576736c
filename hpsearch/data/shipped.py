"""The table of data sets that come with hpsearch.

A new one is a file with its licence beside it, or a function in `generated`, and its line here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpsearch.data.generated import Generated, blobs, circles, moons, spirals


@dataclass(frozen=True)
class Shipped:
    """A data set that comes with hpsearch: a file in this folder, or drawn when it is needed.

    about: one line for a list of the shipped sets.
    file: its name, and `label` its column of classes; or
    drawn: what draws it.
    image: height, width and channels, where the rows are images.
    """

    about: str
    file: str = ""
    label: str | None = None
    drawn: Callable[[], Generated] | None = None
    image: tuple[int, int, int] | None = None

    @property
    def path(self) -> Path:
        """Where the file is on this machine."""
        return Path(__file__).with_name(self.file)

    def sha256(self) -> str:
        """Return the SHA-256 of the file's bytes, or of what is drawn."""
        if self.drawn is None:
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        x, y = self.drawn()
        return hashlib.sha256(x.astype("<f8").tobytes() + y.astype("<i8").tobytes()).hexdigest()


DATASETS: dict[str, Shipped] = {
    "digits": Shipped(
        "1,797 handwritten digits, 8 x 8 pixels of 0 to 16, 10 classes",
        file="digits.csv.gz",
        label="digit",
        image=(8, 8, 1),
    ),
    "spirals": Shipped("600 points on three spirals: needs hidden layers", drawn=spirals),
    "blobs": Shipped("600 points in three round clouds: a straight line will do", drawn=blobs),
    "moons": Shipped("600 points on two half moons: a bent line, and some noise", drawn=moons),
    "circles": Shipped("600 points on two circles, one inside the other", drawn=circles),
}
"""The sets that come with hpsearch, by name."""
