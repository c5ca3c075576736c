"""What a worker of a cluster is asked to do: the functions that are called there.

A worker's process holds a supervisor for each search, as this machine's process does. It runs no
code of a trial itself, so nothing that a trial does ends it. It hears of the search every few
seconds; when it does not any more, it ends the trials: nobody waits for them.
"""

from __future__ import annotations

import os
import platform
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.engines import shipping
from hpsearch.engines.base import Work
from hpsearch.engines.shipping import Shipment
from hpsearch.errors import HpsearchError, UserError
from hpsearch.store import RunFolder
from hpsearch.supervisor import Halt, Supervisor
from hpsearch.trial import Result

MOST_CARRIED = 64 << 20
"""Bytes of what a trial leaves in its folder that are sent where the run is."""
WATCH = 0.5
"""Seconds between two looks at whether the search is still there."""


@dataclass(frozen=True)
class Setup:
    """All that a worker is told of a search, once."""

    session: str
    """Of the command that searches."""
    run: str
    """Of the run, which several commands may work on, one after another."""
    kind: str
    objective: dict[str, Any]
    limits: dict[str, Any]
    """What else a Supervisor is built with."""
    shipment: Shipment
    folder: str
    """The run's folder, where the search is."""
    cwd: str
    """The folder that the search was started in."""
    base: str
    """The folder of the user's code, which stands in for that on a machine without the disk."""
    lease: float
    """Seconds without a word from the search after which it is over."""


@dataclass(frozen=True)
class Request:
    """Trials to run one after another."""

    work: Sequence[Work]
    """Trials with the parameters that the objective is given."""
    seconds_left: float | None
    """Until budget.time is over."""
    files: Mapping[int, Mapping[str, bytes]] = field(default_factory=dict)
    """What an earlier step left in a trial's folder, where that is not on a shared disk."""


@dataclass(frozen=True)
class Answer:
    """What came of asking a worker for something.

    A trial has no result here where `broken` or `stranger` says why.
    """

    results: Sequence[Result] = ()
    mistake: str | None = None
    """The objective cannot be used as the config says."""
    broken: str | None = None
    """This worker cannot run trials."""
    stranger: bool = False
    """It knows nothing of the search: it was started again, or gave the search up."""
    resumes: bool = False
    logs: Mapping[int, bytes] = field(default_factory=dict)
    """What trials printed."""
    files: Mapping[int, Mapping[str, bytes]] = field(default_factory=dict)
    """What trials left in their folders, where the search cannot see it."""
    too_large: Mapping[int, int] = field(default_factory=dict)
    """Bytes of that, where they were too many to send."""


class _Places:
    """Where a trial's files are on this machine; what it printed is kept to be sent."""

    def __init__(self) -> None:
        self.folder: RunFolder | None = None
        self._logs: dict[int, bytes] = {}

    def trials_folder(self) -> Path:
        """Return the folder for the trials' own folders."""
        assert self.folder is not None
        return self.folder.trials_folder()

    def trial_folder(self, number: int) -> Path:
        """Return the trial's own folder."""
        assert self.folder is not None
        return self.folder.trial_folder(number)

    def write_log(self, number: int, content: bytes) -> None:
        """Keep what the trial printed."""
        self._logs[number] = content

    def log(self, number: int) -> bytes:
        """Return what the trial printed, and forget it."""
        return self._logs.pop(number, b"")


class _Session:
    """One search on this worker."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.heard = time.monotonic()
        self.shares = False
        """Whether the run's folder is on a disk that this machine has too."""
        self._places, self._halt = _Places(), Halt()
        spec, cwd = setup.objective, setup.cwd
        if not shipping.is_here(setup.shipment):
            tree = shipping.unpacked(setup.shipment)
            spec = shipping.relocated(setup.kind, spec, setup.shipment, tree)
            cwd = shipping.moved(setup.base, setup.shipment, tree)
        self._supervisor = Supervisor(
            setup.kind,
            spec,
            given=lambda params: params,
            **setup.limits,
            places=self._places,
            halt=self._halt,
            folder=cwd if os.path.isdir(cwd) else None,
        )

    def warm_up(self) -> bool:
        """Start one child; return whether the objective can go on where a step ended."""
        self._supervisor.warm_up()
        return self._supervisor.resumes

    def begin(self, mark: int) -> None:
        """Take note of the run's folder, which the search has by now."""
        here = RunFolder(Path(self.setup.folder))
        self.shares = here.mark() == mark
        self._places.folder = here if self.shares else RunFolder(shipping.scratch(self.setup.run))

    def run(self, request: Request) -> Answer:
        """Run trials; where something ends that, those before it have their results."""
        left = request.seconds_left
        self._supervisor.deadline = None if left is None else time.monotonic() + left
        for number, files in request.files.items():
            for name, content in files.items():
                path = self._places.trial_folder(number) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        results: list[Result] = []
        left_files: dict[int, dict[str, bytes]] = {}
        too_large: dict[int, int] = {}
        broken: str | None = None
        try:
            for result in self._supervisor.run_all(request.work):
                if result is None:  # halted, as the search was not heard of
                    break
                if not self.shares:
                    left_files[result.trial], too_large[result.trial] = self._taken(result.trial)
                results.append(result)
        except BaseException as error:
            broken = _sentence(error)
        return Answer(
            results,
            broken=broken,
            stranger=broken is None and len(results) < len(request.work),
            logs={number: log for r in results if (log := self._places.log(number := r.trial))},
            files={number: files for number, files in left_files.items() if files},
            too_large={number: size for number, size in too_large.items() if size},
        )

    def _taken(self, number: int) -> tuple[dict[str, bytes], int]:
        """Return the files in a trial's folder, which is then removed, or their size."""
        folder = self._places.trial_folder(number)
        if not folder.is_dir():
            return {}, 0
        files, size = _left_in(folder)
        if not size:
            shutil.rmtree(folder, ignore_errors=True)
        return files, size

    def end(self) -> None:
        """End its trials and forget all about it."""
        self._supervisor.close()
        self._halt.close()
        if not self.shares and self._places.folder is not None:
            shutil.rmtree(self._places.folder.path, ignore_errors=True)


def _left_in(folder: Path) -> tuple[dict[str, bytes], int]:
    """Return the files in a folder, or their size where that is too much."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    if size > MOST_CARRIED:
        return {}, size
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}, 0


_sessions: dict[str, _Session] = {}
_lock = threading.Lock()
_watching = False


def about() -> dict[str, str]:
    """Return what results can depend on, of this process."""
    import numpy

    from hpsearch import __version__

    python = ".".join(platform.python_version_tuple()[:2])
    return {"hpsearch": __version__, "python": python, "numpy": numpy.__version__}


def look(shipment: Shipment) -> list[str]:
    """Return which files have to be sent, by their SHA-256."""
    return [] if shipping.is_here(shipment) else shipping.missing(shipment)


def keep(sha256: str, sender: str, piece: bytes, first: bool, last: bool) -> str | None:
    """Take a part of a file; say why it cannot be kept."""
    try:
        whole = shipping.keep(sha256, sender, piece, first=first, last=last)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return None if whole else "a file came over damaged"


def start(setup: Setup) -> Answer:
    """Make ready for the trials of a search."""
    session: _Session | None = None
    try:
        session = _Session(setup)
        with _lock:
            _sessions[setup.session] = session
        _watch()
        return Answer(resumes=session.warm_up())
    except UserError as error:
        _forget(setup.session)
        return Answer(mistake=str(error))
    except BaseException as error:
        _forget(setup.session)
        return Answer(broken=_sentence(error))


def begin(session: str, mark: int) -> bool | None:
    """Begin with the trials; return whether the run's folder is here too, None for a stranger.

    The search holds the run's lock: what still works on the run for an earlier command is over.
    """
    with _lock:
        found = _sessions.get(session)
        if found is None:
            return None
        earlier = [
            name
            for name, each in _sessions.items()
            if each.setup.run == found.setup.run and each is not found
        ]
    for name in earlier:
        _forget(name)
    found.begin(mark)
    return found.shares


def run(session: str, request: Request) -> Answer:
    """Run trials; whatever happens is part of the answer."""
    with _lock:
        found = _sessions.get(session)
    if found is None:
        return Answer(stranger=True)
    try:
        return found.run(request)
    except BaseException as error:
        return Answer(broken=_sentence(error))


def ping(session: str) -> bool:
    """Hear that the search is there; return whether it is known."""
    with _lock:
        found = _sessions.get(session)
    if found is None:
        return False
    found.heard = time.monotonic()
    return True


def stop(session: str) -> None:
    """End the trials of a search; returns before they have ended."""
    _forget(session)


def _sentence(error: BaseException) -> str:
    if isinstance(error, HpsearchError):
        return str(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {error}"


def _forget(name: str) -> None:
    with _lock:
        session = _sessions.pop(name, None)
    if session is not None:
        threading.Thread(target=session.end, daemon=True).start()


def _watch() -> None:
    """Have a thread end the searches that are not heard of any more."""
    global _watching
    with _lock:
        if _watching:
            return
        _watching = True

    def watch() -> None:
        while True:
            time.sleep(WATCH)
            with _lock:
                now = time.monotonic()
                late = [name for name, s in _sessions.items() if now - s.heard > s.setup.lease]
            for name in late:
                _forget(name)

    threading.Thread(target=watch, daemon=True).start()
