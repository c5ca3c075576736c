"""Hyperparameter search from one YAML file, with an honest leaderboard.

From Python: `search` runs one, `load_config` checks a config, `open_run` reads what a run found.
These names are imported when they are first used, so that `import hpsearch` costs nothing.
"""

TYPE_CHECKING = False  # typing's own takes longer to import than all of this
if TYPE_CHECKING:
    from hpsearch.api import Results, load_config, open_run, search
    from hpsearch.config import Config
    from hpsearch.store import RunFolder
    from hpsearch.trial import Result

__version__ = "0.1.0"

__all__ = [
    "Config",
    "Result",
    "Results",
    "RunFolder",
    "__version__",
    "load_config",
    "open_run",
    "search",
]

_HOMES = {
    "Config": "hpsearch.config",
    "Result": "hpsearch.trial",
    "Results": "hpsearch.api",
    "RunFolder": "hpsearch.store",
    "load_config": "hpsearch.api",
    "open_run": "hpsearch.api",
    "search": "hpsearch.api",
}


if not TYPE_CHECKING:  # or a misspelt name would have a type

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'hpsearch' has no attribute '{name}'")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
