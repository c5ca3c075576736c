"""Puts results on disk and announces them, while the search deals out the next trials."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpsearch.store import RunFolder
    from hpsearch.trial import Result

GROUP = 0.02
"""Seconds between two syncs at least, where one sync does for several results."""
MOST_WAITING = 2000
"""Results that may wait for a slow disk before the search waits too."""


class Recorder:
    """Appends results to the record on a thread of its own, in the order in which they were put.

    None is announced before it is on disk. A result is there within GROUP and the time of two syncs
    after it was put.
    """

    def __init__(
        self,
        folder: RunFolder,
        announce: Callable[[Result], None],
        stop: Callable[[], None],
        *,
        each: bool,
    ) -> None:
        """Start the thread.

        announce: Called with each result that is on disk, on that thread.
        stop: Called when nothing more can be recorded; `close` then says why.
        each: Sync after each result, not after as many as have come in.
        """
        self._folder, self._announce, self._stop, self._each = folder, announce, stop, each
        self._waiting: list[Result] = []
        self._changed = threading.Condition()
        self._closed = False
        self._began = -math.inf
        """When the last sync, or series of syncs, began."""
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def put(self, result: Result) -> None:
        """Have a result recorded."""
        with self._changed:
            while len(self._waiting) >= MOST_WAITING and self._error is None:
                self._changed.wait()
            self._waiting.append(result)
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until all is on disk and announced.

        Raises:
            MachineError: something could not be written; all that was announced is on disk.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _serve(self) -> None:
        try:
            while results := self._next_ones():
                for group in [[each] for each in results] if self._each else [results]:
                    self._folder.append(*group)
                    for result in group:
                        self._announce(result)
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()
            self._stop()

    def _next_ones(self) -> list[Result]:
        """Wait for results; none when it was closed and all are recorded."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if not self._each:
                self._changed.wait_for(self._is_urgent, self._began + GROUP - time.monotonic())
            self._began = time.monotonic()
            found, self._waiting = self._waiting, []
            self._changed.notify_all()
            return found

    def _is_urgent(self) -> bool:
        return self._closed or len(self._waiting) >= MOST_WAITING
