"""The run folder: the only module that knows names inside runs/ and writes there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch import index
from hpsearch.errors import MachineError, UserError
from hpsearch.lines import decode, encode, sealed, unsealed
from hpsearch.trial import Result, folder_name

PROVENANCE_FORMAT = 1
TESTS_FORMAT = 1
"""The version of the lines on the test set."""
ACTS_FORMAT = 1

RUNS = "runs"
"""The folder of the runs, unless a command says otherwise."""
CONFIG = "config.yaml"
RECORD = "trials.jsonl"
TABLE = "trials.csv"
LEADERBOARD = "leaderboard.md"
BEST = "best.yaml"
PROVENANCE = "provenance.json"
REPORT = "report.html"
TESTS = "test.jsonl"
ACTS = "acts.jsonl"
SNAPSHOTS = "snapshots"
MODEL = "model.npz"
LARGE = 500_000
"""Bytes of a record from which on a leaderboard is found by its index. A smaller one is read, and
the checksum of every line with it; of a larger one a report checks the lines that it shows."""
TRIALS = "trials"
LOG = "log.txt"
EARLIER = "earlier.jsonl"
INDEX = "trials.index"
OUTLINE = "outline.json"
STATES = "**/state*.npz"
"""What a training leaves in its trial's folder to go on from."""


@dataclass(frozen=True)
class Record:
    """What a reading of the record found."""

    results: list[Result]
    whole: int
    """Bytes that are whole lines; what follows is a torn last line."""
    torn: int
    """Bytes after the last whole line."""


class RunFolder:
    """One run's folder, to read or, inside `claim`, to write."""

    def __init__(self, path: Path | str) -> None:
        path = Path(path)
        self.path = path.absolute() if path.name in ("", "..") else path
        self._record: int | None = None
        self._index: int | None = None

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def argument(self) -> str:
        """What names the run to a command: its name where it lies under runs/, else its path."""
        is_usual = self.path.absolute().parent == Path(RUNS).absolute()
        return self.name if is_usual else shlex.quote(str(self.path))

    def has_record(self) -> bool:
        """Tell whether trials were, or were to be, recorded here."""
        return (self.path / RECORD).is_file()

    def has_acts(self) -> bool:
        """Tell whether one model was trained by hand here, instead of a search."""
        return (self.path / ACTS).is_file()

    def exists(self) -> bool:
        """Tell whether this is a run: a folder, not a link, with a config in it."""
        return not self.path.is_symlink() and (self.path / CONFIG).is_file()

    # Reading

    def read_record(self, *, curves: bool = True, since: int = 0) -> Record:
        """Read the record; a torn or damaged last line is left out.

        curves: False to leave the curves out, which are large.

        since: Bytes of whole lines that are known already.

        Raises:
            MachineError: a line before the last is damaged, or the file cannot be read.
            UserError: written by a newer hpsearch.
        """
        path = self.path / RECORD
        results: dict[int, Result] = {}
        whole = since
        try:
            with path.open("rb") as file:
                file.seek(since)
                for number, line in enumerate(file, start=1):
                    try:
                        result = decode(line, curves=curves)
                    except ValueError:
                        rest = len(line) + len(file.read())
                        if rest > len(line) and since:
                            return self.read_record(curves=curves)  # which can name the line
                        if rest > len(line):
                            raise MachineError(
                                f"{path}:{number}: this line of the record is damaged, and it is "
                                "not the last one; nothing was changed.\nRestore the file from a "
                                "copy, or delete that line: its trial will run again."
                            ) from None
                        return Record(list(results.values()), whole, rest)
                    whole += len(line)
                    results.setdefault(result.order, result)
        except FileNotFoundError:
            return Record([], 0, 0)
        except OSError as error:
            raise _machine(error, path) from None
        return Record(list(results.values()), whole, 0)

    def results(self, *, curves: bool = True) -> list[Result]:
        """Return what is finished, in the order in which it was dealt out.

        Without their curves they take little memory.
        """
        found = self.read_record(curves=curves).results
        return sorted(found, key=lambda result: result.order)

    def earlier(self) -> tuple[Result, ...]:
        """Return the trials of another run that this one knew from the start.

        Raises:
            MachineError: they were damaged, or cannot be read.
        """
        path = self.path / EARLIER
        try:
            return tuple(map(decode, path.read_bytes().splitlines(keepends=True)))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError):
            raise MachineError(
                f"{path} is damaged or cannot be read; restore it from a copy, or begin anew with "
                "--name"
            ) from None

    def write_earlier(self, results: Sequence[Result]) -> None:
        """Keep the trials of another run that this one knows from the start."""
        self.write(EARLIER, b"".join(map(encode, results)))

    def provenance(self) -> dict[str, Any]:
        """Return what is known of how the run came about; empty where nothing was kept.

        Raises:
            UserError: written by a newer hpsearch.
        """
        try:
            found = json.loads((self.path / PROVENANCE).read_bytes())
        except (OSError, ValueError):
            return {}
        version = found.get("format") if isinstance(found, dict) else None
        if isinstance(version, int) and version > PROVENANCE_FORMAT:
            raise UserError(
                f"{self.path / PROVENANCE} has format {version}, and this hpsearch reads up to "
                f"{PROVENANCE_FORMAT}: upgrade hpsearch"
            )
        return found if _is_provenance(found) else {}

    def measured_on(self) -> dict[str, Any]:
        """Return what is known of the data that the run was measured on; empty without any."""
        identity = self.provenance().get("identity")
        data = identity.get("data") if isinstance(identity, dict) else None
        return data if isinstance(data, dict) else {}

    def read(self, name: str) -> bytes | None:
        """Return what is in a file of the folder; None where it is not there.

        Raises:
            MachineError: it cannot be read.
        """
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _machine(error, self.path / name) from None

    def tests(self) -> list[dict[str, Any]]:
        """Return what each opening of the test set found, the first one first.

        A torn last line is left out: what it says was never announced.

        Raises:
            MachineError: a line before the last is damaged, or the file cannot be read.
            UserError: written by a newer hpsearch.
        """
        path = self.path / TESTS
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _machine(error, path) from None
        found = []
        for number, line in enumerate(lines, start=1):
            try:
                found.append(unsealed(line, TESTS_FORMAT, str(path)))
            except ValueError:
                if number < len(lines):
                    raise MachineError(
                        f"{path}:{number}: this line is damaged; restore the file from a copy"
                    ) from None
        return found

    def acts(self) -> list[dict[str, Any]]:
        """Return what was recorded of a model that is trained by hand, in its order.

        A torn last line is left out: what it says was never announced.

        Raises:
            MachineError: a line before the last is damaged, or the file cannot be read.
            UserError: written by a newer hpsearch.
        """
        return self._read_acts()[0]

    def _read_acts(self) -> tuple[list[dict[str, Any]], int, int]:
        """Return the lines, the bytes that are whole lines, and those of a torn last one."""
        path = self.path / ACTS
        found: list[dict[str, Any]] = []
        whole = 0
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return [], 0, 0
        except OSError as error:
            raise _machine(error, path) from None
        for number, line in enumerate(content.splitlines(keepends=True), start=1):
            try:
                found.append(unsealed(line, ACTS_FORMAT, str(path)))
            except ValueError:
                if whole + len(line) < len(content):
                    raise MachineError(
                        f"{path}:{number}: this line of the record is damaged, and it is not the "
                        "last one; nothing was changed.\nRestore the file from a copy."
                    ) from None
                break
            whole += len(line)
        return found, whole, len(content) - whole

    def is_being_written(self) -> bool:
        """Tell whether another process searches here.

        Asked only where the last command did not say that it ended: a look at the lock takes it.
        """
        if (self.provenance().get("sessions") or [{}])[-1].get("ended"):
            return False
        try:
            name = ACTS if self.has_acts() else RECORD
            descriptor = os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return False

    # Writing

    @contextlib.contextmanager
    def claim(self) -> Iterator[Record]:
        """Hold the folder for one writer, creating it where it is new; yield its record.

        The lock is the kernel's, on the record itself: free at once when the process ends.

        Raises:
            UserError: another process holds the run, or the path is something else.
            MachineError: the disk does not allow it, or the record is damaged.
        """
        if self.has_acts():
            raise UserError(
                f"{self.path} holds a model that is trained by hand, and no search; choose another "
                f"name with --name, or go on with it: hpsearch panda {self.name}"
            )
        with self._held(RECORD) as descriptor:
            record = self.read_record(curves=False)
            if record.torn:
                os.ftruncate(descriptor, record.whole)
            self._open_index(record.whole)
            yield record

    @contextlib.contextmanager
    def claim_acts(self) -> Iterator[list[dict[str, Any]]]:
        """Hold the folder of a model that is trained by hand; yield what is recorded.

        Raises:
            UserError: another process holds it, or the path is something else.
            MachineError: the disk does not allow it, or the record is damaged.
        """
        if self.has_record():
            raise UserError(
                f"{self.path} holds a search, and no model that is trained by hand; choose another "
                "name with --name"
            )
        with self._held(ACTS) as descriptor:
            found, whole, torn = self._read_acts()
            if torn:
                os.ftruncate(descriptor, whole)
            yield found

    @contextlib.contextmanager
    def _held(self, name: str) -> Iterator[int]:
        """Hold the folder by the lock on one of its files, which is open to append to."""
        if self._is_something_else():
            raise UserError(
                f"{self.path} is not a folder of a run; choose another name with --name"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.path / name, flags, 0o666)
        except OSError as error:
            raise _machine(error, self.path) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            session = (self.provenance().get("sessions") or [{}])[-1]
            who = "another process"
            if "pid" in session:
                who = f"process {session['pid']} on {session.get('host', 'this machine')}"
            raise UserError(
                f"{self.path} is being written by {who}; wait for it or stop it"
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise _machine(error, self.path / name) from None
        try:
            self._record = descriptor
            yield descriptor
        finally:
            self._record = None
            self._close_index(is_needed=os.fstat(descriptor).st_size >= LARGE)
            os.close(descriptor)

    def _open_index(self, whole: int) -> None:
        """Go on with the index of a record of so many bytes, or make it anew."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with contextlib.suppress(OSError):
            self._index = os.open(self.path / INDEX, flags, 0o666)
            size = os.fstat(self._index).st_size
            last = os.pread(self._index, index.SIZE, max(0, size - index.SIZE))
            if size % index.SIZE or index.end_of(last) != whole:
                os.ftruncate(self._index, 0)
                end = 0
                with (self.path / RECORD).open("rb") as file:
                    for line in file:
                        end += len(line)
                        os.write(self._index, index.entry(decode(line), end))

    def _close_index(self, *, is_needed: bool) -> None:
        if self._index is not None:
            os.close(self._index)
            self._index = None
            if not is_needed:
                with contextlib.suppress(OSError):
                    (self.path / INDEX).unlink()

    def _is_something_else(self) -> bool:
        """Tell whether the path is taken, but not by a run."""
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_dir()):
            return True
        if not self.path.exists() or self.exists():
            return False
        # A run that was killed while it was made has no config and no trial yet.
        made_first = {
            RECORD,
            INDEX,
            ACTS,
            EARLIER,
            _beside(EARLIER),
            PROVENANCE,
            _beside(PROVENANCE),
            _beside(CONFIG),
        }
        there = {path.name: path for path in self.path.iterdir()}
        return not there.keys() <= made_first or any(
            there[name].stat().st_size > 0 for name in (RECORD, ACTS) if name in there
        )

    def append(self, *results: Result) -> None:
        """Add results to the record; when this returns they are on disk.

        Raises:
            MachineError: it could not be written; the record holds whole lines only.
        """
        assert self._record is not None, "append needs claim"
        lines = list(map(encode, results))
        before = self._append(lines, RECORD)
        ends = itertools.accumulate(map(len, lines), initial=before)
        self._add_to_index(results, list(ends)[1:])

    def append_act(self, event: Mapping[str, Any]) -> None:
        """Add a line to the record of a model that is trained by hand; then it is on disk.

        Raises:
            MachineError: it could not be written; the record holds whole lines only.
        """
        assert self._record is not None, "append_act needs claim_acts"
        self._append([sealed({"format": ACTS_FORMAT, **event})], ACTS)

    def _append(self, lines: Sequence[bytes], name: str) -> int:
        """Add lines to a record; return of how many bytes it was."""
        assert self._record is not None
        before = os.fstat(self._record).st_size
        try:
            written = os.write(self._record, b"".join(lines))
            if written != sum(map(len, lines)):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            _sync(self._record)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._record, before)
            raise MachineError(
                f"{self.path / name}: {error.strerror}; nothing that was announced is lost, and "
                "the same command goes on when this is mended"
            ) from None
        return before

    def _add_to_index(self, results: Sequence[Result], ends: Sequence[int]) -> None:
        """Keep what the index says of new lines; it may come to an end, the search may not."""
        if self._index is not None:
            with contextlib.suppress(OSError):
                os.write(self._index, b"".join(map(index.entry, results, ends)))

    def look(self, *, limit: int | None, sign: int, top: int) -> index.Found | None:
        """Look for the best trials of a large record in its index.

        limit: The number of trials at which the search ends; None where that is open.
        sign: 1 to minimize the score, -1 to maximize it.
        top: How many trials are wanted.

        Returns None where the record is to be read: it is not large, or the index does not tell.
        """
        try:
            size = (self.path / RECORD).stat().st_size
            if size < LARGE:
                return None
            with (self.path / INDEX).open("rb") as file:
                return index.look(file, size, limit=limit, sign=sign, top=top)
        except OSError:
            return None

    def in_order(self, limit: int | None) -> Iterator[Result]:
        """Yield the results by trial, without their curves, where `look` found what it was for.

        limit: The number of trials that count; None for all.

        Raises:
            MachineError: a line is damaged, or the record cannot be read.
        """
        with (self.path / INDEX).open("rb") as file:
            places = index.places(file, limit)
            yield from self.lines(places)

    def lines(self, places: Iterable[tuple[int, int]]) -> Iterator[Result]:
        """Yield the results of some lines of the record, without their curves.

        places: Where each of them begins and ends.

        Raises:
            MachineError: one of them is damaged, or the record cannot be read.
        """
        path = self.path / RECORD
        try:
            with path.open("rb") as file:
                for start, end in places:
                    file.seek(start)
                    yield decode(file.read(end - start), curves=False)
        except OSError as error:
            raise _machine(error, path) from None
        except ValueError:
            raise MachineError(
                f"{path}: the line at byte {start} is damaged; nothing was changed"
            ) from None

    def add_test(self, found: Mapping[str, Any]) -> None:
        """Add what an opening of the test set found; when this returns it is on disk.

        Raises:
            MachineError: it could not be written; the earlier ones are untouched.
        """
        assert self._record is not None, "add_test needs claim"
        lines = [sealed({"format": TESTS_FORMAT, **each}) for each in (*self.tests(), found)]
        self.write(TESTS, b"".join(lines))

    def remove(self, name: str) -> None:
        """Remove a file of the folder, if it is there."""
        with contextlib.suppress(OSError):
            (self.path / name).unlink()

    def write(self, name: str, content: str | bytes | Iterable[str]) -> None:
        """Replace a file of the folder as a whole: a reader sees the old one or the new one.

        content: A text, or its parts one after another.

        Raises:
            MachineError: it could not be written; the old one is untouched.
        """
        path = self.path / name
        beside = self.path / _beside(name)
        parts = [content] if isinstance(content, str | bytes) else content
        try:
            with beside.open("wb") as file:
                file.writelines(
                    each if isinstance(each, bytes) else each.encode() for each in parts
                )
                file.flush()
                _sync(file.fileno())
            os.replace(beside, path)
            folder = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise _machine(error, path) from None

    def trial_folder(self, number: int) -> Path:
        """Return the folder for what trial `number` leaves beside its result."""
        return self.trials_folder() / folder_name(number)

    def trials_folder(self) -> Path:
        """Return the folder for the folders of all trials."""
        return self.path / TRIALS

    def snapshots(self) -> Path:
        """Return the folder for the states of a model that is trained by hand."""
        return self.path / SNAPSHOTS

    def drop_states(self, number: int) -> None:
        """Remove the states from which a trial's training could go on."""
        folder = self.trial_folder(number)
        with contextlib.suppress(OSError):
            for path in folder.glob(STATES):
                path.unlink()
            folder.rmdir()  # unless there is something else in it
            folder.parent.rmdir()

    def write_log(self, number: int, content: bytes) -> None:
        """Keep what a trial printed."""
        folder = self.trial_folder(number)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / LOG).write_bytes(content)
        except OSError as error:
            raise _machine(error, folder / LOG) from None

    def mark(self) -> int | None:
        """Return what tells this run's disk from another one; None where there is no run."""
        try:
            return (self.path / RECORD).stat().st_ino
        except OSError:
            return None

    def trial_files(self, number: int) -> dict[str, bytes]:
        """Return what trial `number` left in its folder, by name."""
        folder = self.trial_folder(number)
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in (folder.rglob("*") if folder.is_dir() else ())
            if path.is_file() and path.name != LOG
        }

    def write_trial_files(self, number: int, files: Mapping[str, bytes]) -> None:
        """Keep what trial `number` left on another machine.

        Raises:
            MachineError: it could not be written.
        """
        folder = self.trial_folder(number).absolute()
        try:
            for name, content in files.items():
                path = Path(os.path.normpath(folder / name))
                if path.is_relative_to(folder):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
        except OSError as error:
            raise _machine(error, folder) from None

    def write_provenance(self, content: Mapping[str, Any]) -> None:
        """Replace what is known of how the run came about."""
        self.write(PROVENANCE, json.dumps(content, indent=2) + "\n")


def _sync(descriptor: int) -> None:
    """Have what was written reach the disk; on macOS fsync alone stops at the drive's cache."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, full)


def _beside(name: str) -> str:
    """Name the file that replaces another one once it is whole."""
    return f".{name}.new"


def _machine(error: OSError, path: Path) -> MachineError:
    return MachineError(f"{path}: {error.strerror}")


def _is_provenance(found: Any) -> bool:
    """Tell whether what was read has the shape that is written."""
    if not isinstance(found, dict):
        return False
    config, sessions = found.get("config"), found.get("sessions")
    return (
        isinstance(config, dict)
        and isinstance(config.get("folder"), str)
        and isinstance(found.get("identity"), dict)
        and isinstance(found.get("sources"), dict)
        and isinstance(sessions, list)
        and all(isinstance(each, dict) and "started" in each for each in sessions)
    )
