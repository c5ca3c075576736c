"""A program as the objective: how it is started, what it is given, and how its output is read."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from conftest import Command, without_seconds
from hpsearch.child import run_trial
from hpsearch.config import config_schema, load_config
from hpsearch.errors import UserError
from hpsearch.objectives import Context, Names, ObjectiveError
from hpsearch.objectives.command import Command as Program
from hpsearch.objectives.command import fill, json_objects, split_template, text_of
from hpsearch.store import RunFolder
from hpsearch.supervisor import LOG_PART
from hpsearch.trial import Result
from hpsearch.yamlfile import parse_yaml

CONFIG = """
metric: {name: acc, goal: maximize}
objective:
  command: python train.py --rate={rate} --units {units} {kind} {seed} {budget} {params_file}
  epochs: 2
parameters:
  rate: {scale: log, min: 1e-6, max: 1}
  units: {type: int, min: 1, max: 9}
  kind: {values: ["two words", "$(touch hacked); `touch hacked`", "a\\nb {units} \\"'", true, null]}
  fixed: [3, b]
budget: {trials: 6}
"""
TRAIN = """
    import json, os, sys
    rate, units_word, units, kind, seed, budget, file = sys.argv[1:]
    with open(file) as opened:
        given = json.load(opened)
    name, rate = rate.split("=")
    assert (name, units_word) == ("--rate", "--units")
    assert float(rate) == given["rate"] and int(units) == given["units"]
    assert kind == (given["kind"] if isinstance(given["kind"], str) else json.dumps(given["kind"]))
    assert given["fixed"] == json.loads(os.environ["HPSEARCH_PARAM_FIXED"]) == [3, "b"]
    assert os.environ["HPSEARCH_PARAM_RATE"] == rate and os.environ["HPSEARCH_SEED"] == seed
    print("starting", file=sys.stderr)
    for epoch in range(int(budget)):
        print(json.dumps({"acc": float(rate) / 3 + epoch, "noise": int(seed) % 1000, "note": "x"}))
"""


def write(folder: Path, **files: str) -> None:
    """Write files: `train_py` is train.py, `search_yaml` is search.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / ".".join(name.rsplit("_", 1))).write_text(textwrap.dedent(text).lstrip())


def results(run: Path) -> list[Result]:
    return RunFolder(run).results()


# The template


@given(
    values=st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True), st.text(), min_size=1
    )
)
def test_any_text_arrives_unchanged_as_one_argument(values: dict[str, str]) -> None:
    template = " ".join(f"{{{name}}} --{name}={{{name}}}" for name in values)
    arguments = [fill(each, values) for each in split_template(template)]
    assert arguments == [
        text for name, value in values.items() for text in (value, f"--{name}={value}")
    ]


@given(text=st.text())
def test_any_text_can_be_written_into_a_template_with_its_braces_twice(text: str) -> None:
    template = shlex.quote(text.replace("{", "{{").replace("}", "}}"))
    assert [fill(each, {}) for each in split_template(template)] == [text]


@given(text=st.text(alphabet="{}ab_ !.0[]"))
def test_a_template_is_filled_or_refused_and_reaches_no_attribute(text: str) -> None:
    try:
        filled = fill(text, {"a": "{b}", "b": "B"})
    except (ValueError, KeyError):
        assert "{" in text or "}" in text
        return
    for name, value in (("{a}", "<a>"), ("{b}", "<b>")):
        assert text.replace("{{", "").count(name) <= filled.count(value) + text.count(name)
    assert ("{" in text or "}" in text) or filled == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-05, "1e-05"),
        (0.1 + 0.2, "0.30000000000000004"),
        (32, "32"),
        (True, "true"),
        (None, "null"),
        ("text", "text"),
        ((1, "a", (2.5,)), '[1, "a", [2.5]]'),
    ],
)
def test_a_value_is_written_exactly(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_quotes_group_words_and_doubled_braces_are_braces() -> None:
    template = """awk '{{print $1}}' "a {rate} b" \\{rate} {{{rate}}} --x="""
    arguments = [fill(each, {"rate": "1 2"}) for each in split_template(template)]
    assert arguments == ["awk", "{print $1}", "a 1 2 b", "1 2", "{1 2}", "--x="]


# What the program prints


def written(value: Any, indent: int | None) -> str:
    return json.dumps(value, indent=indent)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
NESTED = st.recursive(
    NUMBERS | st.text() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    found=st.lists(
        st.tuples(st.dictionaries(st.text(), NESTED), st.sampled_from([None, 1, 2, 4])), max_size=4
    ),
    between=st.sampled_from(["", "epoch done\n", "} not JSON\n", "[1, 2]\n", "{not JSON\n", "\n"]),
)
def test_every_json_object_is_read_on_one_line_or_several(
    found: list[tuple[dict[str, Any], int | None]], between: str
) -> None:
    text = between + "".join(f"{written(value, indent)}\n{between}" for value, indent in found)
    assert list(json_objects(text.splitlines(keepends=True))) == [value for value, _ in found]


def test_an_object_is_told_as_soon_as_it_is_complete() -> None:
    def lines() -> Any:
        yield from ["{\n", ' "acc": 1\n', "}\n"]
        raise AssertionError("read too far")

    assert next(json_objects(lines())) == {"acc": 1}


def test_an_object_may_stand_to_the_right_and_end_on_its_last_line() -> None:
    text = (
        '  {"a": 1}\n  {\n    "a": 2,\n    "b": [\n      {"a": 3},\n    {"a": 4}]\n  }\n{"a":\n 5}'
    )
    found = [each["a"] for each in json_objects(text.splitlines(keepends=True))]
    assert found == [1, 2, 5]


@pytest.mark.parametrize("text", ["{" * 100_000, "[" * 100_000, '{"a": ' * 100_000, "{\n" * 9])
def test_what_only_looks_like_json_is_passed_over(text: str) -> None:
    assert list(json_objects([text, "\n", '{"a": 1}\n'])) == [{"a": 1}]


def program(folder: Path, command: str, **keywords: Any) -> Program:
    settings: dict[str, Any] = {"constants": {}, "budget": None, "pattern": None} | keywords
    return Program(command, str(folder), None, **settings)


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run one trial of a program that is a Python text: run("print(1)", pattern=...)."""

    def evaluate(
        body: str, params: dict[str, Any] | None = None, **keywords: Any
    ) -> dict[str, Any]:
        write(tmp_path, train_py=body)
        objective = program(tmp_path, keywords.pop("command", "python train.py"), **keywords)
        objective.prepare(Names(tuple(params or {})))
        context = Context(
            number=0, seed=11, metric="acc", budget=objective.budget, folder=tmp_path / "trial"
        )
        return run_trial(objective, params or {}, context)

    return evaluate


OUTPUTS = [
    ('{"acc": 0.5}', [0.5]),
    ('loading\n{"acc": 0.25}\n{"loss": 1}\n{"acc": 0.5}\ndone', [0.25, 0.5]),
    ('{"acc": 0.25}\n{\n  "acc": 0.5,\n  "all": [\n    {"acc": 9}\n  ]\n}', [0.25, 0.5]),
    ('{"acc": NaN}\n{"acc": null}\n{"acc": 0.5, "ok": true, "name": "x"}', [None, None, 0.5]),
    ('\r 10% {"acc": 0.1}\r{"acc": 0.5}\r\n', [0.5]),
]


@pytest.mark.parametrize(("printed", "curve"), OUTPUTS, ids=lambda value: str(value)[:40])
def test_the_last_object_with_the_metric_is_the_score_and_all_are_the_curve(
    run: Run, printed: str, curve: list[float]
) -> None:
    answer = run(f"print({printed!r})")
    assert (answer["status"], answer["message"]) == ("complete", None)
    assert answer["curve"]["acc"] == curve
    assert answer["score"] == 0.5


def test_other_numbers_beside_the_metric_are_kept_and_the_rest_left_out(run: Run) -> None:
    answer = run("""print('{"acc": 1, "loss": 2.5, "ok": true, "name": "x", "all": [1]}')""")
    assert answer["metrics"] == {"acc": 1, "loss": 2.5}


def test_a_pattern_finds_the_metric_in_plain_text(run: Run) -> None:
    answer = run("print('  acc=0.25\\nloss=3\\nacc=5e-1')", pattern="^acc=([0-9.e-]+)$")
    assert (answer["status"], answer["curve"]) == ("complete", {"acc": [0.25, 0.5]})


NOT_USABLE = [
    ("print('acc 0.5')", None, 'printed no JSON object with the metric, such as {"acc": 0.5}'),
    ("""print('{"loss": 1}')""", None, "printed no JSON object with the metric"),
    ("""print('{"acc": "high"}')""", None, "the metric 'acc' is 'high' (str); expected a number"),
    ("""print('{"acc": true}')""", None, "the metric 'acc' is True (bool); expected a number"),
    ("""print('{"acc": [1]}')""", None, "the metric 'acc' is [1] (list); expected a number"),
    ("""print('{"acc": NaN}')""", None, "'acc' is not finite; expected a finite number"),
    ("""print('{"acc": null}')""", None, "'acc' is not finite; expected a finite number"),
    ("print('loss=1')", "acc=(.*)", "the program printed nothing that matches 'acc=(.*)'"),
    ("print('acc=high')", "acc=(.*)", "the pattern found 'high', not a number"),
    ("print('acc=')", "acc=(x)?", "the pattern found None, not a number"),
    ("""print('{"acc": 1}'); exit(3)""", None, "the program ended with exit code 3"),
    ("""print('{"acc": "x"}', flush=True); input(); input()""", None, "'x' (str)"),
]


@pytest.mark.parametrize(("body", "pattern", "says"), NOT_USABLE)
def test_output_without_a_usable_metric_fails_the_trial_with_a_sentence(
    run: Run, body: str, pattern: str | None, says: str
) -> None:
    answer = run(body, pattern=pattern)
    assert (answer["status"], answer["score"]) == ("failed", None)
    assert says in answer["message"]
    assert "Traceback" not in answer["message"]


def test_what_a_program_leaves_running_is_not_waited_for(run: Run) -> None:
    body = """
        import subprocess
        subprocess.Popen(["sleep", "30"], start_new_session=True)
        print('{"acc": 1}')
    """
    assert run(body, command="python -W ignore train.py")["score"] == 1


def test_a_program_whose_answer_is_of_no_use_is_not_waited_for(run: Run) -> None:
    body = """print('{"acc": "x"}', flush=True); import time; time.sleep(1e6)"""
    assert run(body)["status"] == "failed"


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (11, "SIGSEGV"), (40, "signal 40")])
def test_a_program_that_a_signal_ended_has_crashed(run: Run, number: int, name: str) -> None:
    answer = run(
        f"""import os; print('{{"acc": 1}}', flush=True); os.kill(os.getpid(), {number})"""
    )
    assert (answer["status"], answer["score"]) == ("crashed", None)
    assert answer["message"] == f"the program was ended by {name}"


ECHO = """
    import json, os, sys
    inside = {k: v for k, v in os.environ.items() if k.startswith("HPSEARCH_")}
    with open("seen.json", "w") as file:
        json.dump([sys.argv[1:], inside], file)
    print('{"acc": 1}')
"""


def test_what_a_program_is_given_are_arguments_environment_and_a_file(
    run: Run, tmp_path: Path
) -> None:
    params = {"rate": 1e-5, "units": 3, "layers": [4, 2], "word": "a b", "flag": True, "no": None}
    command = "python train.py --rate={rate} {layers} {word} {fixed} {seed} {budget} {params_file}"
    answer = run(ECHO, params, command=command, constants={"fixed": "c"}, budget=5)
    assert answer["status"] == "complete", answer["message"]
    arguments, environment = json.loads((tmp_path / "seen.json").read_text())
    file = str(tmp_path / "trial" / "params.json")
    assert arguments == ["--rate=1e-05", "[4, 2]", "a b", "c", "11", "5", file]
    assert json.loads(Path(file).read_text()) == {"fixed": "c", **params}
    assert environment == {
        "HPSEARCH_PARAM_RATE": "1e-05",
        "HPSEARCH_PARAM_UNITS": "3",
        "HPSEARCH_PARAM_LAYERS": "[4, 2]",
        "HPSEARCH_PARAM_WORD": "a b",
        "HPSEARCH_PARAM_FLAG": "true",
        "HPSEARCH_PARAM_NO": "null",
        "HPSEARCH_PARAM_FIXED": "c",
        "HPSEARCH_SEED": "11",
        "HPSEARCH_BUDGET": "5",
        "HPSEARCH_START_EPOCH": "0",
        "HPSEARCH_PARAMS_FILE": file,
    }


def test_the_trials_folder_exists_when_the_program_is_given_it(run: Run) -> None:
    body = """import os, sys; print('{"acc": %d}' % os.path.isdir(sys.argv[1]))"""
    assert run(body, command="python train.py {trial_dir}")["score"] == 1


def test_a_text_that_no_program_can_be_given_fails_the_trial(run: Run) -> None:
    answer = run(ECHO, {"word": "a\0b"}, command="python train.py {word}")
    assert answer["status"] == "failed"
    assert answer["message"] == "the program 'python' cannot start: embedded null byte"


def test_python_is_the_interpreter_that_runs_hpsearch(run: Run) -> None:
    body = f"""import sys; print('{{"acc": %d}}' % (sys.executable == {sys.executable!r}))"""
    for word in ("python", "python3"):
        assert run(body, command=f"{word} train.py")["score"] == 1


def test_a_program_may_itself_be_a_parameter(run: Run) -> None:
    answer = run("""print('{"acc": 1}')""", {"tool": "python"}, command="{tool} train.py")
    assert answer["score"] == 1
    gone = run("", {"tool": "no-such-tool"}, command="{tool} train.py")
    assert gone["status"] == "failed"
    assert gone["message"] == ("the program 'no-such-tool' cannot start: No such file or directory")


def test_an_objective_is_rebuilt_from_plain_data_in_a_worker(tmp_path: Path) -> None:
    first = Program("python a.py {rate}", str(tmp_path / "sub"), "..", {"fixed": 1}, 4, "(.)")
    assert Program.from_spec(first.spec()) == first
    assert first.base == str(tmp_path)


def test_the_files_that_the_command_names_are_sources_and_long_texts_are_not(
    tmp_path: Path,
) -> None:
    write(tmp_path, train_py="1")
    before = program(tmp_path, f"python train.py {'x' * 5000} {{rate}}").sources()
    write(tmp_path, train_py="2")
    after = program(tmp_path, f"python train.py {'x' * 5000} {{rate}}").sources()
    assert before.keys() == after.keys() == {"train.py"}
    assert before != after


def test_a_varied_parameter_that_the_command_does_not_name_is_told(tmp_path: Path) -> None:
    bounds = {"rate": (0, 1), "units": (1, 2)}
    idle = dict(program(tmp_path, "python train.py {rate}").idle(bounds))
    assert idle.keys() == {"units"}
    assert "add {units}" in idle["units"]
    assert "HPSEARCH_PARAM_UNITS" in idle["units"]
    assert not dict(program(tmp_path, "python train.py {params_file}").idle(bounds))


# Mistakes that are known before any trial

MISTAKES = [
    ("python train.py {rat}", "names {rat}, which is no parameter\nDid you mean '{rate}'? Known: "),
    ("python train.py {zzz}", "which is no parameter\nKnown: rate, fixed, seed, trial_dir, params"),
    ("python train.py {budget}", "names {budget}, which objective.epochs gives"),
    ("python 'train.py {rate}", "the command cannot be read: No closing quotation"),
    ("python train.py {rate", "the command cannot be read: '{' is no {name}; a brace itself is"),
    ("python train.py rate}", "'}' is no {name}; a brace itself is written twice"),
    ("python train.py {rate.real}", "'{rate.real}' is no {name}"),
    ("python train.py {rate:.3f}", "'{rate:.3f}' is no {name}"),
    ("python train.py {}", "'{}' is no {name}"),
    ("python train.py {0}", "'{0}' is no {name}"),
    (" ", "the command cannot be read: it is empty"),
    ("no-such-tool {rate}", "there is no program 'no-such-tool' on the PATH"),
    ("./gone.sh {rate}", "there is no program './gone.sh' in "),
    ("python trian.py {rate}", "/trian.py\nDid you mean 'train.py'?"),
    ("sh code/gone.sh {rate}", "there is no file "),
    ("script.sh {rate}", "no program 'script.sh' on the PATH\nFor the file write ./script.sh"),
    ("./script.sh {rate}", "the program './script.sh' may not be executed\nTo allow it: chmod +x "),
]


@pytest.mark.parametrize(("command", "says"), MISTAKES)
def test_a_mistake_in_the_template_is_said(tmp_path: Path, command: str, says: str) -> None:
    write(tmp_path, script_sh="exit 0\n", train_py="")
    with pytest.raises(ObjectiveError) as got:
        program(tmp_path, command, constants={"fixed": 1}).prepare(Names(("rate",)))
    assert says in str(got.value)


AT_COMMAND = [
    ("{units}", "{unit}", "3:12: the command names {unit}, which is no parameter", "'{units}'?"),
    ("{units}", "'{units}", "3:12: the command cannot be read", "No closing quotation"),
    ("{units}", "{units", "3:12: the command cannot be read", "is no {name}"),
    ("python", "phyton", "3:12: there is no program 'phyton'", "on the PATH"),
    ("name: acc", "name: acc, pattern: '(['", "1:30: metric.pattern: it is no regular", "("),
    ("name: acc", "name: acc, pattern: acc", "1:30: metric.pattern: it needs a group", "acc=("),
]


@pytest.mark.parametrize(("old", "new", "place", "says"), AT_COMMAND)
def test_a_mistake_ends_the_command_with_2_at_the_configs_line_and_nothing_is_written(
    tmp_path: Path, command: Command, old: str, new: str, place: str, says: str
) -> None:
    write(tmp_path, search_yaml=CONFIG.replace(old, new, 1), train_py=TRAIN)
    refused = command("run", "search.yaml", "-q")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"search.yaml:{place}" in refused.stderr
    assert says in refused.stderr
    assert "^^" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "runs").exists()


GOOD = """\
metric: {name: acc, goal: maximize}
objective: {command: "python train.py {rate}"}
parameters: {rate: {min: 0, max: 1}}
"""
STRUCTURE = [
    (GOOD.replace("metric: {name: acc, goal: maximize}\n", ""), "must name the metric that your"),
    (GOOD.replace(", goal: maximize", ""), "only you know which way acc is better"),
    (GOOD.replace("goal: maximize", "goal: maximize, pattern: ''"), "pattern must be text"),
    (GOOD + "data: {source: digits}\n", "'data' belongs to the built-in trainer"),
    (GOOD.replace('"python train.py {rate}"', '""'), "objective.command must be text"),
    (GOOD.replace('"python train.py {rate}"', "[python, train.py]"), "must be text, found the"),
    (GOOD.replace('"}', '", python: "a.py:f"}'), "objective has both"),
    (GOOD.replace('"}', '", shell: true}'), "unknown key 'shell' in objective"),
    (GOOD.replace("rate:", "params_file:"), "a parameter cannot be called 'params_file'"),
]
VALIDATOR = Draft202012Validator(config_schema())


@pytest.mark.parametrize(("text", "says"), STRUCTURE, ids=lambda text: text[-50:])
def test_a_mistake_in_the_config_is_said_and_the_schema_refuses_it(
    tmp_path: Path, text: str, says: str
) -> None:
    write(tmp_path, search_yaml=text)
    with pytest.raises(UserError) as got:
        load_config(tmp_path / "search.yaml")
    assert says in str(got.value)
    assert not VALIDATOR.is_valid(parse_yaml(text.encode(), "f.yaml").value)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        CONFIG,
        GOOD.replace("goal: maximize", "goal: maximize, pattern: 'acc=([0-9.]+)'"),
        GOOD.replace('"}', '", folder: ., epochs: 3}'),
        GOOD.replace("rate:", "command:").replace("{rate}", "{command}"),
    ],
)
def test_a_good_config_loads_and_is_as_the_schema_says(tmp_path: Path, text: str) -> None:
    write(tmp_path, search_yaml=text)
    value = parse_yaml(text.encode(), "f.yaml").value
    assert [error.message for error in VALIDATOR.iter_errors(value)] == []
    config = load_config(tmp_path / "search.yaml")
    assert {*config.names, *config.constants} == {*value["parameters"]}


# The whole command


@pytest.fixture
def searched(tmp_path: Path, command: Command) -> Path:
    """Run the search of CONFIG, which is in a sub-folder."""
    write(tmp_path / "sub", search_yaml=CONFIG, train_py=TRAIN)
    done = command("run", "sub/search.yaml", "-j", "2")
    assert done.returncode == 0, done.stderr
    return tmp_path / "runs" / "search"


def test_a_program_gets_every_value_whole_and_no_shell_sees_any(
    searched: Path, tmp_path: Path
) -> None:
    found = results(searched)
    assert [(result.status, result.message) for result in found] == [("complete", None)] * 6
    for result in found:
        first = result.params["rate"] / 3
        assert result.curve["acc"] == [first, first + 1]
        assert result.metrics == {"acc": first + 1, "noise": result.seed % 1000}
        assert result.score == first + 1
        log = (searched / "trials" / f"{result.trial:04d}" / "log.txt").read_text()
        assert "starting" in log
        assert f'{{"acc": {first}, ' in log
    assert len({repr(result.params["kind"]) for result in found}) > 2
    assert not list(tmp_path.rglob("hacked"))


def test_one_job_gives_the_same_table_as_two(searched: Path, command: Command) -> None:
    alone = command("run", "sub/search.yaml", "-j", "1", "-n", "alone", "-q")
    assert alone.returncode == 0, alone.stderr
    table = without_seconds(searched.parent / "alone" / "trials.csv")
    assert table == without_seconds(searched / "trials.csv")


def test_the_best_config_reproduces_the_score_and_refined_ones_work(
    searched: Path, command: Command
) -> None:
    best = max(results(searched), key=lambda result: result.score or 0)
    for words in (
        ("run", "runs/search/best.yaml"),
        ("refine", "search"),
        ("refine", "search-refined"),
        ("run", "runs/search-refined/config.yaml"),
    ):
        done = command(*words, "-q")
        assert done.returncode == 0, done.stderr
    (again,) = results(searched.parent / "search-best")
    assert (again.curve, again.metrics) == (best.curve, best.metrics)
    found = results(searched.parent / "search-refined-2")
    assert [result.status for result in found] == ["complete"] * 6


FAILING = """
    import os, signal, sys
    print("x" * 999, "first line")
    for number in range(2000):
        print("y" * 999)
    print("on stdout", flush=True)
    print("the reason", file=sys.stderr, flush=True)
    if int(sys.argv[1]) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(7)
"""


def test_a_failed_program_is_told_with_code_or_signal_and_the_end_of_its_bounded_log(
    tmp_path: Path, command: Command
) -> None:
    config = """
        metric: {name: acc, goal: maximize}
        objective: {command: "python train.py {how}"}
        parameters: {how: {type: int, min: 1, max: 2}}
        trial: {retries: 0}
        budget: {trials: 6}
    """
    write(tmp_path, search_yaml=config, train_py=FAILING)
    done = command("run", "search.yaml")
    assert done.returncode == 1
    assert "the reason" in done.stderr
    found = results(tmp_path / "runs/search")
    assert {result.params["how"] for result in found} == {1, 2}
    for result in found:
        status, says = (
            ("crashed", "the program was ended by SIGKILL")
            if result.params["how"] == 1
            else ("failed", "the program ended with exit code 7")
        )
        assert result.status == status
        assert result.message is not None
        assert result.message.startswith(f"{says}\nThe last it printed:\n")
        assert result.message.endswith("on stdout\nthe reason")
        assert len(result.message) < 3000
        log = tmp_path / f"runs/search/trials/{result.trial:04d}/log.txt"
        assert log.stat().st_size < 2 * LOG_PART + 100
        assert "first line" in log.read_text()
        assert re.search("[0-9]+ bytes left out", log.read_text())


def test_what_a_program_printed_before_its_time_was_up_is_kept(
    tmp_path: Path, command: Command
) -> None:
    config = """
        metric: {name: acc, goal: maximize}
        objective: {command: "python -u train.py {rate}"}
        parameters: {rate: {min: 0, max: 1}}
        trial: {timeout: 2s}
        budget: {trials: 1}
    """
    body = "import time; print('on stdout'); time.sleep(1e6)"
    write(tmp_path, search_yaml=config, train_py=body)
    assert command("run", "search.yaml", "-q").returncode == 1
    (result,) = results(tmp_path / "runs/search")
    assert result.status == "timeout"
    assert (tmp_path / "runs/search/trials/0000/log.txt").read_text() == "on stdout\n"


LANGUAGES = {
    "sh": ('#!/bin/sh\necho "acc=$1"\n', "sh"),
    "awk": ('BEGIN { print "acc=" ARGV[1]; exit }\n', "awk -f"),
    "pl": ('print "acc=$ARGV[0]\\n";\n', "perl"),
}


@pytest.mark.parametrize("ending", LANGUAGES)
def test_a_program_of_any_language_is_an_objective(
    tmp_path: Path, command: Command, ending: str
) -> None:
    body, tool = LANGUAGES[ending]
    if not shutil.which(tool.split()[0]):
        pytest.skip(f"{tool} is not installed")
    config = f"""
        metric: {{name: acc, goal: maximize, pattern: "acc=([0-9.e-]+)"}}
        objective: {{command: "{tool} train.{ending} {{rate}}"}}
        parameters: {{rate: {{min: 0, max: 1}}}}
        budget: {{trials: 2}}
    """
    write(tmp_path, search_yaml=config, **{f"train_{ending}": body})
    done = command("run", "search.yaml", "-q")
    assert done.returncode == 0, done.stderr
    for result in results(tmp_path / "runs/search"):
        assert result.score == result.params["rate"]


def test_an_executable_beside_the_config_runs_in_the_folder_of_the_code(
    tmp_path: Path, command: Command
) -> None:
    config = """
        metric: {name: acc, goal: maximize, pattern: "acc=(.*)"}
        objective: {command: "./train.sh", folder: ../code}
        parameters: {rate: {min: 0, max: 1}}
        budget: {trials: 2}
    """
    write(tmp_path / "configs", search_yaml=config)
    script = '#!/bin/sh\ntest -f train.sh && echo "acc=$HPSEARCH_PARAM_RATE"\n'
    write(tmp_path / "code", train_sh=script)
    (tmp_path / "code/train.sh").chmod(0o755)
    done = command("run", "configs/search.yaml", "-q")
    assert done.returncode == 0, done.stderr
    for result in results(tmp_path / "runs/search"):
        assert result.score == result.params["rate"]


def test_two_parameters_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    objective = Program("python x.py {lr} {LR}", str(tmp_path), None, {}, None, None)
    with pytest.raises(ObjectiveError, match="HPSEARCH_PARAM_LR"):
        objective.prepare(Names(("lr", "LR")))
