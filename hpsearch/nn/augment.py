"""Label-preserving changes to images: each time an example is shown, it looks a little different.

Changes only choose, for each pixel, which pixel of the image it is taken from. So the images of a
mini-batch are gathered and changed in one pass.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy import add, multiply

from hpsearch.nn.layers import Array

if TYPE_CHECKING:
    from hpsearch.nn.settings import Settings

Image = tuple[int, int, int]
"""Height, width and channels of the images that the rows of x are, in that order of axes."""


def sources(settings: Settings, image: Image) -> Array:
    """Return (changes, features) int64: for each change, where each feature is taken from.

    The changes are all shifts by up to `settings.shift` pixels along both axes, and with
    `settings.horizontal_flip` their mirror images. A shifted image's edge is repeated.
    """
    height, width, channels = image
    places = np.arange(height * width * channels).reshape(image)
    steps = range(-settings.shift, settings.shift + 1)
    rows, columns = np.arange(height), np.arange(width)
    shifted = [
        places[np.clip(rows - down, 0, height - 1)][:, np.clip(columns - right, 0, width - 1)]
        for down, right in product(steps, steps)
    ]
    if settings.horizontal_flip:
        shifted += [change[:, ::-1] for change in shifted]
    return np.array([change.ravel() for change in shifted])


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
        self._sources = sources(settings, image)
        self._take = x.reshape(-1).take
        self._rng = rng

    def gatherer(self, x: Array, order: Array) -> Callable[[Array], None]:
        """Return the function that fills x: (m, features) with changed examples, given a row.

        order: (steps, m). The examples of each step; the rows are to be given one after the other.
        """
        changes = iter(self._rng.integers(len(self._sources), size=order.shape))
        sources, take = self._sources.take, self._take
        m, features = x.shape
        places, starts = np.empty((m, features), np.int64), np.empty((m, 1), np.int64)
        first = starts[:, 0]

        def gather(chosen: Array) -> None:
            sources(next(changes), 0, places, "clip")
            multiply(chosen, features, first)
            add(places, starts, places)
            take(places, None, x, "clip")

        return gather
