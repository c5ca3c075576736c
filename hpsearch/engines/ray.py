"""Ray: an actor for each processor of the cluster, which is told what to do and never restarted."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from hpsearch.engines.base import LostError, Seat
from hpsearch.errors import MachineError

LOOK = 0.5
"""Seconds between two looks at which actors there are."""
PATIENCE = 24 * 3600
"""Seconds for which Ray itself waits for a lost head node before it ends this process."""


class Slot:
    """The actor: calls functions, one at a time, and quick ones beside."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function."""
        return function(*arguments)

    def beside(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function that returns at once, while another one may be running."""
        return function(*arguments)

    def whereabouts(self) -> tuple[str, int]:
        """Return the machine's address and the process."""
        return importlib.import_module("ray").util.get_node_ip_address(), os.getpid()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep from the terminal what Ray's own threads write there while it starts or connects."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _say_nothing(*arguments: Any, **keywords: Any) -> None:
    """Stand for what prints."""


class RayCluster:
    """As `engines.base.Cluster`.

    Ray runs nothing again by itself: an actor that is lost is replaced by a new one, which knows
    nothing of the search yet.
    """

    def __init__(self, address: str | None, count: int, limit: float) -> None:
        os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(PATIENCE))
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # losses are told by a sentence
        # Or what asks for no GPU would see none, and how many a trial needs is for its code to say.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray = self._ray = importlib.import_module("ray")
        self._address = address
        self._most = count if address is None else None
        self._starting: dict[Any, Any] = {}  # the promise of an actor's whereabouts -> the actor
        self._actors: dict[str, tuple[Any, Seat]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        quiet: dict[str, Any] = {
            "log_to_driver": False,
            "configure_logging": True,
            "logging_level": logging.CRITICAL,
        }
        try:
            with _silence():
                if address is None:
                    ray.init(num_cpus=count, include_dashboard=False, **quiet)
                else:
                    ray.init(address=address, **quiet)
        except (OSError, RuntimeError, ValueError) as error:
            raise MachineError(
                f"no Ray cluster answers at {address}, or it wants another RAY_AUTH_TOKEN"
                if address
                else f"a Ray cluster cannot be started on this machine: {error}"
            ) from None
        # It tells of every lost worker on stdout, which is for results, whatever it is asked for.
        if hasattr(ray._private.worker, "print_to_stdstream"):
            ray._private.worker.print_to_stdstream = _say_nothing
        options = {
            "num_cpus": 1,
            "max_restarts": 0,
            "max_task_retries": 0,
            "concurrency_groups": {"beside": 2},
        }
        self._slot: Any = ray.remote(**options)(Slot)
        self._look = threading.Thread(target=self._look_around, daemon=True)
        self._look.start()

    def _look_around(self) -> None:
        """Keep as many actors as the cluster has processors, and know which of them answer."""
        while not self._closed.is_set():
            with contextlib.suppress(Exception):
                self._start_missing()
                self._take_started()
            self._closed.wait(LOOK)

    def _start_missing(self) -> None:
        count = int(self._ray.cluster_resources().get("CPU", 0))
        if self._most is not None:
            count = min(count, self._most)
        with self._lock:
            for _ in range(count - len(self._starting) - len(self._actors)):
                actor = self._slot.remote()
                self._starting[actor.whereabouts.remote()] = actor

    def _take_started(self) -> None:
        if not self._starting:
            return
        promises = list(self._starting)
        ready, _ = self._ray.wait(promises, num_returns=len(promises), timeout=LOOK)
        for promise in ready:
            actor = self._starting.pop(promise)
            with contextlib.suppress(self._ray.exceptions.RayError):
                host, process = self._ray.get(promise)
                with self._lock:
                    self._actors[f"{host}:{process}"] = (actor, Seat(1, host))

    def about(self) -> str:
        """As Cluster."""
        at = f"at {self._address}" if self._address else "of this command"
        return f"the Ray cluster {at}"

    def seats(self) -> Mapping[str, Seat]:
        """As Cluster."""
        with self._lock:
            return {name: seat for name, (_, seat) in self._actors.items()}

    def call(
        self, worker: str, function: Callable[..., Any], *arguments: Any, beside: bool = False
    ) -> Future[Any]:
        """As Cluster."""
        answer: Future[Any] = Future()
        with self._lock:
            actor = self._actors.get(worker, (None,))[0]
        if actor is None:
            answer.set_exception(LostError(f"{worker} is gone"))
            return answer
        try:
            method = actor.beside.options(concurrency_group="beside") if beside else actor.call
            future = method.remote(function, *arguments).future()
        except Exception as error:
            answer.set_exception(LostError(str(error)))
            return answer
        future.add_done_callback(lambda done: self._pass_on(worker, done, answer))
        return answer

    def _pass_on(self, worker: str, done: Future[Any], answer: Future[Any]) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        error = done.exception()
        if error is None:
            answer.set_result(done.result())
        elif isinstance(error, self._ray.exceptions.RayTaskError):
            answer.set_exception(error.cause or error)
        else:
            with self._lock:
                self._actors.pop(worker, None)
            answer.set_exception(LostError(str(error)))

    def give_up(self, worker: str) -> None:
        """As Cluster; an actor that is stopped for good still holds its processor, so it ends."""
        with self._lock:
            actor, _ = self._actors.pop(worker, (None, None))
        if actor is not None:
            with contextlib.suppress(Exception):
                self._ray.kill(actor, no_restart=True)

    def close(self) -> None:
        """As Cluster."""
        self._closed.set()
        self._look.join(4 * LOOK)
        with contextlib.suppress(Exception):
            self._ray.shutdown()
