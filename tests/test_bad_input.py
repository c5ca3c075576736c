"""Every mistake gets a sentence: where, what was found, what is allowed, the likely fix."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from conftest import ROOT, Command
from hpsearch.cli import cli
from hpsearch.config import load_config
from hpsearch.errors import UserError

GOOD = """\
objective: {trainer: mlp, epochs: 5}
data: {source: digits}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1e-1}
"""


class Bad(NamedTuple):
    """A wrong config and what is said of it."""

    text: str
    place: str
    """line:column of the first caret."""
    token: str | None
    """What the carets stand under; None where that is a whole value over several words."""
    parts: tuple[str, ...]
    """What the message and its hint hold."""


def params(*lines: str, place: str, token: str | None, says: tuple[str, ...]) -> Bad:
    """Give `parameters` the lines; the first of them is line 4 of the config."""
    head = GOOD[: GOOD.index("  learning_rate")]
    return Bad(head + "".join(f"  {line}\n" for line in lines), place, token, says)


def rate(value: str, column: int, token: str, *says: str) -> Bad:
    return params(f"learning_rate: {value}", place=f"4:{column}", token=token, says=says)


def batch(value: str, column: int, token: str, *says: str) -> Bad:
    return params(f"batch_size: {value}", place=f"4:{column}", token=token, says=says)


def choice(value: str, column: int, token: str, *says: str) -> Bad:
    return params(f"optimizer: {value}", place=f"4:{column}", token=token, says=says)


def objective(settings: str, column: int, token: str, *says: str) -> Bad:
    text = f"objective: {settings}\ndata: {{source: digits}}\nparameters: {{}}\n"
    return Bad(text, f"1:{column}", token, says)


def data(value: str, column: int, token: str | None, *says: str) -> Bad:
    text = f"objective: {{trainer: mlp}}\ndata: {value}\nparameters: {{}}\n"
    return Bad(text, f"2:{column}", token, says)


def more(line: str, column: int, token: str, *says: str) -> Bad:
    """Add one line, line 5, to a good config."""
    return Bad(f"{GOOD}{line}\n", f"5:{column}", token, says)


SCALES = "must be one of linear, log, one_minus_log, 1-beta"
OPTIMIZERS = "must be one of gradient_descent, momentum, rmsprop, adam"
DURATION = "must be a duration above 0 such as 90s, 30m, 1h30m or 2d"
NAME = "must be a name of letters, digits, '.', '_' and '-' that begins with a letter or digit"
UNITS = "must be a whole number from 1 to 100000 or a list of whole numbers from 1 to 100000"

BAD = [
    # The shape of the file
    Bad("- a\n", "1:1", None, ("the config must be a mapping, found the list [a]",)),
    Bad("hello\n", "1:1", "hello", ("must be a mapping, found 'hello' (text)", "Known keys: ")),
    Bad("3\n", "1:1", "3", ("the config must be a mapping, found 3",)),
    Bad(
        "objective: {trainer: mlp}\nparameters: {}\n",
        "1:1",
        None,
        ("the config has no section 'data'", "Example: data: {source: digits}"),
    ),
    Bad(
        "objective: {trainer: mlp}\ndata: {source: digits}\n",
        "1:1",
        None,
        ("no section 'parameters'", "Example: parameters: {learning_rate: {scale: log"),
    ),
    Bad(
        "data: {source: digits}\nparameters: {}\n",
        "1:1",
        None,
        ("no section 'objective'", "Example: objective: {trainer: mlp, epochs: 30}"),
    ),
    Bad(
        "objective: {trainer: mlp}\ndata: {source: digits}\nparameters:\nlearning_rate: 0.1\n",
        "4:1",
        "learning_rate",
        (
            "unknown key 'learning_rate' in the config",
            "It belongs under objective or parameters.",
        ),
    ),
    params(
        "learning_rate:",
        "scale: log",
        place="5:3",
        token="scale",
        says=("unknown key 'scale' in parameters", "to one parameter, so indent it further."),
    ),
    params(
        "learning_rate:",
        "momentum: 0.9",
        place="4:3",
        token="learning_rate",
        says=("parameters.learning_rate must be a number above 0, found nothing", "Give it a"),
    ),
    params(
        "- learning_rate: {min: 1, max: 2}",
        place="4:3",
        token=None,
        says=("parameters must be a mapping, found the list", "Example: parameters: {learning_r"),
    ),
    params(
        "learning_rate: 0.1",
        " momentum: 0.9",
        place="5:12",
        token=":",
        says=("a ':' where none can be", "indented differently from the one above"),
    ),
    params(
        "learning_rate {min: 1}",
        place="4:3",
        token="learning_rate {min",
        says=("unknown key 'learning_rate {min' in parameters", "missing after 'learning_rate'?"),
    ),
    params(
        "learning_rate 0.1",
        "momentum: 0.9",
        place="5:11",
        token=":",
        says=("a ':' where none can be", "Is a ':' missing before it"),
    ),
    params(
        "learning_rate: {scale:log, min: 1e-4, max: 1}",
        place="4:19",
        token="scale:log",
        says=(
            "unknown key 'scale:log' in parameters.learning_rate",
            "Put a space after the colon: 'scale: log'.",
        ),
    ),
    Bad("objective:\n\ttrainer: mlp\n", "2:1", "\t", ("Use spaces instead of tabs.",)),
    more("seed: 1\nseed: 2", 1, "seed", "first in line 5")._replace(place="6:1"),
    # Sections and keys
    more("name: Größe 2", 7, "Größe 2", "name must be a name of letters", "\nWrite Groesse-2."),
    more("name: ../café", 7, "../café", "name must be a name of letters", "\nWrite cafe."),
    more("methd: random", 1, "methd", "unknown key 'methd' in the config", "Did you mean 'method'"),
    more("Seed: 3", 1, "Seed", "unknown key 'Seed'", "Did you mean 'seed'?"),
    more("zebra: 3", 1, "zebra", "unknown key 'zebra'", "\nKnown: budget, constraints, data, me"),
    more("trials: 5", 1, "trials", "It belongs under budget. Or did you mean 'trial'?"),
    more("jobs: 5", 1, "jobs", "It belongs under run."),
    more("budget: {trial: 5}", 10, "trial", "Or did you mean 'trials'?"),
    more("run: {seed: 5}", 7, "seed", "unknown key 'seed' in run", "It belongs to the top level."),
    objective("3", 12, "3", "objective must be a mapping, found 3", "Example: objective: {train"),
    objective("mlp", 12, "mlp", "objective must be a mapping, found 'mlp' (text)"),
    objective("[momentum]", 12, "[momentum]", "must be a mapping, found the list [momentum]"),
    objective("", 1, "objective", "objective must be a mapping, found nothing"),
    objective(
        "{epochs: 5}",
        1,
        "objective",
        "objective needs one of the keys trainer, python, command",
        "Example: ",
    ),
    objective("{trainer: mpl}", 22, "mpl", "trainer must be mlp, found 'mpl'", "mean 'mlp'?"),
    objective("{trainer: }", 13, "trainer", "objective.trainer must be mlp, found nothing"),
    # Other tools' words
    more("run_cap: 5", 1, "run_cap", "hpsearch calls it 'budget.trials'."),
    more("n_trials: 5", 1, "n_trials", "hpsearch calls it 'budget.trials'."),
    more("random_state: 5", 1, "random_state", "hpsearch calls it 'seed'."),
    more("budget: {n_trials: 5}", 10, "n_trials", "hpsearch calls it 'budget.trials'."),
    more("run: {n_jobs: 5}", 7, "n_jobs", "hpsearch calls it 'run.jobs'."),
    more("metric: {direction: minimize}", 10, "direction", "hpsearch calls it 'metric.goal'."),
    rate("{distribution: log_uniform}", 19, "distribution", "hpsearch calls it 'scale'."),
    rate("{low: 1, high: 2}", 19, "low", "hpsearch calls it 'min'."),
    rate("{scale: log_uniform, min: 1, max: 2}", 26, "log_uniform", SCALES, "calls it 'log'."),
    rate("{scale: log_uniform_values}", 26, "log_uniform_values", SCALES, "calls it 'log'."),
    rate("{scale: loguniform, min: 1, max: 2}", 26, "loguniform", "hpsearch calls it 'log'."),
    rate("{scale: uniform, min: 1, max: 2}", 26, "uniform", "hpsearch calls it 'linear'."),
    choice("{choices: [adam]}", 15, "choices", "hpsearch calls it 'values'."),
    choice("sgd", 14, "sgd", OPTIMIZERS, "hpsearch calls it 'gradient_descent'."),
    batch("{value: 32}", 16, "value", "A constant is written without it: batch_size: 32"),
    batch("{type: integer, min: 1, max: 2}", 22, "integer", "one of float, int", "calls it 'int'."),
    params(
        "lr: 0.1",
        place="4:3",
        token="lr",
        says=("unknown key 'lr' in parameters", "hpsearch calls it 'learning_rate'."),
    ),
    data("{path: wine.csv}", 8, "path", "unknown key 'path' in data", "calls it 'source'."),
    data("{source: wine.csv, target: cultivar}", 26, "target", "hpsearch calls it 'label'."),
    data("{source: digits, split: {train: 0.8, val: 0.2}}", 44, "val", "hpsearch calls it 'dev'."),
    # Typos in words
    rate("{scale: lgo, min: 1, max: 2}", 26, "lgo", SCALES, "found 'lgo' (text)", "mean 'log'?"),
    rate("{scale: Linear, min: 1, max: 2}", 26, "Linear", "Did you mean 'linear'?"),
    rate(
        "{scale: one-minus-log, min: 1, max: 2}",
        26,
        "one-minus-log",
        "Did you mean 'one_minus_log'?",
    ),
    rate("{scale: 3, min: 1, max: 2}", 26, "3", SCALES, "found 3"),
    rate("{scale: , min: 1, max: 2}", 19, "scale", SCALES, "found nothing"),
    rate("{sclae: log, min: 1, max: 2}", 19, "sclae", "Did you mean 'scale'? Known: max, min, rep"),
    params("learnig_rate: 0.1", place="4:3", token="learnig_rate", says=("mean 'learning_rate'?",)),
    params(
        "learning-rate: 0.1", place="4:3", token="learning-rate", says=("mean 'learning_rate'?",)
    ),
    choice("Adam", 14, "Adam", OPTIMIZERS, "found 'Adam' (text)", "Did you mean 'adam'?"),
    choice("{values: [adam, rmspop]}", 30, "rmspop", "optimizer.values[1]", "mean 'rmsprop'?"),
    more("method: randon", 9, "randon", "found 'randon' (text)", "Did you mean 'random'?"),
    more("method: {name: randm}", 16, "randm", "method must be", "Did you mean 'random'?"),
    more("method: {nam: random}", 10, "nam", "unknown key 'nam' in method", "mean 'name'?"),
    more("method: {}", 1, "method", "method needs the key 'name'", "Example: method: random"),
    more("method: {name: random, speed: 3}", 24, "speed", "unknown key 'speed' in method"),
    more("method:", 1, "method", "method must be a name or a mapping", "found nothing"),
    more(
        "method: {name: halving, propose: {name: bayes}}",
        34,
        "{name: bayes}",
        "method.propose must be one of sobol, random, zoom, bayes, found a mapping",
    ),
    more("method: [random]", 9, "[random]", "found the list [random]"),
    more("metric: dev_eror", 9, "dev_eror", "metric.name must be one of", "mean 'dev_error'?"),
    more("metric: {goal: maximise}", 16, "maximise", "minimize, maximize", "mean 'maximize'?"),
    more("metric: {optimal_error: 1}", 25, "1", "must be a number at least 0 and below 1, found 1"),
    # Scales that would be a trap
    rate(
        "{scale: reverse_log, min: 0.1, max: 1}",
        26,
        "reverse_log",
        "depends on where the range ends; say one_minus_log",
    ),
    rate(
        "{scale: inv_log_uniform, min: 0.1, max: 1}",
        26,
        "inv_log_uniform",
        "is the same as drawing x log-uniformly; say log",
    ),
    rate("{scale: inv_log_uniform_values}", 26, "inv_log_uniform_values", "draws 1/x log-unif"),
    # Ranges
    rate("{min: 1e-4}", 3, "learning_rate", "needs the key 'max'", "Example: learning_rate: {"),
    rate("{max: 1}", 3, "learning_rate", "parameters.learning_rate needs the key 'min'"),
    rate("{}", 3, "learning_rate", "parameters.learning_rate needs the key 'min'"),
    rate("{scale: log, min: 1, max: 1e-4}", 36, "1", "got 1 and 0.0001", "min and max are swapped"),
    rate("{min: 2, max: 1}", 24, "2", "a linear scale needs min < max", "min and max are swapped."),
    rate("{min: 2, max: 2.0}", 32, "2.0", "min and max are both 2", "write: learning_rate: 2"),
    rate("{scale: log, min: 0, max: 1}", 36, "0", "needs 0 < min < max", "0 has no logarithm"),
    rate("{scale: log, min: -4, max: 0}", 36, "-4", "Ends are values, never exponents"),
    rate("{min: 0, max: 1}", 24, "0", "learning_rate.min must be a number above 0, found 0"),
    rate("{min: low, max: 1}", 24, "low", "min must be a number, found 'low' (text)"),
    rate("{min: true, max: 1}", 24, "true", "must be a number, found true (true or false)"),
    rate("{min: on, max: 1}", 24, "on", "must be a number, found 'on' (text)"),
    rate("{min: [1], max: 2}", 24, "[1]", "must be a number, found the list [1]"),
    rate("{min: , max: 2}", 19, "min", "must be a number, found nothing"),
    params(
        "momentum: {scale: one_minus_log, min: 0.9, max: 1}",
        place="4:51",
        token="1",
        says=("needs min < max < 1, got 0.9 and 1", "1 itself is out of reach"),
    ),
    params(
        "momentum: {min: 0.9, max: 1}",
        place="4:29",
        token="1",
        says=("parameters.momentum.max must be a number at least 0 and below 1, found 1\n",),
    ),
    choice("{min: 1, max: 2}", 3, "optimizer", "no range", "values: [gradient_descent, momentum"),
    params(
        "batch_norm: {min: 0, max: 1}",
        place="4:3",
        token="batch_norm",
        says=("is not a number, so it has no range", "Write: batch_norm: {values: [true, false]}"),
    ),
    batch("{min: 16, max: 64}", 3, "batch_size", "takes whole numbers", "Add 'type: int'."),
    batch("{type: int, min: 16.5, max: 64}", 32, "16.5", "must be a whole number, found 16.5"),
    batch("{type: int, min: 16.0, max: 64}", 32, "16.0", "found 16.0", "Write 16."),
    batch(f"{{type: int, min: 1, max: {2**53 + 1}}}", 40, str(2**53 + 1), "is too large: 9007"),
    batch(
        "{type: int, min: 0, max: 64}", 32, "0", "min must be a whole number at least 1, found 0"
    ),
    # Choices
    choice("{values: []}", 23, "[]", "parameters.optimizer: values needs at least one option"),
    choice("{values: }", 15, "values", "optimizer.values must be a list, found nothing"),
    choice("{values: adam}", 23, "adam", "optimizer.values must be a list, found 'adam' (text)"),
    choice("{values: [adam, adam]}", 23, "[adam, adam]", "the option 'adam' is given twice"),
    choice("{values: [adam, null]}", 30, "null", "values[1] must be one of", "found nothing"),
    choice("[adam, rmsprop]", 14, "[adam, rmsprop]", "write: optimizer: {values: [adam, rmsprop]}"),
    choice("{values: [adam, rmsprop], weights: [1]}", 49, "[1]", "2 options need as many weights"),
    choice("{values: [adam, rmsprop], weights: [1, -1]}", 53, "-1", "weights[1] must be a number"),
    choice("{values: [adam, rmsprop], weights: [a, 1]}", 50, "a", "weights[0] must be a number"),
    choice("{values: [adam, rmsprop], weights: [0, 0]}", 49, "[0, 0]", "weights must not be nega"),
    choice("{values: [adam], weights: [1e308]}", 41, "1e308", "a number from 0 to 1000000"),
    choice("{values: [adam, rmsprop], weights: 2}", 49, "2", "weights must be a list of numbers"),
    choice("{weights: [1, 2]}", 3, "optimizer", "parameters.optimizer needs the key 'values'"),
    batch("{values: [32, adam]}", 29, "adam", "values[1] must be a whole number at least 1"),
    batch("{values: [32, 64.5]}", 29, "64.5", "must be a whole number at least 1, found 64.5"),
    batch('{values: [32, "64"]}', 29, '"64"', "found '64' (text)", "Write 64, without quotes."),
    batch("{values: [32], min: 3}", 30, "min", "'min', of a range, beside 'values', of options"),
    rate("{min: 1, max: 2, weights: [1]}", 19, "min", "of a range, beside 'weights', of options"),
    # Values of the wrong type for a setting
    objective("{trainer: mlp, epochs: ten}", 35, "ten", "whole number from 1 to 1000000"),
    objective("{trainer: mlp, epochs: true}", 35, "true", "found true (true or false)"),
    objective("{trainer: mlp, epochs: 0}", 35, "0", "a whole number from 1 to 1000000, found 0"),
    objective("{trainer: mlp, epochs: 1e2}", 35, "1e2", "found 100.0", "Write 100."),
    objective(
        "{trainer: mlp, batch_norm: yes}", 39, "yes", "true or false, found 'yes'", "Write t"
    ),
    objective("{trainer: mlp, batch_norm: off}", 39, "off", "found 'off' (text)", "Write false."),
    objective("{trainer: mlp, batch_norm: 1}", 39, "1", "must be true or false, found 1"),
    objective("{trainer: mlp, optimizer: }", 27, "optimizer", OPTIMIZERS, "found nothing"),
    objective("{trainer: mlp, lr: 1}", 27, "lr", "unknown key 'lr' in objective", "learning_rate'"),
    params("momentum: 1", place="4:13", token="1", says=("at least 0 and below 1, found 1",)),
    params("hidden_units: []", place="4:17", token="[]", says=(UNITS, "found the list []")),
    params(
        "hidden_units: [64, -1]",
        place="4:22",
        token="-1",
        says=("hidden_units[1] must be a whole",),
    ),
    params(
        "hidden_units: {values: [[64, 0]]}",
        place="4:32",
        token="0",
        says=("parameters.hidden_units.values[0][1] must be a whole number from 1 to 100000",),
    ),
    params("hidden_units: 64-32", place="4:17", token="64-32", says=(UNITS, "found '64-32'")),
    # Texts that look like numbers
    batch("1_000", 15, "1_000", "found '1_000' (text)", "\nWrite 1000."),
    batch("007", 15, "007", "found '007' (text)", "\nWrite 7."),
    batch("0x10", 15, "0x10", "found '0x10' (text)", "\nWrite 16."),
    batch("0o17", 15, "0o17", "\nWrite 15."),
    batch("0b11", 15, "0b11", "\nWrite 3."),
    batch('"3"', 15, '"3"', "found '3' (text)", "\nWrite 3, without quotes."),
    batch("1,000", 15, "1,000", "\nWrite 1000."),
    batch("1 000", 15, "1 000", "\nWrite 1000."),
    batch("32.0", 15, "32.0", "\nWrite 32."),
    batch("0x" + "f" * 200, 15, "0x" + "f" * 76, "(text)"),
    rate("1,5", 18, "1,5", "found '1,5' (text)", "\nWrite 1.5."),
    rate("1,500", 18, "1,500", "\nWrite 1.500 or 1500."),
    rate("10^-3", 18, "10^-3", "found '10^-3' (text)", "\nWrite 1e-3."),
    rate("10**-3", 18, "10**-3", "\nWrite 1e-3."),
    rate("'1e-4'", 18, "'1e-4'", "\nWrite 1e-4, without quotes."),
    rate("{min: 0,1, max: 1,5}", 26, "1", "a key must be text", "A decimal number has a point"),
    rate("{min: 0,001, max: 1}", 26, "001", "a key must be text", "A decimal number has a point"),
    rate("1e400", 18, "1e400", "too large for a number"),
    rate(".inf", 18, ".inf", "not a finite number"),
    more("seed: 0xff", 7, "0xff", "\nWrite 255."),
    # Settings that clash
    batch(
        "2000",
        3,
        "batch_size",
        "can be 2000, but the training set has 1078 examples: set it to",
    ),
    batch("9" * 20, 3, "batch_size", "but the training set has 1078 examples"),
    batch("{type: int, min: 2, max: 1079}", 3, "batch_size", "can be 1079, but the training set"),
    batch("1", 3, "batch_size", "batch_size can be 1 while batch_norm is true"),
    objective("{trainer: mlp, batch_size: 1}", 27, "batch_size", "while batch_norm is true"),
    params(
        "hidden_units: [64, 32]",
        "layers: 3",
        place="4:3",
        token="hidden_units",
        says=("hidden_units lists 2 layers, but layers is 3",),
    ),
    params(
        "epochs: 3",
        place="4:3",
        token="epochs",
        says=("epochs is under objective (line 1) and under parameters", "Remove one of them."),
    ),
    # Data
    data("digits", 7, "digits", "data must be a mapping, found 'digits' (text)", "Example: data: "),
    data("{}", 1, "data", "data needs the key 'source'"),
    data("{source: 3}", 16, "3", "must be text or a mapping, found 3", 'Put it in quotes: "3".'),
    data("{source: digit}", 16, "digit", "no file", "Did you mean 'digits'?"),
    data("{source: wien.csv, label: a}", 16, "wien.csv", "Did you mean 'wine.csv'?"),
    data("{source: ., label: a}", 16, ".", "is a folder; a file is needed", "wine.csv"),
    data("{source: bad.yaml, label: a}", 16, "bad.yaml", "no reader for .yaml", ".csv, .csv.gz"),
    data("{source: wine.csv}", 1, "data", "which column holds the class?", "Columns: alcohol"),
    data("{source: wine.csv, label: cultivor}", 33, "cultivor", "Did you mean 'cultivar'?"),
    data("{source: wine.csv, label: 3}", 33, "3", "data.label must be text or a", 'quotes: "3"'),
    data("{source: digits, label: digit}", 31, "digit", "Remove `label: digit`"),
    data("{source: digits, seed: -1}", 30, "-1", "data.seed must be a whole number at least 0"),
    data(
        "{source: digits, split: {train: 0.6, dev: 0.2, test: 0.3}}",
        31,
        None,
        "must add up to 1, found 1.1",
        "Example: split: {train: 0.6, dev: 0.2, test: 0.2}",
    ),
    data(
        "{source: digits, split: {train: 0, dev: 40}}",
        39,
        "0",
        "data.split.train must be a number above 0 and below 1 or a whole number at least 1",
    ),
    data("{source: digits, split: {train: 60, dev: 0.4}}", 31, None, "mixes shares and numbers"),
    data(
        "{source: digits, split: {train: 1700, dev: 98}}",
        31,
        None,
        "split asks for 1798 examples, but there are 1797",
    ),
    data("{source: digits, split: {train: 9, dev: 10}}", 31, None, "cannot hold one of each of 10"),
    data("{source: {dev: wine.csv}, label: a}", 8, "source", "data.source needs the key 'train'"),
    data("{source: {train: wine.csv, tset: a.csv}}", 34, "tset", "Did you mean 'test'?"),
    data("{source: {train: wine.csv, dev: 3}}", 39, "3", "data.source.dev must be text, found 3"),
    data(
        "{source: {train: wine.csv, dev: wien.csv}, label: cultivar}",
        16,
        None,
        "there is no file",
        "Did you mean 'wine.csv'?",
    ),
    data(
        "{source: {train: wine.csv, test: wine.csv}, split: {train: 0.6, test: 0.4}}",
        71,
        "test",
        "data.split names test, which has its own file",
        "Remove it",
    ),
    data(
        "{source: {train: wine.csv}, label: {train: cultivar}}",
        42,
        None,
        "one name in all files, as in `label: cultivar`",
    ),
    data("{source: wine.csv, label: cultivar, ignore: [hue, ash, colour]}", 51, None, "'colour'"),
    data("{source: wine.csv, label: cultivar, ignore: hue}", 51, "hue", "a list", "Write [hue]."),
    data(
        "{source: wine.csv, label: cultivar, ignore: [3]}", 52, "3", "data.ignore[0] must be text"
    ),
    data(
        "{source: wine.csv, label: cultivar, categorical: [cultivar]}",
        56,
        None,
        "'cultivar' is the label; remove it from categorical",
    ),
    data(
        "{source: wine.csv, label: cultivar, missing: mean}",
        52,
        "mean",
        "data.missing must be one of refuse, median",
        "Did you mean 'median'?",
    ),
    data("{source: digits, folds: 1}", 31, "1", "a whole number from 2 to 100, found 1"),
    data("{source: wine.csv, label: cultivar, folds: 60}", 50, "60", "has only", "use fewer folds"),
    data("{source: digits, stratify: no}", 34, "no", "must be true or false", "Write false."),
    data("{source: digits, image: 8}", 31, "8", "a list of 2 to 3 whole numbers at least 1"),
    data("{source: digits, image: [8]}", 31, "[8]", "a list of 2 to 3 whole numbers at least 1"),
    data("{source: digits, image: [8, 0]}", 35, "0", "data.image[1] must be a whole number"),
    data("{source: digits, image: [4, 16]}", 31, "[4, 16]", "but the examples are images of 8 x 8"),
    data("{source: wine.csv, label: cultivar, image: [3, 4]}", 50, "[3, 4]", "an example has 13"),
    data("{source: moons, ignore: [x_0]}", 31, "[x_0]", "has no columns to name. Remove `ignore`"),
    data("{source: moons, label: y}", 30, "y", "moons is a shipped data set", "Remove `label: y`"),
    data("{source: digits, cv: 5}", 24, "cv", "unknown key 'cv'", "hpsearch calls it 'folds'."),
    objective("{trainer: mlp, loss: mae}", 33, "mae", "must be one of cross_entropy, mse"),
    data("{source: digits, split: {train: 0.8}}", 24, "split", "data.split needs the key 'dev'"),
    data("{source: digits, split: 0.8}", 31, "0.8", "data.split must be a mapping, found 0.8"),
    # Names, seeds, budgets, jobs
    more("name: a/b", 7, "a/b", NAME, "found 'a/b' (text)"),
    more("name: ..", 7, "..", NAME),
    more("name: .hidden", 7, ".hidden", NAME),
    more('name: "a\\n"', 7, '"a\\n"', NAME, "found 'a\\n' (text)"),
    more("name: " + "a" * 101, 7, "a" * 86, NAME, "(at most 100 characters), found 'aaa"),
    more("name: 2024", 7, "2024", NAME, 'Put it in quotes: "2024".'),
    more("parent: ../x", 9, "../x", NAME),
    more("seed: -1", 7, "-1", "seed must be a whole number at least 0", "found -1"),
    more("seed: 1.5", 7, "1.5", "seed must be a whole number at least 0", "found 1.5"),
    more("seed: true", 7, "true", "found true (true or false)"),
    more(f"seed: {2**70}", 7, str(2**70), "below 9223372036854775808, found 1180591620717411"),
    more("seed:", 1, "seed", "found nothing", "Give it a value, or remove the key."),
    more("budget: 20", 9, "20", "budget must be a mapping, found 20", "Example: budget: {trials"),
    more("budget:", 1, "budget", "budget must be a mapping, found nothing"),
    more("budget: {trials: 0}", 18, "0", "a whole number from 1 to 10000000, found 0"),
    more("budget: {trials: many}", 18, "many", "found 'many' (text)"),
    more("budget: {patience: 0}", 20, "0", "budget.patience must be a whole number at least 1"),
    more('budget: {time: "10 minutes"}', 16, '"10 minutes"', DURATION, "Write 10m."),
    more("budget: {failures: 0}", 20, "0", "budget.failures must be a whole number at least 1"),
    more("budget: {time: 30}", 16, "30", DURATION, "found 30", "Write 30s, 30m or 30h."),
    more("budget: {time: 0s}", 16, "0s", DURATION, "found '0s' (text)"),
    more("trial: {timeout: 5}", 18, "5", f"trial.timeout {DURATION}, found 5"),
    more("trial: {retries: 11}", 18, "11", "a whole number from 0 to 10, found 11"),
    more("trial: {repeats: 0}", 18, "0", "trial.repeats must be a whole number from 1 to 100"),
    more("trial: {repeats: 2.5}", 18, "2.5", "a whole number from 1 to 100, found 2.5"),
    more("trial: {repeats: three}", 18, "three", "from 1 to 100, found 'three' (text)"),
    more("trial: {repeats: 10000}", 18, "10000", "from 1 to 100, found 10000"),
    more("trial: {repeat: 3}", 9, "repeat", "did you mean 'repeats'?"),
    more("trial: {seed: 4294967296}", 15, "4294967296", "at least 0 and below 4294967296"),
    more(
        "run: {jobs: 0}", 13, "0", "run.jobs must be a whole number from 1 to 10000 or -1, found 0"
    ),
    more("run: {jobs: -3}", 13, "-3", "or -1, found -3"),
    more('run: {jobs: "3"}', 13, '"3"', "found '3' (text)", "Write 3, without quotes."),
    more("run: {engine: loky}", 15, "loky", "run.engine must be", "found 'loky' (text)"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data file, where the bad configs are."""
    path = tmp_path_factory.mktemp("bad")
    (path / "wine.csv").write_bytes((ROOT / "configs" / "wine.csv").read_bytes())
    return path


def under_caret(message: str) -> str:
    """Return the part of the shown line that the carets stand under."""
    _, line, carets = re.split(r"\n +[0-9]* \| ", message, maxsplit=2)
    carets = carets.split("\n")[0]
    assert set(carets.strip()) == {"^"}
    return line[len(carets) - len(carets.lstrip()) : len(carets)]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.text.split("\n")[-2][:50].strip())
def test_a_mistake_is_said_with_its_place_what_was_found_and_the_way_out(
    folder: Path, bad: Bad
) -> None:
    path = folder / "bad.yaml"
    path.write_text(bad.text)
    with pytest.raises(UserError) as caught:
        load_config(path)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert message.startswith(f"{path}:{bad.place}: ")
    for part in bad.parts:
        assert part in message
    line = int(bad.place.split(":")[0])
    assert f"\n    {line} | {bad.text.splitlines()[line - 1][:80]}" in message
    if bad.token is not None:
        assert under_caret(message) == bad.token


def test_the_config_that_the_mistakes_are_made_in_is_good(folder: Path) -> None:
    path = folder / "good.yaml"
    path.write_text(GOOD)
    assert load_config(path).space.names == ("learning_rate",)


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n# comments\n", "---\n", "null\n"])
def test_an_empty_file_is_told_what_a_config_needs(folder: Path, text: str) -> None:
    path = folder / "empty.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert str(caught.value) == (f"{path}: empty; a config needs objective, data and parameters")


def test_a_file_whose_name_cannot_name_a_run_asks_for_a_name(folder: Path) -> None:
    path = folder / "my config.yaml"
    path.write_text(GOOD)
    with pytest.raises(
        UserError, match="'my config' cannot name a run: it needs a name of letters"
    ):
        load_config(path)
    with pytest.raises(UserError, match="Give one with --name, such as --name my-config"):
        load_config(path)
    assert load_config(path, "mine").name == "mine"
    with pytest.raises(UserError, match=r"'\.\./mine' cannot name a run"):
        load_config(path, "../mine")


# At the command

COMMANDS = ["run", "preview"]
AT_COMMAND = [BAD[1], BAD[3], BAD[11], BAD[12], BAD[-1]]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("bad", AT_COMMAND, ids=lambda bad: bad.parts[0][:40])
def test_a_command_with_a_bad_config_ends_with_2_says_it_on_stderr_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, bad: Bad
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(bad.text)
    result = CliRunner().invoke(cli, [name, "bad.yaml"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"bad.yaml:{bad.place}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


LIKE_YAML = [
    ("scale.yaml", GOOD.replace("scale: log", "scale: lgo").encode(), "scale.yaml:4:26: "),
    ("bomb.yaml", b"a: &a [1]\nb: [*a, *a]\n", "bomb.yaml:1:4: anchors and aliases"),
    ("deep.yaml", b"[" * 10_000, "deep.yaml:1:33: nested deeper than 32 levels"),
    ("large.yaml", b"#" * (1 << 20) + b"\n", "larger than 1 MiB"),
    ("bytes.yaml", b"\xff\xfeo\x00", "bytes.yaml:1:1: not UTF-8 text"),
    ("empty.yaml", b"", "empty; a config needs objective, data and parameters"),
    ("gone.yaml", None, "gone.yaml: cannot be read: No such file or directory"),
]


@pytest.mark.parametrize(("name", "raw", "says"), LIKE_YAML, ids=[each[0] for each in LIKE_YAML])
def test_the_real_command_ends_with_2_without_a_traceback_or_a_trace(
    command: Command, tmp_path: Path, name: str, raw: bytes | None, says: str
) -> None:
    if raw is not None:
        (tmp_path / name).write_bytes(raw)
    before = sorted(tmp_path.iterdir())
    done = command("run", name)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_as_config_ends_with_2(command: Command, tmp_path: Path) -> None:
    done = command("run", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be read: Is a directory" in done.stderr


def test_a_file_that_may_not_be_read_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text(GOOD)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the superuser may read any file
    result = CliRunner().invoke(cli, ["run", str(path)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{path}: cannot be read: Permission denied" in result.stderr
