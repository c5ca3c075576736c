"""Label-preserving changes to images: each time an example is shown, it looks a little different.

Changes only choose, for each pixel, which pixel of the image it is taken from. So the images of a
mini-batch are gathered and changed in one pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy import add, multiply

from hpsearch.nn.layers import Array

if TYPE_CHECKING:
    from hpsearch.nn.settings import Settings

Image = tuple[int, int, int]
"""Height, width and channels of the images that the rows of x are, in that order of axes."""


def sources(settings: Settings, image: Image) -> tuple[Array, Array]:
    """Return where the pixels of a changed image are taken from, apart for rows and columns.

    The changes are all shifts by up to `settings.shift` pixels along both axes, and with
    `settings.horizontal_flip` their mirror images. A shifted image's edge is repeated.

    Returns:
        (ways, height) and (ways, width * channels) int64: for each way to change the rows, where in
        the flat image a row begins; for each way to change the columns, which place of a row.
    """
    height, width, channels = image
    steps = np.arange(-settings.shift, settings.shift + 1)[:, None]
    rows = np.clip(np.arange(height) - steps, 0, height - 1) * (width * channels)
    columns = np.clip(np.arange(width) - steps, 0, width - 1)
    if settings.horizontal_flip:
        columns = np.concatenate([columns, columns[:, ::-1]])
    places = columns[:, :, None] * channels + np.arange(channels)
    return rows, places.reshape(len(columns), -1)


class Augmenter:
    """Gathers mini-batches of changed images.

    Args:
        settings: `horizontal_flip` and `shift`.
        x: (m, features). The images as rows.
        image: Their height, width and channels.
        rng: Draws each example's change, every one equally likely.
    Raises:
        ValueError: the rows of x are no images, or of another size.
    """

    def __init__(
        self, settings: Settings, x: Array, image: Image | None, rng: np.random.Generator
    ) -> None:
        if image is None or int(np.prod(image)) != x.shape[1]:
            raise ValueError(
                "horizontal_flip and shift need images: the training set has "
                f"{x.shape[1]} features, and its images are {image or 'not known'}"
            )
        self._rows, self._columns = sources(settings, image)
        self._take = x.reshape(-1).take
        self._rng = rng

    def gatherer(self, x: Array, order: Array) -> Callable[[Array], None]:
        """Return the function that fills x: (m, features) with changed examples, given a row.

        order: (steps, m). The examples of each step; the rows are to be given one after the other.
        """
        changes = zip(
            self._rng.integers(len(self._rows), size=order.shape),
            self._rng.integers(len(self._columns), size=order.shape),
            strict=True,
        )
        take_rows, take_columns, take = self._rows.take, self._columns.take, self._take
        m, features = x.shape
        rows = np.empty((m, self._rows.shape[1], 1), np.int64)
        columns = np.empty((m, 1, self._columns.shape[1]), np.int64)
        starts, places = np.empty((m, 1), np.int64), np.empty((m, features), np.int64)
        grid = places.reshape(m, rows.shape[1], columns.shape[2])

        def gather(chosen: Array) -> None:
            down, right = next(changes)
            take_rows(down, 0, rows[:, :, 0], "clip")
            take_columns(right, 0, columns[:, 0], "clip")
            multiply(chosen[:, None], features, starts)
            add(rows[:, :, 0], starts, rows[:, :, 0])
            add(rows, columns, grid)
            take(places, None, x, "clip")

        return gather
