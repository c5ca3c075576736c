"""Where a run comes from: command, versions, code, data, machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from hpsearch import __version__
from hpsearch.config import Config
from hpsearch.store import PROVENANCE_FORMAT


def describe(config: Config) -> dict[str, Any]:
    """Return what a run is made of: config, data and all that decides its trials."""
    file = Path(config.document.name)
    return {
        "format": PROVENANCE_FORMAT,
        "name": config.name,
        "parent": config.parent,
        "config": {
            "path": str(file.resolve()) if file.exists() else None,  # a dict has no file
            "folder": str(config.objective.folder()),
            "sha256": hashlib.sha256(config.document.raw).hexdigest(),
        },
        "sources": config.sources(),
        **({"warm_start": config.earlier_run} if config.earlier_run else {}),
        "identity": config.identity(),
        "sessions": [],
    }


def session(jobs: int) -> dict[str, Any]:
    """Return what is true of this command: who runs what, where, with which versions."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "pid": os.getpid(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "jobs": jobs,
        "versions": versions(),
        "git": git_commit(),
        "seconds": 0.0,
        "ended": None,
    }


def goes_on(session: Mapping[str, Any]) -> bool:
    """Tell whether the command of a session still runs, as far as this machine can know."""
    import psutil

    if session.get("ended") is not None:
        return False
    if session.get("host") != platform.node() or "pid" not in session:
        return True
    try:
        born = psutil.Process(session["pid"]).create_time()
    except psutil.Error:
        return False
    # A number may be given again; the second is that to which `started` is rounded down.
    return bool(born <= datetime.fromisoformat(session["started"]).timestamp() + 1)


def versions() -> dict[str, str | None]:
    """Return the versions of what results can depend on."""
    return {
        "hpsearch": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in ("numpy", "scipy", "pydantic")},
    }


@cache
def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_commit() -> dict[str, Any] | None:
    """Return the commit of the working folder and whether it has changes; None outside git."""
    try:
        head, status = (
            subprocess.run(
                ["git", *arguments], capture_output=True, text=True, timeout=5, check=True
            ).stdout.strip()
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": head, "changed": bool(status)}
