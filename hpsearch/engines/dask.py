"""Dask: a scheduler that is told which of its workers each trial is for."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import signal
import threading
import uuid
import warnings
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from multiprocessing import resource_tracker
from typing import Any

from hpsearch.engines.base import LostError, Seat
from hpsearch.errors import MachineError

LOOK = 0.5
"""Seconds between two looks at which workers there are; more where there are hundreds."""
MOST_TO_CLOSE = 10.0
"""Seconds that leaving may take."""


class DaskCluster:
    """As `engines.base.Cluster`.

    Tasks are tied to a worker, so that the scheduler never runs one again by itself: it would not
    tell. The client lives in a loop of its own, as its futures are to be waited for one by one.
    """

    def __init__(self, address: str | None, count: int, limit: float) -> None:
        import dask
        import distributed

        # Its own words on lost connections are no news: what they mean is said once, in a sentence.
        for name in list(logging.root.manager.loggerDict):
            if name.split(".")[0] in ("distributed", "tornado"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
        self._distributed: Any = distributed
        self._address, self._limit = address, limit
        self._names = itertools.count()
        self._run_name = uuid.uuid4().hex
        self._found: dict[str, Seat] = {}
        self._local: Any = None
        self._client: Any = None
        self._look: Future[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda loop, context: None)  # nor what Dask left unheard
        self._thread = threading.Thread(target=self._serve, daemon=True)
        resource_tracker.ensure_running()  # its start would let the thread have signals again
        self._thread.start()
        try:
            with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
                self._do(self._open(count), None)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError | TimeoutError | ValueError):
                raise MachineError(
                    f"no Dask scheduler answers at {address} within {limit:g} s"
                    if address
                    else f"a Dask cluster cannot be started on this machine: {error}"
                ) from None
            raise

    def _serve(self) -> None:
        """Run the loop; the workers that are started from it inherit that Ctrl-C is not theirs."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        self._loop.run_forever()

    async def _open(self, count: int) -> None:
        if self._address is None:
            self._local = await self._distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                memory_limit=0,  # what limits a trial is trial.memory
                asynchronous=True,
            )
        await self._connect()
        self._look = asyncio.run_coroutine_threadsafe(self._look_around(), self._loop)

    async def _connect(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions; those that matter are compared by us
            self._client = await self._distributed.Client(
                self._local or self._address,
                timeout=self._limit,
                name="hpsearch",
                set_as_default=False,
                asynchronous=True,
            )
        await self._see()

    async def _see(self) -> None:
        identity = await self._client.scheduler.identity(n_workers=-1)
        self._found = {
            name: Seat(each["nthreads"], each["host"]) for name, each in identity["workers"].items()
        }

    async def _look_around(self) -> None:
        """Keep `_found` up to date; connect again to a scheduler that was started again."""
        while True:
            await asyncio.sleep(max(LOOK, len(self._found) / 200))
            try:
                if self._client.status in ("closed", "closing"):
                    await self._connect()
                else:
                    await asyncio.wait_for(self._see(), self._limit)
            except asyncio.CancelledError:
                raise
            except Exception:
                self._found = {}

    def _do(self, work: Coroutine[Any, Any, Any], limit: float | None) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(limit)

    def about(self) -> str:
        """As Cluster."""
        at = f"at {self._address}" if self._address else "of this command"
        return f"the Dask scheduler {at}"

    def seats(self) -> Mapping[str, Seat]:
        """As Cluster."""
        return self._found

    def call(
        self, worker: str, function: Callable[..., Any], *arguments: Any, beside: bool = False
    ) -> Future[Any]:
        """As Cluster."""
        ask = self._beside if beside else self._in_slot
        return asyncio.run_coroutine_threadsafe(ask(worker, function, arguments), self._loop)

    async def _in_slot(
        self, worker: str, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> Any:
        """Call a function in one of the worker's threads; a cancelled task is cancelled there."""
        from distributed import CancelledError, KilledWorker

        future = self._client.submit(
            function,
            *arguments,
            key=f"hpsearch-{self._run_name}-{next(self._names)}",
            workers=[worker],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        try:
            return await future
        except (CancelledError, KilledWorker, OSError) as error:
            raise LostError(str(error)) from None
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await future.cancel(force=True)
            raise

    async def _beside(
        self, worker: str, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> Any:
        """Call a function in the worker's event loop."""
        try:
            answers = await self._client.run(function, *arguments, workers=[worker])
            return answers[worker]
        except (OSError, KeyError, ValueError, self._distributed.CancelledError) as error:
            raise LostError(str(error)) from None

    def give_up(self, worker: str) -> None:
        """As Cluster; it may come back."""

    def close(self) -> None:
        """As Cluster."""
        if self._look is not None:
            self._look.cancel()
        with contextlib.suppress(Exception):
            self._do(self._leave(), MOST_TO_CLOSE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(MOST_TO_CLOSE)

    async def _leave(self) -> None:
        for each in (self._client, self._local):
            if each is not None:
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(each.close(), MOST_TO_CLOSE / 2)
