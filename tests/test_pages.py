"""Every block of the README and the docs that has a command is executed, in an empty folder.

A page is followed as a reader would: the files that it shows are written, its commands are given
one after another, word for word, and each has to end well; an answer that is shown under a command
is the one that it gives. What cannot be done on one machine is in `NOT_HERE`, with its reason, and
is read by the program that it is for. Only the trainings of the lessons are shorter than they are
for a reader: their files are copied with one epoch each.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from conftest import ROOT, TINY, Command
from hpsearch.cli import cli
from hpsearch.config import config_schema
from hpsearch.store import RunFolder
from hpsearch.story import Story
from hpsearch.yamlfile import parse_yaml
from pages import ALL, PAGES, Block

NOT_HERE = {
    "pip install . && hpsearch run configs/digits.yaml": "it installs: .ci/run begins with it",
    "pip install '.[test]' && pytest": "it is what runs this test: .ci/run has it",
    "dask scheduler --port 8786": "it takes a port of the machine, and does not end",
    "dask worker tcp://10.0.0.1:8786 --nthreads 8": "it is for other machines",
    "ray start --head --port=6379": "it takes a port of the machine, and leaves processes behind",
    "ray start --address=10.0.0.1:6379": "it is for other machines",
    "hpsearch run search.yaml --engine ray --address auto": "it needs the two lines before it",
}
"""Commands that are not executed, and why; `test_what_is_not_executed` reads them."""

INSTEAD = {
    "hpsearch panda configs/digits.yaml": " --script page.txt",
}
"""What is added where a command asks at a terminal: the acts that its own page shows.

`test_panda_terminal` types at a terminal.
"""

LISTINGS = {
    "README.md": ["runs/NAME/"],
    "docs/architecture.md": ["errors fields", "hpsearch      ", "hpsearch      "],
    "docs/objectives.md": ["runs/NAME/trials/"],
    "docs/panda.md": ["digits-panda  epoch 12", "runs/NAME/", "# one act a line"],
    "docs/record.md": ["runs/NAME/"],
}
"""How the blocks begin that are no commands: folders, a screen, layers, processes, acts."""

MOMENTUM = "  momentum: {scale: one_minus_log, min: 0.9, max: 0.999}\n"
FILES = {
    "README.md": {
        "typo.yaml": "name: typo\nobjective: {trainer: mlp}\ndata: {source: digits}\nparameters:\n"
        "  learning_rate: {scale: lgo, min: 1e-4, max: 1}\n",
    },
    "docs/record.md": {"search.yaml": TINY},
    "docs/export.md": {"digits.yaml": TINY.replace("parameters:\n", f"parameters:\n{MOMENTUM}")},
}
"""What a page takes for granted; of docs/export.md a run too."""

# What else has to be true once a page was followed


def check_tutorial(folder: Path) -> None:
    """The page says why the scale matters, and leads to a schedule that repeats."""
    linear, log = (
        statistics.median(each.score or 1 for each in RunFolder(folder / "runs" / name).results())
        for name in ("linear", "log")
    )
    assert log < 0.2 < linear
    assert {path.name for path in (folder / "runs").iterdir()} >= {"log-refined", "schedule"}
    check_schedule(folder, "log-panda")


def check_schedule(folder: Path, name: str) -> None:
    """The written schedule trains the same model."""
    (result,) = RunFolder(folder / "runs/schedule").results()
    assert result.metrics == Story(RunFolder(folder / "runs" / name).acts()).path()[-1]


def check_objectives(folder: Path) -> None:
    """Every trial of the reader's own code is complete."""
    for run in (folder / "runs").iterdir():
        assert {each.status for each in RunFolder(run).results()} == {"complete"}
    assert (folder / "runs/train/trials/0003/line.txt").is_file()


def check_record(folder: Path) -> None:
    """Reading the record with the page's own code gives what is in it."""
    results = RunFolder(folder / "runs/search").results()
    told = [f"{each.trial} {each.status} {each.score}" for each in results]
    assert sorted((folder / "printed.txt").read_text().splitlines()) == sorted(told)


def check_export(folder: Path) -> None:
    """A sampler of Optuna's goes on from the file, by the page's own code."""
    pytest.importorskip("optuna")
    (block,) = (each for each in ALL if each.page == "docs/export.md" and each.kind == "python")
    names: dict[str, Any] = {}
    with contextlib.chdir(folder):
        exec(compile(block.text, "export.md", "exec"), names)
    assert 0.9 <= names["momentum"] <= 0.999


AFTER: dict[str, Callable[[Path], None]] = {
    "docs/tutorial.md": check_tutorial,
    "docs/panda.md": lambda folder: check_schedule(folder, "digits-panda"),
    "docs/objectives.md": check_objectives,
    "docs/record.md": check_record,
    "docs/export.md": check_export,
}


# The blocks


def prepared(page: str, folder: Path) -> None:
    """Put into a folder what a copy of the repository has, and what the page takes for granted."""
    (folder / "tiny.yaml").unlink()
    shutil.copytree(ROOT / "configs", folder / "configs")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=ignored)
    for path in (folder / "configs" / "lessons").glob("*.yaml"):
        if path.name != "panda.yaml":  # its acts are at epochs
            short = re.sub(r"epochs: \d+", "epochs: 1", path.read_text(encoding="utf-8"))
            path.write_text(short, encoding="utf-8")
    for name, text in FILES.get(page, {}).items():
        (folder / name).write_text(text, encoding="utf-8")
    for block in ALL:
        if block.page == page and block.text.startswith("# one act a line"):
            (folder / "page.txt").write_text(block.text, encoding="utf-8")


def is_shown(shown: str, printed: str) -> bool:
    """Compare an answer with the one on a page, of a table what is the same on any machine.

    That are the columns and the ranks: the last bits of a score depend on the processor.
    """
    if shown == printed:
        return True
    rows = [line.split() for line in shown.splitlines() if line != "..."]
    there = [line.split() for line in printed.splitlines()]
    head = [row for row in rows if not re.match(r"-?\d+$", row[0]) and row[0] != "Trials"]
    ranks = [row[0] for row in rows if re.match(r"\d+$", row[0])]
    start = [row[0] for row in there[len(head) : len(head) + len(ranks)]]
    return bool(ranks) and there[: len(head)] == head and ranks == start


WITH_COMMANDS = sorted({block.page for block in ALL if block.commands})


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_a_page_can_be_followed(command: Command, tmp_path: Path, page: str) -> None:
    prepared(page, tmp_path)
    if page == "docs/export.md":
        assert command("run", "digits.yaml", "-q").returncode == 0
    own = [block for block in ALL if block.page == page]
    files = {block.file: block.text for block in own if block.file is not None}
    assert len(files) == len([block for block in own if block.file is not None])
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for block in own:
        for line in block.commands:
            if line not in NOT_HERE:
                follow(block, line, command, tmp_path)
    AFTER.get(page, lambda folder: None)(tmp_path)


def follow(block: Block, line: str, command: Command, folder: Path) -> None:
    """Give a command, and look at its answer."""
    program, *arguments = shlex.split(line + INSTEAD.get(line, ""))
    place = f"{block.page}:{block.line}: {line}"
    if program == "python":
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=600
        )
        (folder / "printed.txt").write_text(done.stdout)
    else:
        assert program == "hpsearch", place
        quiet = {"COLUMNS": "100"} if block.shown else {}
        quiet |= {"BROWSER": "true"} if "--open" in arguments else {}
        done = command(*arguments, **quiet)
    if block.shown is None:
        assert done.returncode == 0, f"{place}\n{done.stderr}"
        assert done.stdout or done.stderr.startswith("Wrote "), place
        if block.page == "docs/objectives.md":  # what a reader may copy has no trap
            assert "warning" not in done.stderr, place
    else:
        assert "Traceback" not in done.stderr, f"{place}\n{done.stderr}"
        assert is_shown(block.shown, done.stdout or done.stderr), f"{place}\n{done.stdout}"


def test_every_block_is_a_file_or_yaml_or_python_or_for_a_shell_or_a_known_listing() -> None:
    listings: dict[str, list[Block]] = {}
    for block in ALL:
        if block.is_listing:
            listings.setdefault(block.page, []).append(block)
    known = {page: found[0].line for page, found in listings.items()}
    assert set(known) == set(LISTINGS), known
    for page, found in listings.items():
        assert len(found) == len(LISTINGS[page]), [f"{page}:{each.line}" for each in found]
        for block, begins in zip(found, LISTINGS[page], strict=True):
            assert block.text.startswith(begins), f"{page}:{block.line}"
    fences = sum(len(re.findall(r"^ *```", each.read_text(), re.MULTILINE)) for each in PAGES)
    assert 2 * len(ALL) == fences, "a block is indented, or its end is missing"


def test_what_is_not_executed_is_read_by_its_own_program() -> None:
    there = [line for block in ALL for line in block.commands]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for line in NOT_HERE:
        assert line in there, f"no page has it any more: {line}"
        program, *arguments = shlex.split(line)
        if program == "pip":
            for part in line.split(" && "):
                assert part.split()[-1] in ci
        elif program == "hpsearch":
            name, *rest = arguments
            cli.commands[name].make_context(name, rest)
        elif program == "dask":
            name, *rest = arguments
            module = pytest.importorskip(f"distributed.cli.dask_{name}")
            module.main.make_context(name, rest)
        else:
            assert program == "ray"
            name, *rest = arguments
            pytest.importorskip("ray")
            importlib.import_module("ray.scripts.scripts").cli.commands[name].make_context(
                name, rest
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_in_a_sentence_has_the_options_that_it_is_given(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for said in re.findall(r"`(hpsearch [^`]+)`", text):
        _, name, *rest = said.split()
        if name.startswith(("-", "CMD", "COMMAND")):
            continue
        known = {option for each in cli.commands[name].params for option in each.opts}
        given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert given <= {*known, "-h", "--help"}, said


def test_the_yaml_and_the_python_of_every_page_can_be_read() -> None:
    schema = jsonschema.Draft202012Validator(config_schema())
    for block in ALL:
        place = f"{block.page}:{block.line}"
        if block.kind in ("python", "py"):
            compile(block.text, place, "exec")
        elif block.kind == "yaml" and block.text.startswith("apiVersion:"):
            assert yaml.safe_load(block.text)["kind"] == "DaskCluster"
        elif block.kind == "yaml":
            value = parse_yaml(block.text.encode(), place).value
            whole = {"objective": {"trainer": "mlp"}, "parameters": {}, **value}
            if "trainer" in whole["objective"]:
                whole.setdefault("data", {"source": "digits"})
            schema.validate(whole)
