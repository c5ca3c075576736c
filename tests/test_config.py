"""What a correct config means: its sections, their defaults, the space, the identity, the traps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpsearch.config import Config, allowed, load_config, traps
from hpsearch.errors import UserError
from hpsearch.fields import seconds
from hpsearch.loop import history_of, suggest
from hpsearch.nn.losses import LOSSES
from hpsearch.objectives.mlp import MLP, NUMBERS
from hpsearch.scales import Integer, Linear, Log, OneMinusLog, Real
from hpsearch.space import Choice
from hpsearch.strategies import STRATEGIES, Halving
from hpsearch.yamlfile import dump

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
HEAD = "objective: {trainer: mlp}\ndata: {source: digits}\n"

one_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def loaded(text: str, name: str | None = None, *, with_data: bool = False) -> Config:
        path = tmp_path / "my.yaml"
        path.write_text(text)
        return load_config(path, name, with_data=with_data)

    return loaded


@pytest.fixture
def vary(load: Any) -> Any:
    """Load a config whose section `parameters` holds the lines given."""

    def loaded(*lines: str, tail: str = "") -> Config:
        block = "parameters:\n" + "".join(f"  {line}\n" for line in lines) if lines else ""
        config: Config = load(f"{HEAD}{block or 'parameters: {}'}\n{tail}")
        return config

    return loaded


# The files that are shipped


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_file_in_configs_loads_and_suggests_a_trial_without_a_trap(path: Path) -> None:
    config = load_config(path)
    trial = suggest(config, history_of(config), 0)
    assert trial is not None
    assert set(trial.params) <= set(config.space.names)
    for name, parts in config.space.entries.items():
        values = [trial.params[part] for part in parts if part in trial.params]
        assert all(allowed(config, name, value) for value in values)
    assert list(traps(config)) == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_file_in_configs_says_what_it_is_for_and_how_to_run_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert f"# Run it with: hpsearch run configs/{path.name}" in lines


# Sections and defaults


def test_a_config_of_three_sections_has_every_default(load: Any) -> None:
    config = load(f"{HEAD}parameters: {{}}\n")
    assert (config.name, config.parent, config.seed) == ("my", None, 0)
    assert (config.metric_name, config.goal, config.metric.optimal_error) == (
        "dev_error",
        "minimize",
        0.0,
    )
    assert (config.method, config.strategy) == ("random", STRATEGIES["random"]())
    assert (config.budget.limit, config.budget.failures) == (20, 10)
    assert (config.budget.seconds, config.budget.patience) == (None, None)
    assert (config.trial.timeout_seconds, config.trial.retries, config.trial.seed) == (
        None,
        1,
        None,
    )
    assert (config.run.engine, config.run.jobs) == ("local", -1)
    split = config.data.split
    assert (split.train, split.dev, split.test) == (0.6, 0.2, 0.2)
    assert config.objective == MLP({}, config.objective.data)
    assert dict(config.objective.data.fractions) == {"train": 0.6, "dev": 0.2, "test": 0.2}
    assert config.space.names == ()


@pytest.mark.parametrize("method", STRATEGIES)
def test_a_method_by_name_alone_is_the_mapping_with_that_name(load: Any, method: str) -> None:
    short = load(f"{HEAD}parameters: {{}}\nmethod: {method}\n")
    long = load(f"{HEAD}parameters: {{}}\nmethod: {{name: {method}}}\n")
    assert short.method == long.method == method
    fresh = STRATEGIES[method]()
    if isinstance(fresh, Halving):
        fresh = replace(fresh, max=30)  # the epochs of the objective
    assert short.strategy == long.strategy == fresh


@pytest.mark.parametrize(
    ("loss", "metric", "goal"),
    [
        (loss, f"{part}_{figure}", goal)
        for loss, cls in LOSSES.items()
        for part in ("train", "dev")
        for figure, goal in cls.FIGURES.items()
    ],
)
def test_a_metric_by_name_alone_has_the_goal_of_its_name(
    load: Any, loss: str, metric: str, goal: str
) -> None:
    head = HEAD.replace("mlp", f"mlp, loss: {loss}")
    short = load(f"{head}parameters: {{}}\nmetric: {metric}\n")
    long = load(f"{head}parameters: {{}}\nmetric: {{name: {metric}}}\n")
    assert short.metric == long.metric
    assert (short.metric.name, short.goal) == (metric, goal)


@pytest.mark.parametrize(("loss", "metric"), [("cross_entropy", "dev_error"), ("mse", "dev_rmse")])
def test_each_loss_has_its_own_default_metric(load: Any, loss: str, metric: str) -> None:
    config = load(f"{HEAD.replace('mlp', f'mlp, loss: {loss}')}parameters: {{}}\n")
    assert (config.metric_name, config.goal) == (metric, "minimize")


def test_a_goal_that_is_given_is_taken(load: Any) -> None:
    config = load(f"{HEAD}parameters: {{}}\nmetric: {{name: dev_error, goal: maximize}}\n")
    assert config.goal == "maximize"


def test_every_section_takes_what_it_is_given(load: Any) -> None:
    config = load(
        "name: a.b-c_1\n"
        "parent: a\n"
        "metric: {name: train_loss, optimal_error: 0.05}\n"
        "objective: {trainer: mlp, epochs: 3, learning_rate: 1, hidden_units: [8, 4]}\n"
        "data: {source: digits, seed: 7, split: {train: 0.7, dev: 0.3}}\n"
        "parameters: {}\n"
        "seed: 9223372036854775807\n"
        "budget: {trials: 3, time: 1h30m, patience: 2, failures: 4}\n"
        "trial: {timeout: 1.5m, retries: 0, seed: 5}\n"
        "run: {engine: local, jobs: 2}\n"
    )
    assert (config.name, config.parent, config.seed) == ("a.b-c_1", "a", 2**63 - 1)
    assert (config.metric.name, config.metric.optimal_error) == ("train_loss", 0.05)
    assert config.objective.constants == {
        "epochs": 3,
        "learning_rate": 1.0,
        "hidden_units": (8, 4),
    }
    assert type(config.objective.constants["learning_rate"]) is float
    assert config.objective.data.seed == 7
    assert dict(config.objective.data.fractions) == {"train": 0.7, "dev": 0.3, "test": 0.0}
    assert (config.budget.limit, config.budget.seconds) == (3, 5400.0)
    assert (config.budget.patience, config.budget.failures) == (2, 4)
    assert (config.trial.timeout_seconds, config.trial.retries, config.trial.seed) == (90.0, 0, 5)
    assert (config.run.engine, config.run.jobs) == ("local", 2)


def test_the_data_are_split_by_the_seed_of_the_search_unless_they_have_their_own(load: Any) -> None:
    assert load(f"{HEAD}parameters: {{}}\nseed: 3\n").objective.data.seed == 3
    own = "objective: {trainer: mlp}\ndata: {source: digits, seed: 0}\nparameters: {}\nseed: 3\n"
    assert load(own).objective.data.seed == 0


@pytest.mark.parametrize(
    ("budget", "limit"),
    [
        ("{}", 20),
        ("{trials: 7}", 7),
        ("{failures: 3}", 20),
        ("{time: 10m}", None),
        ("{patience: 5}", None),
        ("{time: 10m, patience: 5}", None),
        ("{time: 10m, trials: 7}", 7),
        ("{patience: 5, trials: 7}", 7),
        ("{trials: 10000000}", 10_000_000),
    ],
)
def test_trials_are_twenty_unless_the_budget_limits_them_otherwise(
    load: Any, budget: str, limit: int | None
) -> None:
    assert load(f"{HEAD}parameters: {{}}\nbudget: {budget}\n").budget.limit == limit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("2d", 172_800),
        ("1h30m", 5400),
        ("1d2h3m4s", 93_784),
        ("1.5h", 5400),
        ("0.5s", 0.5),
        ("0h5m", 300),
        ("0.001s", 0.001),
        ("007s", 7),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(load: Any, text: str, expected: float) -> None:
    assert seconds(text) == expected
    config = load(f"{HEAD}parameters: {{}}\nbudget: {{time: {text}}}\ntrial: {{timeout: {text}}}\n")
    assert config.budget.seconds == config.trial.timeout_seconds == expected


@pytest.mark.parametrize(
    "text", ["0s", "0h0m", "0.0s", "00m", "", "5", "5 m", "m", "1e3s", "-5m", "5M", "1234567890d"]
)
def test_what_is_no_duration_above_zero_is_refused(load: Any, text: str) -> None:
    with pytest.raises(UserError, match=r"budget\.time must be a duration above 0 such as 90s"):
        load(f"{HEAD}parameters: {{}}\nbudget: {{time: '{text}'}}\n")


def test_a_name_given_to_the_command_goes_before_the_files_own(load: Any) -> None:
    text = f"{HEAD}parameters: {{}}\nname: mine\n"
    assert load(text).name == "mine"
    assert load(text, "other").name == "other"


# The space


@pytest.mark.parametrize(
    ("line", "axis"),
    [
        ("learning_rate: {min: 0.1, max: 2}", Real(Linear(0.1, 2.0), "linear")),
        ("learning_rate: {scale: linear, min: 0.1, max: 2}", Real(Linear(0.1, 2.0), "linear")),
        ("learning_rate: {scale: log, min: 1e-4, max: 1}", Real(Log(1e-4, 1.0), "log")),
        (
            "momentum: {scale: one_minus_log, min: 0.9, max: 0.999}",
            Real(OneMinusLog(0.9, 0.999), "one_minus_log"),
        ),
        (
            "momentum: {scale: 1-beta, min: 0, max: 0.9}",
            Real(OneMinusLog(0.0, 0.9), "one_minus_log"),
        ),
        ("layers: {type: int, min: 0, max: 3}", Integer(Linear(0, 3), "linear")),
        ("batch_size: {scale: log, type: int, min: 16, max: 256}", Integer(Log(16, 256), "log")),
        ("learning_rate: {type: int, min: 1, max: 3}", Integer(Linear(1, 3), "linear")),
        ("learning_rate: {type: float, min: 1, max: 3}", Real(Linear(1.0, 3.0), "linear")),
        ("optimizer: {values: [adam, rmsprop]}", Choice(("adam", "rmsprop"))),
        (
            "optimizer: {values: [adam, rmsprop], weights: [1, 0.5]}",
            Choice(("adam", "rmsprop"), (1.0, 0.5)),
        ),
        ("optimizer: {values: [adam]}", Choice(("adam",))),
        ("batch_norm: {values: [true, false]}", Choice((True, False))),
        ("learning_rate: {values: [1, 1e-3]}", Choice((1.0, 1e-3))),
        ("hidden_units: {values: [32, [64], [64, 32]]}", Choice((32, (64,), (64, 32)))),
        ("layers: {values: [1, null]}", Choice((1, None))),
    ],
)
def test_each_way_to_vary_makes_its_axis(vary: Any, line: str, axis: object) -> None:
    config = vary(line)
    name = line.split(":")[0]
    assert config.space.axes == {name: axis}
    assert repr(config.space.axes[name]) == repr(axis)  # tells 1 from 1.0 and True
    assert config.constants == {}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("batch_size: 64", 64),
        ("learning_rate: 1", 1.0),
        ("learning_rate: 1e-4", 1e-4),
        ("batch_norm: false", False),
        ("optimizer: adam", "adam"),
        ("decay: none", "none"),
        ("hidden_units: [64, 32]", (64, 32)),
        ("layers: null", None),
    ],
)
def test_a_plain_value_is_a_constant_of_the_objective(vary: Any, line: str, value: object) -> None:
    config = vary(line)
    name = line.split(":")[0]
    assert config.space.axes == {}
    assert config.constants == config.objective.constants == {name: value}
    assert type(config.constants[name]) is type(value)


def test_parameters_keep_the_order_of_the_file(vary: Any) -> None:
    config = vary("momentum: {min: 0.1, max: 0.5}", "l2: 0.1", "learning_rate: {min: 1, max: 2}")
    assert config.space.names == ("momentum", "learning_rate")


def test_what_an_axis_says_of_itself_loads_as_that_axis(vary: Any) -> None:
    lines = [
        "learning_rate: {scale: log, min: 1e-4, max: 1}",
        "momentum: {scale: 1-beta, min: 0.9, max: 0.999}",
        "layers: {type: int, min: 1, max: 3}",
        "hidden_units: {values: [32, [64, 32]], weights: [1, 2]}",
    ]
    axes = vary(*lines).space.axes
    again = vary(*(f"{name}: {dump(axis.spec())}" for name, axis in axes.items())).space.axes
    assert repr(again) == repr(axes)


def test_one_setting_under_objective_and_parameters_is_refused(load: Any) -> None:
    text = "objective:\n  trainer: mlp\n  momentum: 0.9\ndata: {source: digits}\nparameters:\n"
    with pytest.raises(UserError) as caught:
        load(f"{text}  momentum: {{min: 0.5, max: 0.9}}\n")
    assert "my.yaml:6:3: momentum is under objective (line 3) and under parameters" in str(
        caught.value
    )


def test_only_values_that_a_setting_can_have_are_allowed(vary: Any) -> None:
    config = vary("learning_rate: {min: 1, max: 2}")
    assert allowed(config, "learning_rate", 0.5)
    assert not allowed(config, "learning_rate", 0)
    assert not allowed(config, "momentum", 1)
    assert allowed(config, "hidden_units", [3, 4])
    assert not allowed(config, "optimizer", "sgd")


# The identity: what a run may not change

PARTS = {
    "metric": "metric: {name: dev_loss}",
    "objective": "objective: {trainer: mlp, epochs: 3}",
    "data": "data: {source: digits, split: {train: 0.5, dev: 0.3, test: 0.2}}",
    "parameters": "parameters:\n  learning_rate: {scale: log, min: 1e-4, max: 1}\n"
    "  momentum: {scale: one_minus_log, min: 0.9, max: 0.99}\n  l2: 0.1",
    "method": "method: random",
    "seed": "seed: 4",
    "trial": "trial: {seed: 1}",
}


def text_of(**changed: str) -> str:
    return "\n".join({**PARTS, **changed}.values()) + "\n"


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "name: another"},
        {"parent": "parent: another"},
        {"budget": "budget: {trials: 3, time: 5m, patience: 2, failures: 1}"},
        {"run": "run: {jobs: 3}"},
        {"metric": "metric: {name: dev_loss, goal: minimize, optimal_error: 0.1}"},
        {"metric": "metric: dev_loss"},
        {"objective": "# words\n\nobjective:\n    epochs: 3   # words\n    trainer: 'mlp'"},
        {"data": 'data: {"split": {dev: .3, train: 5e-1, test: 2.0e-1}, source: "digits"}'},
        {"data": "data: {source: digits, seed: 4, split: {train: 0.5, dev: 0.3, test: 0.2}}"},
        {"method": "method: {name: random}"},
        {"method": ""},
        {
            "parameters": "parameters: {l2: 1e-1, learning_rate: {max: 1.0, min: 0.0001, scale: "
            "log, type: float}, momentum: {scale: 1-beta, min: 0.90, max: 0.99}}"
        },
    ],
)
def test_the_identity_ignores_how_a_config_is_written_and_when_it_ends(
    load: Any, changed: dict[str, str]
) -> None:
    assert load(text_of(**changed)).identity() == load(text_of()).identity()


def test_the_identity_ignores_the_order_of_the_sections(load: Any) -> None:
    assert load("\n".join(reversed(PARTS.values()))).identity() == load(text_of()).identity()


@pytest.mark.parametrize(
    "changed",
    [
        {"metric": "metric: dev_error"},
        {"metric": "metric: {name: dev_loss, goal: maximize}"},
        {"objective": "objective: {trainer: mlp, epochs: 4}"},
        {"objective": "objective: {trainer: mlp, epochs: 3, beta2: 0.9}"},
        {"data": "data: {source: digits, split: {train: 0.6, dev: 0.2, test: 0.2}}"},
        {"data": "data: {source: digits, seed: 5, split: {train: 0.5, dev: 0.3, test: 0.2}}"},
        {"seed": "seed: 5"},
        {"seed": ""},
        {"trial": "trial: {seed: 1, timeout: 5m}"},
        {"trial": ""},
        {"parameters": "parameters: {learning_rate: {scale: log, min: 1e-4, max: 1}}"},
        {"parameters": PARTS["parameters"].replace("0.99}", "0.999}")},
        {"parameters": PARTS["parameters"].replace("one_minus_log", "linear")},
        {"parameters": PARTS["parameters"].replace("l2: 0.1", "l2: 0.2")},
        {"parameters": PARTS["parameters"].replace("  l2: 0.1", "  l2: {values: [0.1, 0.2]}")},
    ],
)
def test_the_identity_changes_with_all_that_decides_a_trial(
    load: Any, changed: dict[str, str]
) -> None:
    assert load(text_of(**changed)).identity() != load(text_of()).identity()


def test_the_order_of_what_varies_is_in_the_identity_because_it_decides_the_draws(
    vary: Any,
) -> None:
    lines = ["learning_rate: {min: 1, max: 2}", "l2: {min: 1, max: 2}"]
    one, other = vary(*lines), vary(*reversed(lines))
    assert suggest(one, history_of(one), 0).params != suggest(other, history_of(other), 0).params
    assert one.identity() != other.identity()


def test_the_identity_holds_the_bytes_of_the_data(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n3,x\n4,y\n5,x\n6,y\n")
    path = tmp_path / "c.yaml"
    path.write_text(
        "objective: {trainer: mlp, batch_size: 2}\n"
        "data: {source: t.csv, label: b, split: {train: 0.5, dev: 0.5}}\nparameters: {}\n"
    )
    before = load_config(path).identity()
    assert load_config(path).identity() == before
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n3,x\n4,y\n5,x\n7,y\n")
    assert load_config(path).identity() != before


@one_folder
@given(
    low=st.floats(1e-6, 1, exclude_max=True),
    high=st.floats(1, 1e6),
    number=st.integers(0, 1000),
)
def test_a_range_written_at_full_precision_loads_exactly_and_bounds_every_trial(
    vary: Any, low: float, high: float, number: int
) -> None:
    config = vary(f"learning_rate: {dump({'scale': 'log', 'min': low, 'max': high})}")
    axis = config.space.axes["learning_rate"]
    assert (axis.scale.min, axis.scale.max) == (low, high)
    trial = suggest(config, history_of(config), number)
    assert low <= trial.params["learning_rate"] <= high


# Data

FULL = {"train": 0.6, "dev": 0.2, "test": 0.2}


@pytest.mark.parametrize(
    ("data", "fractions"),
    [
        ("{source: digits}", FULL),
        ("{source: digits, split: {train: 0.7, dev: 0.3}}", {"train": 0.7, "dev": 0.3, "test": 0}),
        ("{source: digits, split: {train: 9, dev: 8}}", {"train": 9, "dev": 8, "test": 0}),
        ("{source: digits, folds: 3}", FULL),
        (
            "{source: digits, folds: 3, split: {train: 0.9, test: 0.1}}",
            {"train": 0.9, "dev": 0, "test": 0.1},
        ),
        ("{source: {train: a.csv}}", {"train": 0.8, "dev": 0.2}),
        ("{source: {train: a.csv, test: b.csv}}", {"train": 0.8, "dev": 0.2}),
        ("{source: {train: a.csv, dev: b.csv}}", {}),
        ("{source: {train: a.csv, dev: b.csv, test: c.csv}}", {}),
        ("{source: {train: a.csv, test: b.csv}, folds: 4}", {}),
        (
            "{source: {train: a.csv, dev: b.csv}, split: {train: 0.7, test: 0.3}}",
            {"train": 0.7, "test": 0.3},
        ),
        (
            "{source: {train: a.csv, test: b.csv}, split: {train: 50, dev: 7}}",
            {"train": 50, "dev": 7},
        ),
    ],
)
def test_what_each_part_gets_of_the_file_that_is_shared_out(
    load: Any, data: str, fractions: dict[str, float]
) -> None:
    text = f"objective: {{trainer: mlp}}\ndata: {data}\nparameters: {{}}\n"
    source = load(text).objective.data
    assert dict(source.fractions) == fractions
    own = {type(share) for _, share in source.fractions if share}
    assert len(own) <= 1
    written = dump(source.section(str))
    again = load(f"objective: {{trainer: mlp}}\ndata: {written}\nparameters: {{}}\n")
    assert again.objective.data.identity() == source.identity()


def test_keys_at_their_defaults_are_not_in_the_identity(load: Any) -> None:
    plain = load(f"{HEAD}parameters: {{}}\n").identity()
    assert plain["objective"] == {"trainer": "mlp", "numbers": NUMBERS}
    assert set(plain["data"]) == {"sha256", "label", "split", "seed"}
    written = (
        "objective: {trainer: mlp, loss: cross_entropy}\n"
        "data: {source: digits, stratify: true, categorical: [], ignore: [], missing: refuse}\n"
        "parameters: {}\n"
    )
    assert load(written).identity() == plain


@pytest.mark.parametrize(
    "key",
    [
        "stratify: false",
        "folds: 3",
        "ignore: [a]",
        "categorical: [a]",
        "missing: median",
        "image: [4, 16]",
        "seed: 3",
        "split: {train: 0.5, dev: 0.5}",
    ],
)
def test_every_key_that_changes_the_numbers_is_in_the_identity(load: Any, key: str) -> None:
    plain = load(f"{HEAD}parameters: {{}}\n").identity()
    other = load(f"{HEAD.replace('digits', f'digits, {key}')}parameters: {{}}\n")
    assert other.identity() != plain
    assert json.loads(json.dumps(other.identity())) == other.identity()


def test_regression_is_in_the_identity_and_reaches_the_worker(load: Any) -> None:
    objective = load(f"{HEAD.replace('mlp', 'mlp, loss: mse')}parameters: {{}}\n").objective
    assert (objective.loss, objective.data.regression) == ("mse", True)
    told = objective.identity()["objective"]
    assert told == {"trainer": "mlp", "loss": "mse", "numbers": NUMBERS}
    assert objective.section(Path()) == {"trainer": "mlp", "loss": "mse"}
    assert MLP.from_spec(json.loads(json.dumps(objective.spec()))) == objective


# Traps: allowed, but probably not meant


@pytest.mark.parametrize(
    ("lines", "tail", "parameter", "part"),
    [
        (["learning_rate: {min: 1e-4, max: 1}"], "", "learning_rate", "90% of the trials above"),
        (["batch_size: {type: int, min: 1, max: 1000}"], "", "batch_size", "scale: log gives"),
        (["learning_rate: {min: 1e-3, max: 1}"], "", "learning_rate", "scale: log gives"),
        (["momentum: {min: 0.9, max: 0.99}"], "", "momentum", "scale: one_minus_log does"),
        (
            ["momentum: {min: 0.5, max: 0.9}", "optimizer: rmsprop"],
            "",
            "momentum",
            "no trial uses it: optimizer is rmsprop",
        ),
        (["beta2: {min: 0.1, max: 0.5}", "optimizer: momentum"], "", "beta2", "no trial uses it"),
        (["decay_rate: {min: 0.1, max: 0.5}"], "", "decay_rate", "no trial uses it: decay is none"),
        (["optimizer: {values: [adam, rmsprop]}"], "", "", "only 2 distinct settings for 20"),
        (["layers: {type: int, min: 1, max: 3}"], "", "", "only 3 distinct settings for 20"),
        ([], "", "", "nothing varies"),
        (["l2: 0.1"], "", "", "nothing varies"),
        (
            ["l2: {min: 1, max: 2}"],
            "method: bayes\nbudget: {patience: 4}",
            "",
            "budget.patience is 4 and method.lag 4: a trial sees no result of the 3 before it",
        ),
        (
            ["l2: {min: 1, max: 2}"],
            "method: halving\nbudget: {patience: 5}",
            "",
            "budget.patience is 5 and method.lag 8: a step sees no result of the 7 before it",
        ),
        (
            ["l2: {min: 1, max: 2}"],
            "metric: {name: dev_error, goal: maximize}",
            "",
            "the goal is to maximize dev_error: is that what you want?",
        ),
    ],
)
def test_what_is_probably_not_meant_is_said(
    vary: Any, lines: list[str], tail: str, parameter: str, part: str
) -> None:
    found = list(traps(vary(*lines, tail=tail)))
    assert [name for name, text in found if part in text] == [parameter]


@pytest.mark.parametrize(
    ("lines", "tail"),
    [
        (["learning_rate: {scale: log, min: 1e-4, max: 1}"], ""),
        (["learning_rate: {min: 0.1, max: 1}"], ""),
        (["momentum: {scale: one_minus_log, min: 0.9, max: 0.999}"], ""),
        (["momentum: {min: 0.5, max: 0.9}"], ""),
        (["beta2: {min: 0.1, max: 0.5}", "optimizer: {values: [adam, momentum]}"], ""),
        (["decay_rate: {min: 0.1, max: 0.5}", "decay: exponential"], ""),
        (["layers: {type: int, min: 1, max: 3}"], "budget: {trials: 3}"),
        (["layers: {type: int, min: 1, max: 3}"], "budget: {time: 5m}"),
        ([], "budget: {trials: 1}"),
        (["l2: {min: 1, max: 2}"], "method: bayes\nbudget: {patience: 5}"),
        (["l2: {min: 1, max: 2}"], "method: sobol\nbudget: {patience: 2}"),
        (["l2: {min: 1, max: 2}"], "metric: {name: dev_accuracy, goal: maximize}"),
    ],
)
def test_what_is_sensible_is_no_trap(vary: Any, lines: list[str], tail: str) -> None:
    assert list(traps(vary(*lines, tail=tail))) == []
