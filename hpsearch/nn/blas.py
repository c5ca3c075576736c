"""What the matrix products need beside their arguments."""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def warm_up(dtype: np.dtype[np.floating]) -> None:
    """Run one larger product, once per process and dtype, after which the small ones run fast.

    OpenBLAS packs blocks of its arguments into a buffer of its own and fetches ahead of where it
    reads. As long as only small products ran, it fetches from pages of the buffer that were never
    touched and so do not exist: each such fetch is a failing look-up, again and again. Products of
    float32 with up to some 320 columns were measured at a third to a half of their speed; one
    product of more columns than that, which fills a larger part of the buffer, ends it for good.
    `benchmarks/trainer.py products` shows both.
    """
    np.dot(np.ones((128, 256), dtype), np.ones((256, 768), dtype))
