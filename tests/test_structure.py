"""Repeats, conditions and constraints: in every draw, in every command, and every mistake."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Command, without_seconds
from hpsearch.config import Config, build_config
from hpsearch.errors import UserError
from hpsearch.runs import load_run
from hpsearch.seeds import stream
from hpsearch.store import RunFolder
from hpsearch.yamlfile import parse_yaml

TREE = """
objective: {trainer: mlp, epochs: 1}
data: {source: digits}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1e-1}
  layers: {type: int, min: 0, max: 3}
  hidden_units: {type: int, min: 4, max: 40, repeat: layers}
  keep_prob: {min: 0.6, max: 1, repeat: layers}
  optimizer: {values: [momentum, adam, rmsprop]}
  beta2: {scale: one_minus_log, min: 0.9, max: 0.999, when: {optimizer: [adam, rmsprop]}}
  decay: {values: [none, staircase], when: {layers: [2, 3]}}
  decay_epochs: {type: int, min: 1, max: 5, when: {decay: staircase}}
constraints:
  - layers * max(hidden_units) <= 80
  - learning_rate < 0.01 or optimizer != "momentum"
budget: {trials: 12}
"""


def config_of(text: str) -> Config:
    return build_config(parse_yaml(text.encode(), "c.yaml"), None, "c", Path())


SPACE = config_of(TREE).space


def check(params: dict[str, object]) -> None:
    """Assert all that TREE says of a setting."""
    layers = params["layers"]
    assert isinstance(layers, int)
    for name in ("hidden_units", "keep_prob"):
        there = [part for part in params if part.startswith(name)]
        assert there == [f"{name}_{number}" for number in range(1, layers + 1)]
    units = [int(str(params[f"hidden_units_{number}"])) for number in range(1, layers + 1)]
    assert layers * max(units, default=0) <= 80
    assert ("beta2" in params) == (params["optimizer"] != "momentum")
    assert ("decay" in params) == (layers >= 2)
    assert ("decay_epochs" in params) == (params.get("decay") == "staircase")
    assert float(str(params["learning_rate"])) < 0.01 or params["optimizer"] != "momentum"


@given(st.integers(0, 2**32))
def test_every_draw_has_what_its_conditions_say_and_no_more(seed: int) -> None:
    point = SPACE.draw(stream(seed, "suggest"))
    params = SPACE.params(point)
    check(params)
    assert SPACE.params(SPACE.point(params)) == params


def test_an_objective_is_given_repeats_as_a_list_and_one_by_one() -> None:
    point = SPACE.draw(stream(2, "suggest"))
    params = SPACE.params(point)
    given_to_it = SPACE.given(params)
    parts = [params[f"hidden_units_{number}"] for number in range(1, params["layers"] + 1)]
    assert given_to_it["hidden_units"] == tuple(parts)
    assert given_to_it.items() >= params.items()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_without_layers_the_list_is_empty(seed: int) -> None:
    no_layers = SPACE.point({**SPACE.params(SPACE.draw(stream(seed, "suggest"))), "layers": 0})
    assert SPACE.given(SPACE.params(no_layers))["hidden_units"] == ()


def test_a_search_of_such_a_space_runs_resumes_refines_and_repeats_its_best(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "tree.yaml").write_text(TREE)
    assert command("preview", "tree.yaml").returncode == 0
    assert command("run", "tree.yaml", "-q", "-j", "1").returncode == 0
    assert command("run", "tree.yaml", "-q", "-j", "2", "-n", "two").returncode == 0
    tables = [tmp_path / "runs" / name / "trials.csv" for name in ("tree", "two")]
    assert without_seconds(tables[0]) == without_seconds(tables[1])
    for result in RunFolder(tmp_path / "runs" / "tree").results():
        check(result.params)

    record = tmp_path / "runs" / "two" / "trials.jsonl"
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:5]))
    assert command("resume", "two", "-q").returncode == 0
    assert without_seconds(tables[0]) == without_seconds(tables[1])

    again = command("run", "runs/tree/best.yaml", "-q")
    assert again.returncode == 0, again.stderr
    rows = csv.DictReader(tables[0].read_text().splitlines())
    best = min((row["score"] for row in rows if row["score"]), key=float)
    repeated = (tmp_path / "runs" / "tree-best" / "trials.csv").read_text().splitlines()
    assert next(csv.DictReader(repeated))["score"] == best

    for parent, child in (("tree", "tree-refined"), ("tree-refined", "tree-refined-2")):
        outcome = command("refine", parent, "-q")
        assert outcome.returncode == 0, outcome.stderr
        folder = RunFolder(tmp_path / "runs" / child)
        space = load_run(folder).space
        assert [each.text for each in space.constraints] == [
            each.text for each in SPACE.constraints
        ]
        assert len(folder.results()) == 12
        shown = command("report", child)
        assert shown.returncode == 0, shown.stderr


def test_what_no_good_trial_can_have_is_left_out_of_a_refinement(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "score.py").write_text(
        "def score(kind, rate=0.0, nested=0.0):\n"
        "    return {'sum': rate + (10 if kind == 'slow' else 0)}\n"
    )
    (tmp_path / "kinds.yaml").write_text(
        "objective: {python: 'score.py:score'}\n"
        "metric: {name: sum, goal: minimize}\n"
        "parameters:\n"
        "  kind: {values: [fast, slow]}\n"
        "  rate: {min: 0, max: 1, when: {kind: slow}}\n"
        "  nested: {min: 0, max: 1, when: {rate_kind: b}}\n"
        "  rate_kind: {values: [a, b], when: {kind: slow}}\n"
        "budget: {trials: 20}\n"
    )
    text = (tmp_path / "kinds.yaml").read_text()
    (tmp_path / "kinds.yaml").write_text(text.replace("rate_kind", "way"))
    (tmp_path / "score.py").write_text(
        (tmp_path / "score.py").read_text().replace("nested=0.0", "nested=0.0, way=None")
    )
    assert command("run", "kinds.yaml", "-q").returncode == 0
    outcome = command("refine", "-w", "small.yaml")
    assert outcome.returncode == 0, outcome.stderr
    written = (tmp_path / "small.yaml").read_text()
    assert "rate is left out: kind is fast" in written
    assert "nested is left out: way is left out" in written
    assert command("preview", "small.yaml").returncode == 0


FUNCTIONS = {
    "list": "def score(layers, units):\n    assert len(units) == layers\n    return sum(units)\n",
    "single": (
        "def score(layers, units_1, units_2=0, units_3=0):\n"
        "    assert (units_2 > 0, units_3 > 0) == (layers > 1, layers > 2)\n"
        "    return units_1 + units_2 + units_3\n"
    ),
    "any": "def score(**all):\n    assert all['units'][0] == all['units_1']\n    return 1.0\n",
}


@pytest.mark.parametrize("way", FUNCTIONS)
def test_a_function_takes_repeats_as_it_likes(way: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(FUNCTIONS[way])
    (tmp_path / "own.yaml").write_text(
        "objective: {python: 'score.py:score'}\n"
        "metric: {name: cost, goal: minimize}\n"
        "parameters:\n"
        "  layers: {type: int, min: 1, max: 3}\n"
        "  units: {type: int, min: 1, max: 9, repeat: layers}\n"
        "budget: {trials: 8}\n"
    )
    outcome = command("run", "own.yaml", "-q")
    assert outcome.returncode == 0, outcome.stderr
    results = RunFolder(tmp_path / "runs" / "own").results()
    assert {result.status for result in results} == {"complete"}
    again = command("run", "runs/own/best.yaml", "-q")
    assert again.returncode == 0, again.stderr


def test_a_function_must_have_a_default_for_what_not_every_trial_has(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "score.py").write_text("def score(kind, rate):\n    return rate\n")
    (tmp_path / "own.yaml").write_text(
        "objective: {python: 'score.py:score'}\n"
        "metric: {name: cost, goal: minimize}\n"
        "parameters:\n"
        "  kind: {values: [a, b]}\n"
        "  rate: {min: 0, max: 1, when: {kind: a}}\n"
    )
    outcome = command("run", "own.yaml")
    assert outcome.returncode == 2
    assert "needs 'rate', which not every trial has" in outcome.stderr
    assert "rate=None" in outcome.stderr
    assert not (tmp_path / "runs").exists()


PROGRAM = """
import json, os, sys
given = {name: value for name, value in os.environ.items() if name.startswith("HPSEARCH_PARAM_")}
print(json.dumps({"cost": len(sys.argv), "words": 0}))
print(sys.argv[1:], sorted(given), file=sys.stderr)
params = json.load(open(sys.argv[1]))
adam = params["kind"] == "adam"
assert ("rate" in params) == ("HPSEARCH_PARAM_RATE" in given) == adam
rate = ["--rate", str(params["rate"])] if adam else []
assert sys.argv[2:] == ["--kind", params["kind"], *rate]
"""


def test_a_command_is_not_given_what_a_trial_does_not_have(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(PROGRAM)
    (tmp_path / "own.yaml").write_text(
        "objective: {command: 'python train.py {params_file} --kind {kind} --rate {rate}'}\n"
        "metric: {name: cost, goal: minimize}\n"
        "parameters:\n"
        "  kind: {values: [adam, momentum]}\n"
        "  rate: {min: 0, max: 1, when: {kind: adam}}\n"
        "budget: {trials: 8}\n"
    )
    outcome = command("run", "own.yaml", "-q")
    assert outcome.returncode == 0, outcome.stderr
    results = RunFolder(tmp_path / "runs" / "own").results()
    assert {result.status for result in results} == {"complete"}, results[0].message
    assert {result.score for result in results} == {4.0, 6.0}


def test_the_identity_of_a_run_has_its_structure(command: Command, tmp_path: Path) -> None:
    (tmp_path / "tree.yaml").write_text(TREE)
    assert command("run", "tree.yaml", "-q").returncode == 0
    identity = json.loads((tmp_path / "runs" / "tree" / "provenance.json").read_text())["identity"]
    assert identity["parameters"]["hidden_units"]["repeat"] == "layers"
    assert identity["parameters"]["decay"]["when"] == {"layers": [2, 3]}
    assert len(identity["constraints"]) == 2
    (tmp_path / "tree.yaml").write_text(TREE.replace("<= 80", "<= 90"))
    outcome = command("run", "tree.yaml")
    assert outcome.returncode == 2
    assert "constraints" in outcome.stderr


def test_settings_that_conditions_make_equal_are_counted_once() -> None:
    config = config_of(
        "objective: {trainer: mlp}\n"
        "data: {source: digits}\n"
        "parameters:\n"
        "  optimizer: {values: [adam, momentum, rmsprop]}\n"
        "  beta2: {values: [0.9, 0.99, 0.999], when: {optimizer: [adam, rmsprop]}}\n"
        "  layers: {type: int, min: 1, max: 4}\n"
        "constraints: ['layers <= 2']\n"
    )
    assert config.space.settings() == 2 * (3 + 3 + 1)


HEAD = "objective: {trainer: mlp}\ndata: {source: digits}\nparameters:\n"
LAYERS = "  layers: {type: int, min: 1, max: 3}\n"

MISTAKES = {
    "  hidden_units: {type: int, min: 4, max: 9, repeat: layrs}\n" + LAYERS: ("4:", "'layers'"),
    "  hidden_units: {type: int, min: 4, max: 9, repeat: 0}\n": ("4:", "repeat"),
    "  hidden_units: {type: int, min: 4, max: 9, repeat: 2.5}\n": ("4:", "repeat"),
    "  hidden_units: {type: int, min: 4, max: 9, repeat: init_scale}\n"
    "  init_scale: {min: 0.5, max: 2}\n": ("4:", "whole numbers", "type: int"),
    "  hidden_units: {type: int, min: 4, max: 9, repeat: optimizer}\n"
    "  optimizer: {values: [adam, momentum]}\n": ("4:", "whole numbers"),
    "  hidden_units: {type: int, min: 4, max: 9, repeat: layers}\n": ("4:", "layers"),
    "  hidden_units: {type: int, min: 4, max: 9, repeat: 2}\n  layers: 3\n": ("4:", "2 layers"),
    "  beta2: {min: 0.9, max: 0.99, when: {optimiser: adam}}\n"
    "  optimizer: {values: [adam, momentum]}\n": ("4:39", "'optimizer'"),
    "  beta2: {min: 0.9, max: 0.99, when: {optimizer: adm}}\n"
    "  optimizer: {values: [adam, momentum]}\n": ("4:50", "'adam'"),
    "  beta2: {min: 0.9, max: 0.99, when: adam}\n": ("4:38", "when"),
    "  beta2: {min: 0.9, max: 0.99, when: {}}\n": ("4:", "when"),
    "  beta2: {min: 0.9, max: 0.99, when: {layers: 7}}\n" + LAYERS: ("4:", "from 1 to 3"),
    "  beta2: {min: 0.9, max: 0.99, when: {momentum: 0.9}}\n  momentum: {min: 0.8, max: 0.99}\n": (
        "4:",
        "hardly any trial",
    ),
    "  optimizer: {values: [adam, momentum], when: {decay: staircase}}\n"
    "  decay: {values: [none, staircase], when: {optimizer: adam}}\n": (
        "4:",
        "circle",
        "optimizer -> decay -> optimizer",
    ),
    LAYERS + "  beta2: {min: 0.9, max: 0.99, when: {hidden_units: 4}}\n"
    "  hidden_units: {type: int, min: 4, max: 9, repeat: layers}\n": ("5:", "hidden_units_1"),
    LAYERS + "constraints: ['layers < 1']\n": ("5:", "no setting satisfies", "none of 3"),
    LAYERS + "constraints: ['layers < 2', 'layers > 1']\n": ("5:", "together"),
    LAYERS + "constraints: ['layrs < 2']\n": ("5:", "'layers'", "character 1"),
    LAYERS + "constraints: ['layers / 0 < 2']\n": ("5:", "zero"),
    LAYERS + "constraints: ['1 / (layers - 2) < 2']\n": ("5:", "zero"),
    LAYERS + "constraints: ['open(layers)']\n": ("5:", "function"),
    LAYERS + "constraints: ['layers + 1']\n": ("5:",),
    LAYERS + "constraints: ['layers < ']\n": ("5:",),
    LAYERS + "constraints: layers < 2\n": ("5:", "constraints"),
    LAYERS + "constraints: [3]\n": ("5:", "constraints"),
}


@pytest.mark.parametrize("lines", MISTAKES)
def test_every_mistake_gets_a_sentence_with_its_place(lines: str) -> None:
    place, *parts = MISTAKES[lines]
    with pytest.raises(UserError) as caught:
        config_of(HEAD + lines)
    message = str(caught.value)
    assert message.startswith(f"c.yaml:{place}"), message
    for part in parts:
        assert part in message, message


def test_a_condition_that_a_constant_forbids_is_a_trap(command: Command, tmp_path: Path) -> None:
    (tmp_path / "trap.yaml").write_text(
        HEAD + "  learning_rate: {scale: log, min: 1e-3, max: 1e-1}\n  optimizer: momentum\n"
        "  beta2: {min: 0.9, max: 0.99, when: {optimizer: adam}}\n"
    )
    shown = command("preview", "trap.yaml")
    assert shown.returncode == 0
    assert "beta2: no trial has it: optimizer is momentum" in shown.stdout


def test_a_counter_is_not_widened_beyond_what_can_be_counted(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "score.py").write_text("def score(x, layers, units=()):\n    return layers + x\n")
    (tmp_path / "own.yaml").write_text(
        "objective: {python: 'score.py:score'}\n"
        "metric: {name: cost, goal: minimize}\n"
        "parameters:\n"
        "  x: {min: 0, max: 1}\n"
        "  layers: {type: int, min: 0, max: 2}\n"
        "  units: {type: int, min: 4, max: 64, repeat: layers}\n"
        "budget: {trials: 20}\n"
    )
    assert command("run", "own.yaml", "-q").returncode == 0
    outcome = command("refine", "-q")
    assert outcome.returncode == 0, outcome.stderr


RARE = {
    "x + y > 1.99999": "hardly any setting satisfies constraints[0]",
    "x + y > 3": "hardly any setting satisfies constraints[0]",
}


@pytest.mark.parametrize("constraint", RARE)
def test_a_constraint_that_only_a_corner_satisfies_is_refused_before_anything_is_written(
    constraint: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text(
        "objective: {command: 'echo {x} {y}'}\n"
        "metric: {name: cost, goal: minimize}\n"
        "parameters:\n  x: {min: 0, max: 1}\n  y: {min: 0, max: 1}\n"
        f"constraints: ['{constraint}']\n"
    )
    outcome = command("run", "own.yaml")
    assert outcome.returncode == 2
    assert outcome.stderr.startswith(f"own.yaml:6:15: {RARE[constraint]}")
    assert not (tmp_path / "runs").exists()
