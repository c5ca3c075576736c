"""How many threads a process may calculate with."""

from __future__ import annotations

import os

ONE_THREAD = dict.fromkeys(
    (
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    ),
    "1",
)
"""Two workers with two BLAS threads each are several times slower than one worker with one."""


def use_one_thread() -> None:
    """Let this process calculate as a trial's does, so that it comes to the same bits.

    Larger products are added up in another order by several threads. To be called before NumPy is
    imported, which reads this once.
    """
    os.environ.update(ONE_THREAD)
