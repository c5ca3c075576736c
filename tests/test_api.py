"""hpsearch from Python: the promises of the command, in a script, a notebook or a thread."""

from __future__ import annotations

import asyncio
import builtins
import functools
import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import hpsearch
from conftest import ROOT, TINY, Command, without_seconds
from hpsearch import Result, Results, RunFolder, load_config, open_run, search
from hpsearch.config.mapping import document_of
from hpsearch.errors import HpsearchError, InVainError, UserError
from hpsearch.objectives import Names, ObjectiveError
from hpsearch.objectives.python import PythonFunction
from hpsearch.strategies import Zoom
from hpsearch.yamlfile import parse_yaml

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def module(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Write user_code.py, import it, and forget it again afterwards."""
    monkeypatch.syspath_prepend(here)

    def write(text: str) -> Any:
        (here / "user_code.py").write_text(text)
        return import_module("user_code")

    yield write
    sys.modules.pop("user_code", None)


SCORE = "def score(x):\n    for epoch in range(2):\n        yield {'loss': x + epoch}\n"


def with_function(function: Any, **other: Any) -> dict[str, Any]:
    return {
        "name": "mine",
        "metric": {"name": "loss", "goal": "minimize"},
        "objective": function,
        "parameters": {"x": {"min": 0, "max": 1}},
        "budget": {"trials": 3},
        **other,
    }


def seen(results: Results) -> list[tuple[Any, ...]]:
    return [(each.trial, each.status, each.params, each.score, each.curve) for each in results]


def test_importing_hpsearch_imports_nothing_heavy() -> None:
    code = "import sys; import hpsearch; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "hpsearch" in loaded
    assert not {"numpy", "pydantic", "click", "hpsearch.api"} & set(loaded)


def test_every_public_name_is_there_and_has_a_docstring() -> None:
    for name in hpsearch.__all__:
        assert name in dir(hpsearch)
        assert getattr(hpsearch, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'serch'"):
        hpsearch.serch  # type: ignore[attr-defined]  # noqa: B018


def test_a_dict_gives_the_table_of_the_command_and_prints_nothing(
    tiny_run: Path, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = parse_yaml(TINY.encode(), "tiny").value
    found = search({"name": "again", **config}, jobs=2)
    assert capfd.readouterr() == ("", "")
    again = here / "runs" / "again"
    assert without_seconds(again / "trials.csv") == without_seconds(tiny_run / "trials.csv")
    assert seen(found) == seen(open_run("tiny"))
    assert found.ended == "trials"
    assert found.best == found.ranked()[0]
    assert len(found[2:]) == 4


def test_a_run_of_the_command_can_be_read_and_is_complete_already(
    tiny_run: Path, here: Path
) -> None:
    record = (tiny_run / "trials.jsonl").read_bytes()
    (here / "tiny.yaml").write_text(TINY)
    assert seen(search("tiny.yaml")) == seen(open_run(tiny_run)) == seen(open_run())
    assert load_config("tiny.yaml").identity() == load_config(here / "tiny.yaml", "tiny").identity()
    assert (tiny_run / "trials.jsonl").read_bytes() == record
    assert len(RunFolder("runs/tiny").results()) == 6


def test_the_frames_have_the_columns_of_the_table_and_a_row_for_each_epoch(
    tiny_run: Path, here: Path
) -> None:
    pytest.importorskip("pandas")
    found = open_run("tiny")
    table, curves = found.frame(), found.curves()
    assert ",".join(table.columns) == (tiny_run / "trials.csv").read_text().splitlines()[0]
    assert table["score"].tolist() == [each.score for each in found]
    assert list(curves["epoch"]) == [1, 2] * 6
    last = curves.groupby("trial").last()["dev_error"]
    assert last.tolist() == [each.metrics["dev_error"] for each in found]


def test_a_frame_without_pandas_is_a_sentence(
    tiny_run: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"pip install 'hpsearch\[pandas\]'"):
        open_run("tiny").frame()


def test_a_notebook_shows_the_leaderboard(tiny_run: Path, here: Path) -> None:
    found = open_run("tiny")
    page = found._repr_html_()
    assert page.startswith("<table>")
    assert page.count("<tr>") == 7
    assert repr(found) == "<6 trials of the run tiny in runs/tiny>"


WAITS = """
import time
from pathlib import Path

begun = 0

def score(x):
    global begun
    begun += 1
    if begun > 2 and not Path("go").exists():
        time.sleep(600)
    return {"loss": x}
"""


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupted_search_leaves_no_process_and_goes_on(
    here: Path, module: Any, times: int
) -> None:
    config = with_function(module(WAITS).score, budget={"trials": 4})
    heard: list[int] = []

    def watch(result: Result) -> None:
        heard.append(result.trial)
        if len(heard) == 2:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    before = psutil.Process().children()
    with pytest.raises(KeyboardInterrupt):
        search(config, jobs=1, progress=watch)
    assert psutil.Process().children() == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    stopped = open_run("mine")
    assert [each.trial for each in stopped] == heard == [0, 1]
    assert stopped.ended is None
    (here / "go").touch()
    assert seen(search(config)) == seen(search(config, name="whole", jobs=2))
    assert without_seconds(here / "runs/mine/trials.csv") == without_seconds(
        here / "runs/whole/trials.csv"
    )


def test_a_search_runs_while_an_event_loop_does_and_in_a_thread(module: Any) -> None:
    function = module(SCORE).score

    async def cell() -> Results:
        return search(with_function(function))

    first = asyncio.run(cell())
    others: list[Results] = []
    thread = threading.Thread(
        target=lambda: others.append(search(with_function(function), name="threaded", jobs=2))
    )
    thread.start()
    thread.join()
    assert seen(first) == seen(others[0])
    assert [each.curve["loss"][1] - each.params["x"] for each in first] == [1, 1, 1]


SCRIPT = """
import json
from hpsearch import search

def score(x, scale):
    return scale(x)

def double(x):
    return 2 * x

score.__defaults__ = (double,)
found = search({
    "name": "script",
    "metric": {"name": "loss", "goal": "minimize"},
    "objective": score,
    "parameters": {"x": {"min": 0, "max": 1}},
    "budget": {"trials": 2},
})
print(json.dumps([each.score / each.params["x"] for each in found]))
"""


def test_a_script_needs_no_guard_and_the_command_goes_on_with_its_run(
    here: Path, command: Command
) -> None:
    (here / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == ("[2.0, 2.0]\n", "")
    record = here / "runs/script/trials.jsonl"
    whole = record.read_bytes()
    record.write_bytes(whole.splitlines(keepends=True)[0])
    resumed = command("resume", "script", "-q")
    assert resumed.returncode == 0, resumed.stderr
    assert [each.score for each in RunFolder("runs/script").results()] == [
        2 * each.params["x"] for each in open_run("script")
    ]


def test_a_module_that_begins_a_search_when_imported_is_refused(here: Path) -> None:
    (here / "again.py").write_text("import hpsearch\nhpsearch.search({})\ndef score(x): return x\n")
    objective = PythonFunction("again:score", str(here), None, {}, None)
    with pytest.raises(ObjectiveError, match="importing again begins a search"):
        objective.prepare(Names(("x",)))
    later = PythonFunction("again.py:score", str(here), None, {}, None)
    with pytest.raises(ObjectiveError, match=r"again.py has no function 'score'"):
        later.prepare(Names(("x",)))


def nested() -> Any:
    def inner(x: float) -> float:
        return x

    return inner


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda x: x, "a lambda is not at the top level of a file"),
        (nested(), "inner' is not at the top level of a file"),
        (functools.partial(with_function, name="x"), "is no plain function"),
        (builtins.abs, "'abs' is defined in no file"),
    ],
)
def test_a_function_that_no_process_could_find_is_refused_and_nothing_written(
    here: Path, function: Any, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        search(with_function(function))
    assert not list(here.iterdir())


CLIMB = """
from dataclasses import dataclass, field

@dataclass
class Climb:
    step: float = 0.1
    start: tuple = (0.5,)
    hidden: int = field(default=0, init=False)

    def suggest(self, space, history, number, rng):
        if not history.known(number):
            return None
        best = history.best(1, number)
        return [min(1, u + self.step) for u in best[0].unit] if best else list(self.start)

class Plain(Climb):
    def __init__(self, step=0.1):
        super().__init__(step)

def score(x):
    return {"loss": 1 - x}
"""


def test_a_strategy_may_be_a_class_or_an_object_and_its_run_goes_on(
    module: Any, here: Path, command: Command
) -> None:
    code = module(CLIMB)
    first = search(with_function(code.score, method=code.Climb(step=0.25, start=(0.25,))))
    assert [each.params["x"] for each in first] == [0.25, 0.5, 0.75]
    text = (here / "runs/mine/config.yaml").read_text()
    assert 'method: {python: "user_code.py:Climb", step: 0.25, start: [0.25]}' in text
    for name, method in {
        "of-class": code.Climb,
        "of-dict": {"python": code.Plain, "step": 0.1},
        "of-text": {"python": "user_code.py:Climb"},
    }.items():
        found = search(with_function(code.score, method=method), name=name, jobs=2)
        assert [each.params["x"] for each in found] == pytest.approx([0.5, 0.6, 0.7])
    record = here / "runs/mine/trials.jsonl"
    whole = record.read_bytes()
    record.write_bytes(whole.splitlines(keepends=True)[0])
    resumed = command("resume", "mine", "-q")
    assert resumed.returncode == 0, resumed.stderr
    assert [each.params["x"] for each in open_run("mine")] == [0.25, 0.5, 0.75]


def test_a_strategy_that_could_not_be_repeated_is_refused_and_nothing_written(
    module: Any, here: Path
) -> None:
    code = module(CLIMB.replace("@dataclass\n", ""))
    inside = type("Inside", (), {"suggest": lambda self: None})
    for method, sentence in (
        (code.Plain.__new__(code.Plain), "Make Plain a dataclass, or give the class"),
        (inside, "'Inside' is not at the top level of a file"),
        (Zoom(), "give a strategy of hpsearch's by its name: 'method': 'zoom'"),
        (code.score, "<dict>: method is of type function"),
    ):
        with pytest.raises(UserError, match=re.escape(sentence)):
            search(with_function(code.score, method=method))
    assert [path.name for path in here.iterdir() if path.name != "__pycache__"] == ["user_code.py"]


def test_a_script_may_have_its_strategy_and_its_objective_above_its_search(here: Path) -> None:
    (here / "script.py").write_text(
        CLIMB + "from hpsearch import search\n"
        "found = search({'name': 'script', 'objective': score, 'method': Climb(),\n"
        "    'metric': {'name': 'loss', 'goal': 'minimize'},\n"
        "    'parameters': {'x': {'min': 0, 'max': 1}}, 'budget': {'trials': 2}})\n"
        "print([each.params['x'] for each in found])\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == ("[0.5, 0.6]\n", "")


def test_a_function_of_a_package_is_found_from_its_root(here: Path) -> None:
    inside = here / "code" / "pack" / "part"
    inside.mkdir(parents=True)
    for folder in (inside, inside.parent):
        (folder / "__init__.py").write_text("")
    (inside / "objective.py").write_text(SCORE)
    sys.path.insert(0, str(here / "code"))
    try:
        from pack.part.objective import score  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    config = load_config(with_function({"python": score}))
    assert config.objective.section(here) == {
        "python": "pack.part.objective:score",
        "folder": "code",
    }
    installed = document_of({"objective": np.mean}, here).value
    assert installed["objective"]["python"].startswith("numpy")
    for name in [name for name in sys.modules if name.startswith("pack")]:
        del sys.modules[name]


def test_a_mistake_in_a_file_has_the_sentence_of_the_command(here: Path, answer: Command) -> None:
    (here / "typo.yaml").write_text(TINY.replace("scale: log", "scale: lgo"))
    with pytest.raises(UserError) as raised:
        search("typo.yaml")
    assert f"{raised.value}\n" == answer("run", "typo.yaml").stderr
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"parameters": {"l2": {"scale": "lgo", "min": 0, "max": 1}}}, "Did you mean 'log'"),
        ({"parameters": {"x": {"values": {1, 2}}}}, "parameters.x.values is of type set"),
        ({"parameters": {"x": {"min": 0, "max": math.inf}}}, "x.max is inf, which is not a finite"),
        ({"parameters": {1: 2}}, "parameters has the key 1: a key must be text"),
        ({"seeed": 3}, "unknown key 'seeed'"),
        ({"name": "../up"}, "name"),
    ],
)
def test_a_mistake_in_a_dict_says_where_and_nothing_is_written(
    here: Path, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        search({"name": "bad", **parse_yaml(TINY.encode(), "tiny").value, **change})
    assert not list(here.iterdir())


def test_a_dict_needs_a_name_and_jobs_a_number_of_trials(here: Path) -> None:
    config = parse_yaml(TINY.encode(), "tiny").value
    with pytest.raises(UserError, match="needs a name"):
        search(config)
    with pytest.raises(UserError, match="from 1 to 10000, or -1"):
        search(config, name="x", jobs=0)
    with pytest.raises(UserError, match="there is no run 'nowhere'"):
        open_run("nowhere")


def test_a_dict_may_hold_what_numpy_and_python_have_beside_yaml(here: Path) -> None:
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"a": deep}
    given = {"a": np.float64(1e-4), "b": np.arange(2), "c": (1, True), "d": range(2), "e": here}
    read = document_of(given, here).value
    assert read == {"a": 1e-4, "b": [0, 1], "c": [1, True], "d": [0, 1], "e": str(here)}
    with pytest.raises(UserError, match="nested deeper"):
        document_of(deep, here)


def test_a_search_without_a_complete_trial_raises_and_keeps_its_trials(
    module: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    function = module("def score(x):\n    raise ValueError('broken')\n").score
    with pytest.raises(InVainError, match="ValueError: broken") as raised:
        search(with_function(function), progress=True)
    assert isinstance(raised.value, HpsearchError)
    assert raised.value.exit_code == 1
    assert [each.status for each in open_run("mine")] == ["failed"] * 3
    out, err = capfd.readouterr()
    assert out == ""
    assert "3 failed" in err


def test_notes_and_warnings_are_kept_and_shown_where_progress_is_asked_for(
    module: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    function = module(SCORE).score
    wide = with_function(function, parameters={"x": {"min": 1e-4, "max": 1}})
    quiet = search(wide)
    assert capfd.readouterr() == ("", "")
    (remark,) = quiet.remarks
    assert remark.startswith("warning: x: a linear scale from 0.0001 to 1 spends")
    search(wide, name="loud", progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert remark in err
    assert "3/3 trials" in err


def test_every_example_of_the_page_runs_in_its_order(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.syspath_prepend(here)
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    for block in blocks:
        if block.startswith("# %%writefile "):
            file = block.split()[2]
            (here / file).write_text(block)
            continue
        exec(compile(block, "python.md", "exec"), names)
    for name in ("objective", "descent"):
        sys.modules.pop(name)
    assert "Did you mean 'digits'?" in capsys.readouterr().out
    assert len(open_run("mine")) == len(open_run("around")) == 6
