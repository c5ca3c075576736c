"""A Python function as the objective: how it is found, called, and what becomes of its answer."""

from __future__ import annotations

import csv
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from conftest import Command, drained, without_seconds
from hpsearch.child import run_trial
from hpsearch.config import config_schema, load_config
from hpsearch.errors import UserError
from hpsearch.objectives import Context, Names, ObjectiveError
from hpsearch.objectives.python import PythonFunction
from hpsearch.store import RunFolder
from hpsearch.trial import Result
from hpsearch.yamlfile import parse_yaml

CONFIG = """
metric: {name: acc, goal: maximize}
objective: {python: "train.py:score", epochs: 3}
parameters:
  rate: {scale: log, min: 1e-3, max: 1}
  units: {type: int, min: 1, max: 9}
  kind: {values: [a, 2, 2.5, true, null, [1, x]]}
  fixed: [3, b]
budget: {trials: 5}
"""
TRAIN = """
    from helper import gain

    def score(rate, units, kind, fixed, seed, budget):
        assert type(rate) is float and type(units) is int
        assert kind in ("a", 2, 2.5, True, None, [1, "x"])
        assert fixed == [3, "b"]
        for epoch in range(budget):
            yield {"acc": gain(rate) * units + epoch, "noise": seed % 1000}
"""


def write(folder: Path, **files: str) -> None:
    """Write files: `train` is train.py, `search_yaml` is search.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        file = name.replace("_yaml", ".yaml") if name.endswith("_yaml") else f"{name}.py"
        (folder / file).write_text(textwrap.dedent(text))


def results(run: Path) -> list[Result]:
    return RunFolder(run).results()


@pytest.fixture
def searched(tmp_path: Path, command: Command) -> Path:
    """Run the search of CONFIG, which is in a sub-folder."""
    write(tmp_path / "sub", search_yaml=CONFIG, train=TRAIN, helper="def gain(x): return 1 / 3 * x")
    done = command("run", "sub/search.yaml", "-j", "2")
    assert done.returncode == 0, done.stderr
    return tmp_path / "runs" / "search"


def test_a_generator_beside_the_config_gives_scores_and_curves(searched: Path) -> None:
    found = results(searched)
    assert [result.status for result in found] == ["complete"] * 5
    for result in found:
        first = 1 / 3 * result.params["rate"] * result.params["units"]
        assert result.curve["acc"] == [first, first + 1, first + 2]
        assert result.score == result.metrics["acc"] == first + 2
        assert result.metrics["noise"] == result.seed % 1000
        assert result.budget == 3


def test_one_job_and_two_give_the_same_table_with_every_metric_and_parameter(
    searched: Path, command: Command
) -> None:
    with (searched / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = ["trial", "status", "score", "epochs", "acc", "noise", "rate", "units", "kind", "fixed"]
    assert list(rows[0]) == [*names, "seconds"]
    assert [float(row["score"]) for row in rows] == [result.score for result in results(searched)]
    alone = command("run", "sub/search.yaml", "-j", "1", "-n", "alone", "-q")
    assert alone.returncode == 0, alone.stderr
    table = without_seconds(searched.parent / "alone" / "trials.csv")
    assert table == without_seconds(searched / "trials.csv")


def test_the_best_config_reproduces_the_score_and_goes_on_from_its_own_folder(
    searched: Path, command: Command
) -> None:
    best = max(results(searched), key=lambda result: result.score or 0)
    done = command("run", "runs/search/best.yaml", "-q")
    assert done.returncode == 0, done.stderr
    (again,) = results(searched.parent / "search-best")
    assert (again.curve, again.metrics) == (best.curve, best.metrics)
    repeated = command("run", "runs/search-best/config.yaml")
    assert repeated.returncode == 0, repeated.stderr
    assert "complete already" in repeated.stderr


def test_a_run_is_refined_and_so_is_the_refined_one(searched: Path, command: Command) -> None:
    for name in ("search", "search-refined"):
        done = command("refine", name, "--trials", "3", "-q")
        assert done.returncode == 0, done.stderr
    found = results(searched.parent / "search-refined-2")
    assert [result.status for result in found] == ["complete"] * 3


def test_every_option_can_be_written_as_the_best(tmp_path: Path, command: Command) -> None:
    config = """
        metric: {name: acc, goal: maximize}
        objective: {python: "train.py:score"}
        parameters: {kind: {values: [null]}}
        budget: {trials: 1}
    """
    write(tmp_path, search_yaml=config, train="def score(kind): return int(kind is None)")
    assert command("run", "search.yaml", "-q").returncode == 0
    done = command("run", "runs/search/best.yaml", "-q")
    assert done.returncode == 0, done.stderr
    (again,) = results(tmp_path / "runs/search-best")
    assert again.score == 1


def test_a_module_is_found_from_the_configs_folder(tmp_path: Path, command: Command) -> None:
    config = """
        metric: {name: loss, goal: minimize}
        objective: {python: "package.inner:score"}
        parameters: {rate: {min: 0, max: 1}}
        budget: {trials: 2}
    """
    write(tmp_path / "sub", search_yaml=config)
    write(tmp_path / "sub/package", inner="def score(rate): return rate", __init__="")
    done = command("run", "sub/search.yaml", "-q")
    assert done.returncode == 0, done.stderr
    for result in results(tmp_path / "runs/search"):
        assert result.score == result.params["rate"]


def test_the_key_folder_says_where_the_code_is(tmp_path: Path, command: Command) -> None:
    config = """
        metric: {name: loss, goal: minimize}
        objective: {python: "train.py:score", folder: ../code}
        parameters: {rate: {min: 0, max: 1}}
        budget: {trials: 3}
    """
    write(tmp_path / "configs", search_yaml=config)
    write(tmp_path / "code", train="from side import score", side="def score(rate): return rate")
    for words in (("run", "configs/search.yaml"), ("run", "runs/search/config.yaml"), ("refine",)):
        done = command(*words, "-q")
        assert done.returncode == 0, done.stderr
    assert len(results(tmp_path / "runs/search-refined")) == 3


def test_what_a_function_prints_is_kept_and_does_not_mix_with_the_answers(
    tmp_path: Path, command: Command
) -> None:
    config = CONFIG.replace("trials: 5", "trials: 1")
    body = """
        import os, subprocess, sys
        def score(trial_dir, **others):
            print("on stdout", others["units"])
            subprocess.run(["echo", "from a program"])
            print("on stderr", file=sys.stderr)
            (trial_dir / "model.txt").write_text("kept")
            return {"acc": 1.0, "others": len(others)}
    """
    write(tmp_path, search_yaml=config, train=body)
    done = command("run", "search.yaml", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (result,) = results(tmp_path / "runs/search")
    assert result.metrics["others"] == 4  # seed and budget go to who asks for them by name
    trial = tmp_path / "runs/search/trials/0000"
    log = (trial / "log.txt").read_text()
    assert f"on stdout {result.params['units']}\n" in log
    assert "from a program\n" in log
    assert "on stderr\n" in log
    assert (trial / "model.txt").read_text() == "kept"


def test_a_trial_that_fails_is_a_row_with_what_was_raised_and_printed(
    tmp_path: Path, command: Command
) -> None:
    body = """
        import sys
        def score(units, **others):
            print("before the end")
            if units > 4:
                sys.exit("too many")
            return {"acc": units}
    """
    write(tmp_path, search_yaml=CONFIG.replace("trials: 5", "trials: 6"), train=body)
    assert command("run", "search.yaml", "-q").returncode == 0
    found = results(tmp_path / "runs/search")
    assert {result.status for result in found} == {"complete", "failed"}
    for result in found:
        assert result.status == ("failed" if result.params["units"] > 4 else "complete")
        if result.status == "failed":
            assert result.message is not None
            assert result.message.startswith("SystemExit: too many\n")
            assert 'train.py", line 6, in score' in result.message
            assert result.message.endswith("The last it printed:\nbefore the end")


NOT_USABLE = [
    ("def score(**p): return float('nan')", "'acc' is not finite; expected a finite number"),
    ("def score(**p): return 'good'", "the result is 'good' (str); expected a number, or a dict"),
    ("def score(**p): pass", "the result is nothing (None); expected a number"),
    ("def score(**p): return {'loss': 1}", "did not report 'acc'; it reported: loss"),
    ("def score(**p): return {}", "reported nothing; expected a number, or a dict with 'acc'"),
    ("def score(**p): return [0.5]", "the result is [0.5] (list); expected a number"),
    ("def score(**p): return True", "the result is True (bool); expected a number"),
    ("import numpy\ndef score(**p): return numpy.ones(2)", "array([1., 1.]) (ndarray); expected"),
    ("def score(**p): return {'acc': 1, 'b': 'x'}", "the metric 'b' is 'x' (str); expected"),
    ("def score(**p): yield from ()", "reported nothing; expected a number"),
    ("def score(**p): yield 1; yield {'acc': None}", "the metric 'acc' is nothing (None)"),
    ("def score(**p): yield 1; yield float('inf')", "'acc' is not finite"),
    ("def score(**p): return 1 / 0", "ZeroDivisionError: division by zero\n"),
    ("def score(**p): yield 1; raise KeyError('k')", "KeyError: 'k'\n"),
]


def objective(folder: Path, target: str = "train.py:score", **keywords: Any) -> PythonFunction:
    return PythonFunction(target, str(folder), None, keywords, None)


@pytest.fixture(autouse=True)
def _imports_are_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the modules of a test, for which the command has a process of its own."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def context(folder: Path, budget: int | None = None) -> Context:
    return Context(number=0, seed=11, metric="acc", budget=budget, folder=folder / "trial")


@pytest.mark.parametrize(("body", "says"), NOT_USABLE, ids=lambda text: text[:50])
def test_an_answer_that_is_no_metric_fails_the_trial_with_a_sentence(
    tmp_path: Path, body: str, says: str
) -> None:
    write(tmp_path, train=body)
    function = objective(tmp_path)
    function.prepare(Names(("rate",)))
    answer = run_trial(function, {"rate": 1.0}, context(tmp_path))
    assert (answer["status"], answer["score"]) == ("failed", None)
    assert says in answer["message"]


GOOD_BODIES = [
    ("def score(rate): return rate", [0.5]),
    ("def score(rate): return {'acc': rate, 'loss': 1}", [0.5]),
    ("def score(rate): yield rate; yield rate / 2", [0.5, 0.25]),
    ("def score(rate): return iter([{'acc': 1}, {'acc': rate}])", [1.0, 0.5]),
    ("def score(rate): yield float('nan'); yield rate", [None, 0.5]),
    ("import numpy\ndef score(rate): return numpy.float32(rate)", [0.5]),
    ("def score(*, rate, seed): return rate + seed", [11.5]),
    ("def score(rate, budget=7): return budget", [7.0]),
    ("def score(rate, trial_dir): return trial_dir.is_dir()+0", [1.0]),
    ("def score(x=1, /, *rest, rate): return rate", [0.5]),
    ("from functools import partial\ndef f(a, rate): return rate\nscore = partial(f, 1)", [0.5]),
    ("class F:\n  def __call__(self, rate): return rate\nscore = F()", [0.5]),
]


@pytest.mark.parametrize(("body", "curve"), GOOD_BODIES, ids=lambda value: str(value)[:50])
def test_a_function_is_called_with_what_it_asks_for_by_name(
    tmp_path: Path, body: str, curve: list[float]
) -> None:
    write(tmp_path, train=body)
    function = objective(tmp_path)
    function.prepare(Names(("rate",)))
    answer = run_trial(function, {"rate": 0.5}, context(tmp_path))
    assert (answer["status"], answer["message"]) == ("complete", None)
    assert answer["curve"]["acc"] == curve
    assert answer["score"] == curve[-1]


def test_a_file_called_like_a_module_of_the_library_does_not_replace_it(tmp_path: Path) -> None:
    write(tmp_path, json="def score(rate): return rate")
    function = objective(tmp_path, "json.py:score")
    function.prepare(Names(("rate",)))
    assert sys.modules["json"] is json
    assert run_trial(function, {"rate": 0.5}, context(tmp_path))["score"] == 0.5


def test_an_objective_is_rebuilt_from_plain_data_in_a_worker(tmp_path: Path) -> None:
    write(tmp_path, train="def score(rate, fixed): return rate + fixed")
    first = PythonFunction("train.py:score", str(tmp_path / "sub"), "..", {"fixed": 1}, 4)
    again = PythonFunction.from_spec(first.spec())
    assert again == first
    again.prepare(Names(("rate",)))
    assert drained(again.evaluate({"rate": 1}, context(tmp_path))) == ([], {"acc": 2.0})


def test_a_changed_file_is_another_source(tmp_path: Path) -> None:
    write(tmp_path, train="def score(rate): return 1")
    before = objective(tmp_path).sources()
    write(tmp_path, train="def score(rate): return 2")
    after = objective(tmp_path).sources()
    assert before.keys() == after.keys() == {"train.py"}
    assert before != after


MISTAKES = [
    (
        "def score(rates): pass",
        "takes no parameter 'rate'\nDid you mean 'rates'? It takes: rates.",
    ),
    (
        "def score(rate, more): pass",
        "needs 'more', which is not under parameters\nAdd it there, or",
    ),
    ("def score(rate, budget): pass", "needs 'budget', which objective.epochs gives"),
    ("def score(rate, /): pass", "takes 'rate' by position only; parameters are given by name"),
    ("def scores(rate): pass", "has no function 'score'\nDid you mean 'scores'? "),
    ("score = 3", "has no function 'score'\nIts functions: none."),
    ("x = = 1", "failed: SyntaxError: invalid syntax (train.py, line 1)\n  File"),
    ("import sys\nsys.exit(3)", "importing train.py failed: SystemExit: 3\n  File"),
    ("import sys\nsys.exit(0)", "importing train.py failed: SystemExit: 0\n  File"),
    ("1 / 0", "importing train.py failed: ZeroDivisionError: division by zero\n  File"),
    ("import helper_gone", "No module named 'helper_gone'\nIt is neither in"),
    ("raise KeyboardInterrupt", "importing train.py failed: KeyboardInterrupt"),
]


@pytest.mark.parametrize(("body", "says"), MISTAKES, ids=lambda text: text[:40])
def test_a_mistake_in_the_code_is_known_before_any_trial(
    tmp_path: Path, body: str, says: str
) -> None:
    write(tmp_path, train=body)
    with pytest.raises(ObjectiveError) as got:
        objective(tmp_path).prepare(Names(("rate",)))
    assert says in str(got.value)
    assert "importlib" not in str(got.value)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("trian.py:score", "/trian.py\nDid you mean 'train.py'?"),
        ("gone:score", "importing gone failed: ModuleNotFoundError: No module named 'gone'"),
        ("train.deep:score", "'train' is not a package"),
    ],
)
def test_a_file_or_module_that_is_not_there_is_named(
    tmp_path: Path, target: str, says: str
) -> None:
    write(tmp_path, train="def score(rate): pass")
    with pytest.raises(ObjectiveError) as got:
        objective(tmp_path, target).prepare(Names(("rate",)))
    assert says in str(got.value)


AT_COMMAND = [
    ("train.py:scored", TRAIN, "2:21: train.py has no function 'scored'", "mean 'score'?"),
    ("gone.py:score", TRAIN, "2:21: there is no file", "gone.py"),
    ("train.py:score", "import sys; sys.exit(0)", "2:21: importing train.py failed", "SystemExit"),
    ("train.py:score", "def score(unit, **p)", "2:21: importing train.py failed", "SyntaxError"),
    ("train.py:score", "def score(rate): 1", "2:21: the function train.py:score takes no", "units"),
]


@pytest.mark.parametrize(("target", "body", "place", "says"), AT_COMMAND)
def test_a_mistake_ends_the_command_with_2_at_the_configs_line_and_nothing_is_written(
    tmp_path: Path, command: Command, target: str, body: str, place: str, says: str
) -> None:
    write(tmp_path, search_yaml=CONFIG.lstrip().replace("train.py:score", target), train=body)
    write(tmp_path, helper="gain = float")
    refused = command("run", "search.yaml")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"search.yaml:{place}" in refused.stderr
    assert says in refused.stderr
    assert "^^^^" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "runs").exists()


HEAD = 'metric: {name: acc, goal: maximize}\nobjective: {python: "train.py:score"}\n'
PARAMETERS = "parameters: {rate: {min: 0, max: 1}}\n"
GOOD = HEAD + PARAMETERS
STRUCTURE = [
    (GOOD.replace("metric: {name: acc, goal: maximize}\n", ""), "must name the metric that your"),
    (GOOD.replace("{name: acc, goal: maximize}", "acc"), "metric needs the key 'goal'"),
    (GOOD.replace(", goal: maximize", ""), "only you know which way acc is better"),
    (GOOD.replace("name: acc, ", ""), "must name the metric that your code reports"),
    (GOOD.replace("max", "up", 1), "metric.goal must be one of minimize, maximize"),
    (GOOD.replace("goal: maximize", "goal: maximize, pattern: (.)"), "reads what a command prints"),
    (GOOD + "data: {source: digits}\n", "'data' belongs to the built-in trainer"),
    (GOOD.replace("train.py:score", "train.py"), "such as train.py:score, found 'train.py'"),
    (GOOD.replace('"train.py:score"', ""), "such as train.py:score, found nothing"),
    (GOOD.replace('"}', '", trainer: mlp}'), "objective has both"),
    (GOOD.replace('"}', '", epochs: 0}'), "objective.epochs must be a whole number at least 1"),
    (GOOD.replace('"}', '", learning_rate: 1}'), "It belongs under parameters."),
    (GOOD.replace("rate:", "seed:"), "a parameter cannot be called 'seed'"),
    (GOOD.replace("rate:", "status:"), "a parameter cannot be called 'status'"),
    (GOOD.replace("rate:", "a-b:"), "digits and '_', found 'a-b' (text)"),
    (GOOD.replace("rate:", "a-b:"), "\nWrite a_b."),
    (GOOD.replace("rate:", "größe:"), "\nWrite groesse."),
    (GOOD.replace("rate:", "2b:"), "a parameter's name has letters, digits and '_'"),
    (GOOD.replace("{min: 0, max: 1}", "{values: [{a: 1}]}"), "found a mapping"),
    (GOOD.replace("{min: 0, max: 1}", "{values: []}"), "needs at least one option"),
    (GOOD.replace("{min: 0, max: 1}", "{min: 0}"), "needs the key 'max'"),
]
MEANING = [
    (GOOD.replace("rate:", "acc:"), "cannot be called 'acc', which is the metric's name"),
    (GOOD.replace("{min: 0, max: 1}", ""), "null or a list, found nothing"),
    (GOOD.replace('"}', '", folder: gone}'), "there is no folder"),
]
VALIDATOR = Draft202012Validator(config_schema())


@pytest.mark.parametrize(("text", "says"), [*STRUCTURE, *MEANING], ids=lambda text: text[-50:])
def test_a_mistake_in_the_config_is_said(tmp_path: Path, text: str, says: str) -> None:
    write(tmp_path, search_yaml=text)
    with pytest.raises(UserError) as got:
        load_config(tmp_path / "search.yaml")
    assert says in str(got.value)
    assert "search.yaml:" in str(got.value)


@pytest.mark.parametrize(("text", "says"), STRUCTURE, ids=lambda text: text[-50:])
def test_the_schema_refuses_what_is_wrong_by_structure(text: str, says: str) -> None:
    assert not VALIDATOR.is_valid(parse_yaml(text.encode(), "f.yaml").value)


VALUES = ["3", "0.5", "text", "true", "null", "[1, a, [2]]", "[]", "{values: [a, 1, null, [1]]}"]
NAMES = ["rate", "_x", "epochs", "python", "folder", "lambda", "learning_rate", "X1", "data"]


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        *(GOOD.replace("{min: 0, max: 1}", value) for value in VALUES),
        *(GOOD.replace("rate:", f"{name}:") for name in NAMES),
        GOOD.replace('"}', '", folder: ., epochs: 3}'),
        GOOD.replace("train.py:score", "package.module:score"),
    ],
    ids=lambda text: text[-50:],
)
def test_a_good_config_loads_and_is_as_the_schema_says(tmp_path: Path, text: str) -> None:
    write(tmp_path, search_yaml=text)
    value = parse_yaml(text.encode(), "f.yaml").value
    assert [error.message for error in VALIDATOR.iter_errors(value)] == []
    config = load_config(tmp_path / "search.yaml")
    assert {*config.names, *config.constants} == {*value["parameters"]}


def test_preview_checks_the_function_and_writes_nothing(command: Command, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text("def score(x):\n    return x\n")
    config = (
        "objective: {python: 'user.py:scroe'}\nmetric: {name: score, goal: minimize}\n"
        "parameters: {x: {min: 0, max: 1}}\n"
    )
    (tmp_path / "user.yaml").write_text(config)
    refused = command("preview", "user.yaml")
    assert refused.returncode == 2
    assert refused.stderr.startswith("user.yaml:1:21: user.py has no function 'scroe'")
    assert "Did you mean 'score'?" in refused.stderr
    (tmp_path / "user.yaml").write_text(config.replace("scroe", "score"))
    assert command("preview", "user.yaml").returncode == 0
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "user").exists()
