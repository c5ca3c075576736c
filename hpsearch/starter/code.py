"""A starter config for the user's own code, which is read and never run."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError, nearest
from hpsearch.objectives.base import seen_from
from hpsearch.objectives.command import GIVEN as GIVEN_TO_COMMANDS
from hpsearch.objectives.python import GIVEN as GIVEN_TO_FUNCTIONS
from hpsearch.yamlfile import dump

LIKELY = ("score", "objective", "train", "evaluate", "fit", "main", "run")
"""What a function that measures a setting is often called."""
GOOD = ("acc", "accuracy", "f1", "auc", "r2", "precision", "recall", "score", "reward", "map")
BAD = ("error", "loss", "cost", "rmse", "mse", "mae", "perplexity", "gap", "distance", "time")
"""Words of metrics of which more, or less, is better."""
EPOCHS = ("epochs", "epoch", "n_epochs", "num_epochs", "max_epochs", "steps", "max_steps")

TIERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("First the learning rate.", re.compile(r"lr|.*learning_?rate.*|eta|alpha|step_?size")),
    (
        "Then momentum, the mini-batch size and the units.",
        re.compile(r".*(momentum|beta|batch|unit|hidden|width|neuron|dim|channels).*"),
    ),
    ("Then layers and decay.", re.compile(r".*(layer|depth|decay|schedule|gamma).*")),
)
"""What matters most comes first, by experience."""
MOST_CHOICES = 1000
OTHERS = "Then the others."


@dataclass(frozen=True)
class Argument:
    """A parameter of a function, or an option of a program."""

    name: str
    default: Any = None
    """None where there is none, or it is not written down as a plain value."""
    type: str = ""
    """`int`, `float`, `bool`, `str`, or nothing where the code does not say."""
    choices: tuple[Any, ...] = ()
    bounds: tuple[float, float] | None = None
    """Both ends of what a program accepts, where it says them."""
    required: bool = False
    flag: str = ""
    """How a program takes it: --lr."""


@dataclass(frozen=True)
class Entry:
    """What becomes of an argument in the config."""

    value: str
    note: str
    varied: bool


# What a value can be


def entry_of(each: Argument) -> Entry | None:
    """Return a range around the default of an argument; None for one that is left alone."""
    name, default = each.name.lower(), each.default
    if each.choices:
        return Entry(f"{{values: {dump(list(each.choices))}}}", "its choices", True)
    if each.bounds is not None:
        return Entry(_between(*each.bounds, whole=each.type == "int"), "what it accepts", True)
    if isinstance(default, bool) or (each.type == "bool" and not isinstance(default, str)):
        return Entry("{values: [false, true]}", "", True)
    if isinstance(default, str) or (each.type == "str" and default is None):
        return Entry(dump(default), "text: to vary it, {values: [...]}", False) if default else None
    note = f"around its default, {dump(default)}" if default is not None else "has no default"
    if re.fullmatch(r"lr|.*learning_?rate.*|eta|step_?size", name):
        return Entry(_decades(default, 1e-4, 1.0), note, True)
    if re.fullmatch(r".*(momentum|beta).*", name) and each.type != "int":
        ok = default is None or (isinstance(default, int | float) and 0 <= default < 1)
        if ok:
            return Entry("{scale: one_minus_log, min: 0.9, max: 0.999}", note, True)
    if isinstance(default, int) or each.type == "int":
        return Entry(_whole(default), note, True)
    if isinstance(default, float) and 0 < default < 1 and re.search(r"drop|prob|ratio|frac", name):
        return Entry(
            "{min: 0.0, max: 0.5}" if default <= 0.5 else "{min: 0.5, max: 1.0}", note, True
        )
    if isinstance(default, float):
        return Entry(_decades(default, 1e-4, 1.0), note, True)
    if each.type == "float" or each.required:
        return Entry("{min: 0.0, max: 1.0}", "has no default: give it a range that fits", True)
    return None


def _between(low: float, high: float, *, whole: bool) -> str:
    """Return the whole range that is accepted, on a log scale where it spans two decades."""
    log = "scale: log, " if low > 0 and high >= 100 * low else ""
    return f"{{{log}{'type: int, ' * whole}min: {dump(low)}, max: {dump(high)}}}"


def _decades(default: Any, low: float, high: float) -> str:
    """Return a log range of two decades to either side of a positive default."""
    if isinstance(default, int | float) and not isinstance(default, bool):
        if default > 0:
            low, high = default / 100, default * 100
            high = min(high, 1.0) if default < 1 else high
        elif default < 0:
            return f"{{min: {dump(2.0 * default)}, max: 0.0}}"
    low, high = float(f"{low:.3g}"), float(f"{high:.3g}")
    return f"{{scale: log, min: {dump(low)}, max: {dump(high)}}}"


def _whole(default: Any) -> str:
    """Return a range of whole numbers around a default."""
    if not isinstance(default, int) or isinstance(default, bool):
        return "{type: int, min: 1, max: 10}"
    if default >= 8:
        return f"{{scale: log, type: int, min: {default // 4}, max: {default * 4}}}"
    if default < 0:
        return f"{{type: int, min: {2 * default}, max: 0}}"
    return f"{{type: int, min: {min(1, default)}, max: {max(3, 2 * default)}}}"


# Reading code


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise UserError(f"{path}{f':{line}' if line else ''}: no Python: {error}") from None


Function = ast.FunctionDef


def _constant(node: ast.expr | None) -> Any:
    """Return the plain value that an expression says; None for any other."""
    if node is None:
        return None
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, bool | int | float | str | list | tuple) else None


def _type(node: ast.expr | None) -> str:
    if isinstance(node, ast.Name) and node.id in ("int", "float", "bool", "str"):
        return node.id
    return ""


def _choices(node: ast.expr | None) -> tuple[Any, ...]:
    """Return the options of a Literal[...], of a list, or of a range(...)."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "range":
        ends = [_constant(each) for each in node.args]
        if 1 <= len(ends) <= 3 and all(type(each) is int for each in ends) and 0 not in ends[2:]:
            return tuple(range(*ends))[:MOST_CHOICES]
        return ()
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Literal"):
        value = _constant(node.slice)
        return tuple(value) if isinstance(value, tuple) else () if value is None else (value,)
    value = _constant(node)
    return tuple(value) if isinstance(value, list | tuple) else ()


def _bounds(node: ast.expr | None) -> tuple[str, tuple[float, float] | None]:
    """Return the type and both ends of click's IntRange and FloatRange."""
    called = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
    kind = {"IntRange": "int", "FloatRange": "float"}.get(called, "")
    if not kind or not isinstance(node, ast.Call):
        return "", None
    keys = {each.arg: each.value for each in node.keywords if each.arg}
    low, high = [*node.args, None, None][:2]
    ends = [_constant(keys.get("min", low)), _constant(keys.get("max", high))]
    is_open = any(_constant(keys.get(key)) for key in ("min_open", "max_open"))
    if is_open or any(type(each) not in (int, float) for each in ends) or ends[0] >= ends[1]:
        return kind, None
    return kind, (ends[0], ends[1])


def function_arguments(function: Function) -> list[Argument]:
    """Return the parameters of a function that are given by name."""
    signature = function.args
    positional = [*signature.posonlyargs, *signature.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(signature.defaults))
    pairs = [
        *zip(positional, [*defaults, *signature.defaults], strict=True),
        *zip(signature.kwonlyargs, signature.kw_defaults, strict=True),
    ]
    return [
        Argument(
            name=each.arg,
            default=_constant(default),
            type=_type(each.annotation),
            choices=_choices(each.annotation) if each.annotation is not None else (),
            required=default is None,
        )
        for each, default in pairs
    ]


def script_options(tree: ast.Module) -> list[Argument]:
    """Return the options that a script declares with argparse or click."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func).rpartition(".")[2]
        if called not in ("add_argument", "option"):
            continue
        words = [_constant(each) for each in node.args]
        flags = [each for each in words if isinstance(each, str) and each.startswith("--")]
        if not flags:
            continue
        keys = {each.arg: each.value for each in node.keywords if each.arg}
        if "nargs" in keys or "multiple" in keys or _constant(keys.get("is_flag")):
            continue
        action = _constant(keys.get("action"))
        flag = flags[0].split("/")[0]
        if (action is not None and action != "store") or "/" in flags[0]:
            continue
        choices = keys.get("choices")
        kind = keys.get("type")
        if isinstance(kind, ast.Call) and ast.unparse(kind.func).endswith("Choice") and kind.args:
            choices = kind.args[0]
        default = _constant(keys.get("default"))
        ranged, bounds = _bounds(kind)
        found.append(
            Argument(
                name=re.sub(r"\W", "_", flag.removeprefix("--")),
                default=default if isinstance(default, bool | int | float | str) else None,
                type=_type(kind) or ranged,
                choices=_choices(choices),
                bounds=bounds,
                required=bool(_constant(keys.get("required"))),
                flag=flag,
            )
        )
    return list({each.name: each for each in found}.values())


def metric_in(tree: ast.AST) -> tuple[str, str] | None:
    """Return the name of a number that code reports as an entry of a dict, and the goal."""
    names = [
        key.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    ]
    return _likeliest(names)


def printed_metric(tree: ast.AST) -> tuple[str, str, str] | None:
    """Return name, goal and pattern of a number that an f-string prints: `acc={acc}`."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for before, value in zip(node.values, node.values[1:], strict=False):
            if isinstance(before, ast.Constant) and isinstance(value, ast.FormattedValue):
                match = re.search(r"([A-Za-z_]\w*)(\s*[=:]\s*)$", str(before.value))
                if match:
                    sign = match[2].strip()
                    found[match[1]] = rf"\b{match[1]}\s*{sign}\s*([-+0-9.eE]+)"
    likely = _likeliest([*found])
    return None if likely is None else (*likely, found[likely[0]])


def _likeliest(names: Sequence[str]) -> tuple[str, str] | None:
    """Return the metric that a search is likeliest about, of the dev set first."""

    def rank(name: str) -> tuple[bool, bool, int]:
        lower = name.lower()
        held_out = re.search(r"dev|val|test", lower) is not None
        return (not held_out, "train" in lower, names.index(name))

    known = [name for name in names if _goal(name) and re.fullmatch(r"[A-Za-z_]\w*", name)]
    if not known:
        return None
    best = min(known, key=rank)
    return best, _goal(best) or "minimize"


def _goal(name: str) -> str | None:
    words = re.split(r"[^a-z0-9]+|_", name.lower())
    if any(word in BAD for word in words):
        return "minimize"
    return "maximize" if any(word in GOOD for word in words) else None


# Configs


def python_config(target: str, folder: Path) -> str:
    """Write a starter config for a function: file.py or file.py:function.

    folder: Where the config will be.

    Raises:
        UserError: there is no such file or function.
    """
    file, _, wanted = target.partition(":")
    path = Path(file)
    if not file.endswith(".py"):
        raise UserError(f"--python takes file.py or file.py:function, not '{target}'")
    tree = _parsed(path)
    functions = {each.name: each for each in tree.body if isinstance(each, Function)}
    function = functions[_function(path, functions, wanted)]
    arguments = function_arguments(function)
    own = [each for each in arguments if each.name not in GIVEN_TO_FUNCTIONS]
    entries = {each.name: entry_of(each) for each in own}
    for each in own:
        if entries[each.name] is None and each.required:
            entries[each.name] = Entry("{min: 0.0, max: 1.0}", "has no default: give a range", True)
    metric, goal = metric_in(function) or (
        _metric_of_name(function.name, [each.name for each in own]),
        _goal(function.name) or "minimize",
    )
    sure = metric_in(function) is not None or _goal(function.name) is not None
    asked = next((each for each in arguments if each.name == "budget"), None)
    epochs = ""
    if asked is not None:
        given = asked.default if isinstance(asked.default, int) and asked.default > 0 else 10
        epochs = f", epochs: {given}"
    place = seen_from(folder, path.parent)
    where = "" if place == "." else f", folder: {dump(place)}"
    section = f"{{python: {dump(f'{path.name}:{function.name}')}{where}{epochs}}}"
    seen = [f"objective: {section}  # called with each parameter by its name"]
    return _config(
        f"the function {function.name} of {path.name}", metric, goal, sure, seen, entries
    )


def _metric_of_name(function: str, taken: Sequence[str]) -> str:
    return "score" if function in taken or function in ("score", "main", "train") else function


def _function(path: Path, functions: Mapping[str, Function], wanted: str) -> str:
    if wanted:
        if wanted in functions:
            return wanted
        meant = nearest(wanted, [*functions])
        hint = f"Did you mean '{meant}'? " if meant else ""
        raise UserError(
            f"{path} has no function '{wanted}'\n{hint}Its functions: "
            f"{', '.join(functions) or 'none'}."
        )
    public = [name for name in functions if not name.startswith("_")]
    for name in (*LIKELY, *public[:1]):
        if name in functions:
            return name
    raise UserError(f"{path} has no function to call\nName one: --python {path}:FUNCTION")


def command_config(command: str, folder: Path, here: Path) -> str:
    """Write a starter config for a program.

    Args:
        command: As it is started now.
        folder: Where the config will be.
        here: The folder in which the program is started now.
    Raises:
        UserError: the command has an open quote, is empty, or starts a script that is not there.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UserError(f"--command: {error}: {command}") from None
    if not words:
        raise UserError("--command: it is empty")
    script = next((each for each in words if each.endswith(".py")), None)
    tree = None
    if script is not None and (here / script).is_file():
        tree = _parsed(here / script)
    elif script is not None and all(
        each.startswith("-") for each in words[1 : words.index(script)]
    ):
        raise UserError(f"--command: there is no file {script} in {here}")
    given = {each.split("=")[0] for each in words if each.startswith("--")}
    options = [] if tree is None else script_options(tree)
    parts, entries, budget = [command.replace("{", "{{").replace("}", "}}")], {}, ""
    for each in options:
        if each.flag in given:
            continue
        if each.name in GIVEN_TO_COMMANDS and each.name != "budget":
            if each.name == "seed":
                parts.append(f"{each.flag}={{seed}}")
        elif each.name.lower() in EPOCHS or each.name == "budget":
            parts.append(f"{each.flag}={{budget}}")
            budget = f", epochs: {each.default if isinstance(each.default, int) else 10}"
        else:
            entry = entry_of(each)
            if entry is not None and (entry.varied or each.required):
                entries[each.name] = entry
                parts.append(f"{each.flag}={{{each.name}}}")
    place = seen_from(folder, here)
    where = "" if place == "." else f", folder: {dump(place)}"
    section = f"{{command: {dump(' '.join(parts))}{where}{budget}}}"
    seen = [f"objective: {section}"]
    if not entries:
        seen.insert(0, "# Put {learning_rate} where the program takes it: --lr={learning_rate}. It")
        seen.insert(1, "# is in the environment too, as HPSEARCH_PARAM_LEARNING_RATE.")
        entries["learning_rate"] = Entry("{scale: log, min: 0.0001, max: 1.0}", "", True)
    reported = None if tree is None else metric_in(tree)
    printed = None if tree is None or reported else printed_metric(tree)
    pattern = None
    if reported is not None:
        metric, goal = reported
    elif printed is not None:
        metric, goal, pattern = printed
    else:
        metric, goal = "score", "minimize"
        seen.append('# The program must print its result as JSON: {"score": 0.25}')
    sure = reported is not None or printed is not None
    return _config(f"the command {command}", metric, goal, sure, seen, entries, pattern)


def _config(
    what: str,
    metric: str,
    goal: str,
    sure: bool,
    objective: Sequence[str],
    entries: Mapping[str, Entry | None],
    pattern: str | None = None,
) -> str:
    matched = "" if pattern is None else f", pattern: {dump(pattern)}"
    note = "which way is better is guessed" if sure else "say what it is, and which way is better"
    lines = [
        f"# A first search with {' '.join(what.split())}. Written by hpsearch init.",
        "# Ranges are guessed from names and defaults: look at each. To fix a parameter, write its",
        "# value instead of its range.",
        f"metric: {{name: {metric}, goal: {goal}{matched}}}  # {note}",
        *objective,
        "parameters:" if any(entries.values()) else "parameters: {}",
        *_tiers({name: each for name, each in entries.items() if each is not None}),
        "method: random  # each trial tries new values of every parameter, unlike a grid",
        "seed: 0  # the same seed gives the same settings",
        "budget: {trials: 20}  # raise it and run again: finished trials stay",
        "trial: {timeout: 10m}  # a trial that hangs is ended",
    ]
    return "\n".join(lines) + "\n"


def _tiers(entries: Mapping[str, Entry]) -> Iterator[str]:
    """Yield the lines of the parameters, the most important first."""
    left = dict(entries)
    for text, pattern in TIERS:
        names = [name for name in left if pattern.fullmatch(name.lower())]
        if names:
            yield f"  # {text}"
        for name in names:
            yield _line(name, left.pop(name))
    if left:
        if len(left) < len(entries):
            yield f"  # {OTHERS}"
        for name, entry in left.items():
            yield _line(name, entry)


def _line(name: str, entry: Entry) -> str:
    return f"  {name}: {entry.value}" + (f"  # {entry.note}" if entry.note else "")
