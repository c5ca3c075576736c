"""Functions and classes given as objects: the name by which another process finds one."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hpsearch.errors import UserError
from hpsearch.objectives.base import seen_from


def target_of(function: Any, home: Path) -> tuple[str, str | None]:
    """Return `file.py:name` or `module:name` for a function, and the folder to look in.

    Nothing is shipped but the name: the processes that run trials read the file, as the command
    does when it goes on with the run. So it must be at the top level of a file.

    home: What the file and the folder are seen from; the folder is None where none is needed.
    Raises:
        UserError: no file has it under its name.
    """
    module, path = _home_of(function)
    name = function.__name__
    package = module.__name__.count(".") or hasattr(module, "__path__")
    if module.__name__ == "__main__" or not (package or _is_installed(path)):
        return f"{seen_from(home, path)}:{name}", None
    if _is_installed(path):
        return f"{module.__name__}:{name}", None
    up = module.__name__.count(".") + (path.name == "__init__.py")
    return f"{module.__name__}:{name}", seen_from(home, path.parents[up])


def file_of(cls: type, home: Path) -> str:
    """Return `file.py:Class` for a class.

    home: What the file is seen from.
    Raises:
        UserError: no file has it under its name.
    """
    path = _home_of(cls)[1]
    return f"{seen_from(home, path)}:{cls.__name__}"


def _home_of(given: Any) -> tuple[ModuleType, Path]:
    """Return the module and the file of a function or a class."""
    name = getattr(given, "__qualname__", None)
    module = sys.modules.get(getattr(given, "__module__", None) or "")
    if name is None or module is None:
        raise UserError(
            f"{given!r} is no plain function, so it cannot be found by name\n"
            "Define a function in a file, with what is fixed as constants under parameters."
        )
    if not name.isidentifier() or getattr(module, name, None) is not given:
        what = "a lambda" if "<lambda>" in name else f"'{name}'"
        raise UserError(
            f"{what} is not at the top level of a file, so the processes that run trials cannot "
            f"find it\n{_ADVICE}"
        )
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py") or not Path(file).is_file():
        raise UserError(
            f"'{name}' is defined in no file, so the processes that run trials cannot find it\n"
            f"{_ADVICE}"
        )
    return module, Path(file).resolve()


_ADVICE = (
    "Put it into a file and import it from there; in a notebook, begin its cell with: "
    "%%writefile objective.py"
)


def _is_installed(path: Path) -> bool:
    """Tell whether a file belongs to Python or an installed package."""
    paths = sysconfig.get_paths()
    homes = (paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    return any(path.is_relative_to(Path(home).resolve()) for home in homes)
