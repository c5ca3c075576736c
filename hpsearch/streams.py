"""The entropy of many random streams at once, with the bits of NumPy's SeedSequence.

A SeedSequence of a seed and the numbers 0, 1, 2, ... does the same work again for each number but
for its last step. Here that step is done for a block of numbers in whole arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISpawnableSeedSequence, SeedSequence

BLOCK = 256
"""Numbers whose streams are made ready together."""
POOL = 4
"""Words of 32 bits in the pool that a SeedSequence mixes everything into."""
STATE = 4
"""Words of 64 bits that a PCG64 is seeded with."""
MASK = 0xFFFFFFFF

Words = Any
"""A word of 32 bits, as an int or as an array of uint64."""


class Stream(ISpawnableSeedSequence):
    """As SeedSequence(seed, spawn_key=(kind, number))."""

    def __init__(self, seed: int, kind: int, number: int) -> None:
        """Take the words that a generator will ask for from the block of `number`."""
        self._name = seed, kind, number
        self.words: npt.NDArray[np.uint64] = _block(seed, kind, number // BLOCK)[number % BLOCK]

    @cached_property
    def _sequence(self) -> SeedSequence:
        seed, *key = self._name
        return SeedSequence(seed, spawn_key=key)

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> npt.NDArray[Any]:
        """As SeedSequence."""
        if n_words == STATE and dtype is np.uint64:
            return self.words
        return self._sequence.generate_state(n_words, dtype)

    def spawn(self, n_children: int) -> list[Any]:
        """As SeedSequence."""
        return self._sequence.spawn(n_children)


@lru_cache(maxsize=16)
def _block(seed: int, kind: int, block: int) -> npt.NDArray[np.uint64]:
    """Return the first words that the streams of a block of numbers give: (BLOCK, STATE).

    Source: O'Neill 2015, "Developing a seed_seq alternative", as numpy.random.SeedSequence has it.
    """
    entropy: list[Words] = _words(seed)
    entropy += [0] * (POOL - len(entropy))
    entropy += _words(kind)
    first, *more = _words(block * BLOCK)  # a block begins where the other words do not change
    entropy += [np.arange(first, first + BLOCK, dtype=np.uint64), *more]
    mixed = _Hash(0x43B0D7E5, 0x931E8875)
    pool = [mixed.of(word) for word in entropy[:POOL]]
    for i in range(POOL):
        for j in range(POOL):
            if i != j:
                pool[j] = _mix(pool[j], mixed.of(pool[i]))
    for word in entropy[POOL:]:
        pool = [_mix(each, mixed.of(word)) for each in pool]
    given = _Hash(0x8B51F9DD, 0x58F38DED)
    words = [given.of(pool[i % POOL]) for i in range(2 * STATE)]
    pairs = zip(words[::2], words[1::2], strict=True)
    found: npt.NDArray[np.uint64] = np.stack([low | high << 32 for low, high in pairs], axis=1)
    return found


class _Hash:
    """A hash that is another one each time."""

    def __init__(self, constant: int, factor: int) -> None:
        self._constant, self._factor = constant, factor

    def of(self, word: Words) -> Words:
        """Return the hash of a word."""
        word = word ^ self._constant
        self._constant = self._constant * self._factor & MASK
        word = word * self._constant & MASK
        return word ^ word >> 16


def _mix(x: Words, y: Words) -> Words:
    found = (x * 0xCA01F9DD - y * 0x4973F715) & MASK
    return found ^ found >> 16


def _words(number: int) -> list[Words]:
    """Return the words of a number, the lowest first."""
    words: Sequence[int] = [number >> shift & MASK for shift in range(0, number.bit_length(), 32)]
    return list(words) or [0]
