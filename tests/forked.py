"""The real command in a process of its own, without its start-up.

`python tests/forked.py` imports hpsearch and waits. For each request that it reads, a line of JSON,
it forks a process that becomes the command and ends as one does; then it writes that one's exit
code.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import traceback
from importlib import import_module
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parent.parent
MAIN = ROOT / "hpsearch" / "__main__.py"

Environment = dict[str, str]


def _environment(given: Environment) -> Environment:
    """Leave out what pytest tells of itself."""
    return {name: value for name, value in given.items() if not name.startswith("PYTEST_")}


class Forks:
    """Starts commands from a process that has imported hpsearch."""

    def __init__(self, environment: Environment) -> None:
        self._environment = _environment(environment)
        self._parent = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def fits(self, environment: Environment) -> bool:
        """Tell whether this is the environment that commands are forked in."""
        return self._parent.poll() is None and _environment(environment) == self._environment

    def run(
        self, arguments: list[str], folder: Path, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, as subprocess.run does."""
        pipe, answers = self._parent.stdin, self._parent.stdout
        assert pipe
        assert answers
        with tempfile.TemporaryDirectory() as scratch:
            out, err = Path(scratch, "out"), Path(scratch, "err")
            request = {"arguments": arguments, "folder": str(folder), "files": [str(out), str(err)]}
            pipe.write(json.dumps(request) + "\n")
            pipe.flush()
            if not select.select([answers], [], [], timeout)[0]:
                self.end()
                raise subprocess.TimeoutExpired(arguments, timeout)
            code = int(answers.readline())
            return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())

    def end(self) -> None:
        """End the process that commands are forked from."""
        self._parent.terminate()
        self._parent.communicate()


IMPORTED = [
    *("joblib", "rich.live", "scipy.optimize", "scipy.stats.qmc", "tabulate"),
    *("hpsearch.cli", "hpsearch.config", "hpsearch.overview", "hpsearch.preview"),
    *("hpsearch.refine", "hpsearch.report.formats", "hpsearch.report.terminal"),
    *("hpsearch.loop", "hpsearch.surrogate"),
]
"""What most commands import, and what is slow to import."""


def _prepare() -> None:
    """Import it, and read a config, which makes the checks of the sections."""
    for name in IMPORTED:
        import_module(name)
    from hpsearch.config import load_config

    load_config(ROOT / "configs" / "digits.yaml")


def _become_commands() -> None:
    """Fork at each request; return in the new process, which then is the command."""
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid:
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
            continue
        os.chdir(request["folder"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in enumerate(request["files"], 1):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        sys.stdin = os.fdopen(0, closefd=False)
        sys.argv = [str(MAIN), *request["arguments"]]
        sys.path[0] = request["folder"]
        return
    os._exit(0)


def _command() -> int:
    """Be the command; return its exit code."""
    from hpsearch.__main__ import main

    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _end_with(code: int) -> NoReturn:
    """End as Python does, but for the imported modules: taking them down takes a quarter second."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    with contextlib.suppress(KeyboardInterrupt):
        _prepare()
        _become_commands()
    _end_with(_command())
