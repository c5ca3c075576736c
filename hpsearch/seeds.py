"""Every random stream by name, so that no result depends on timing or on the number of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

KINDS = {
    "suggest": 0,
    "train": 1,
    "split": 2,
    "sobol": 3,
    "repeat": 4,
    "retest": 10,
    "bootstrap": 11,
}
"""What a stream is for; the number is part of the record's format and never changes."""


def sequence(seed: int, kind: str, number: int = 0) -> np.random.SeedSequence:
    """Return the entropy of one stream; equal arguments give equal streams on every machine."""
    import numpy as np

    return np.random.SeedSequence(seed, spawn_key=(KINDS[kind], number))


def stream(seed: int, kind: str, number: int = 0) -> np.random.Generator:
    """Return the generator of one stream: of trial `number` where the kind belongs to trials."""
    import numpy as np

    from hpsearch.streams import Stream

    entropy: Any = Stream(seed, KINDS[kind], number)  # NumPy's types know of its own class only
    return np.random.Generator(np.random.PCG64(entropy))


def trial_seed(seed: int, number: int) -> int:
    """Return the training seed of trial `number`, in 0 .. 2**32 - 1, which every framework takes.

    Not `seed + number`: trial 1 of seed 0 would train as trial 0 of seed 1.
    """
    from hpsearch.streams import MASK, Stream

    return int(Stream(seed, KINDS["train"], number).words[0]) & MASK


def repeat_seeds(seed: int, repeats: int) -> list[int]:
    """Return the training seeds of a trial's repeats, the first of which is the trial's own.

    They depend on that one alone, so a config that fixes it repeats all of them, and more repeats
    leave the first ones as they are.
    """
    others = range(1, repeats)
    return [seed, *(int(sequence(seed, "repeat", k).generate_state(1)[0]) for k in others)]
