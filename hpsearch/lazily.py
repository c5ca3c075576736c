"""Packages that take long to import, imported when they are first used.

NumPy alone takes as long as all else that a leaderboard needs, and a leaderboard computes nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Lazily:
    """Stands for a module in another one: `np = Lazily("numpy")`, and `np.exp` imports it.

    What was used once is an attribute of this object, and as fast as the module's own.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value
