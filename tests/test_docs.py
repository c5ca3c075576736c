"""What the README and the docs say is what happens."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import jsonschema
import pytest

from conftest import ROOT, Command
from hpsearch.config import config_schema, load_config
from hpsearch.config.definitions import Data, Run
from hpsearch.config.reading import section_schema, words
from hpsearch.data import DATASETS, READERS
from hpsearch.nn.settings import Settings
from hpsearch.yamlfile import parse_yaml

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.fixture
def here(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    return tmp_path


def test_the_readme_has_the_two_commands_that_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    commands = [text.strip() for _, text in BLOCKS if text.startswith("pip install")]
    assert len(commands) == 2
    for each in commands:
        for part in each.split(" && "):
            assert part.split()[-1] in ci


def test_the_config_on_one_screen_is_valid(here: Path) -> None:
    text = next(text for kind, text in BLOCKS if kind == "yaml")
    assert len(text.splitlines()) <= 25
    (here / "all.yaml").write_text(text)
    assert load_config(here / "all.yaml").budget.limit == 25


def test_the_commands_of_the_first_hour_work_in_their_order(command: Command, here: Path) -> None:
    (text,) = [text for _, text in BLOCKS if text.startswith("hpsearch preview")]
    for line in text.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "hpsearch"
        done = command(*arguments)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        assert done.stdout or done.stderr.startswith("Wrote ")


def test_the_leaderboard_is_shown_as_it_is_printed(command: Command, here: Path) -> None:
    (shown,) = [text for _, text in BLOCKS if text.startswith("$ hpsearch run configs/digits.yaml")]
    printed = command("run", "configs/digits.yaml", COLUMNS="100").stdout.splitlines()
    lines = shown.splitlines()[1:]
    header = [" ".join(line.split()) for line in lines if not re.match(r"\s*[\d.-]", line)]
    assert header
    assert header == [" ".join(line.split()) for line in printed[: len(header)]]
    ranks = [line.split()[0] for line in lines if re.match(r"\s*\d", line)]
    assert ranks == [str(rank) for rank in range(1, len(ranks) + 1)]


def test_the_error_is_shown_as_it_is_printed(command: Command, here: Path) -> None:
    (shown,) = [text for _, text in BLOCKS if "typo.yaml" in text]
    typo = (
        "name: typo\nobjective: {trainer: mlp}\ndata: {source: digits}\nparameters:\n"
        "  learning_rate: {scale: lgo, min: 1e-4, max: 1}\n"
    )
    (here / "typo.yaml").write_text(typo)
    assert command("run", "typo.yaml").stderr == shown.split("\n", 1)[1]


def test_every_hyperparameter_is_in_the_trainers_page_with_its_range() -> None:
    page = (ROOT / "docs" / "trainer.md").read_text(encoding="utf-8")
    for name, schema in section_schema(Settings)["properties"].items():
        assert f"| `{name}` | {words(schema)} | " in page


DATA_PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


def test_every_key_of_data_is_in_its_page_with_its_range() -> None:
    properties = section_schema(Data)["properties"]
    for name, schema in properties.items():
        assert f"| `{name}` | {words(schema)} | " in DATA_PAGE
    assert len(re.findall(r"^\| `\w+` \| .* \| .* \| .* \|$", DATA_PAGE, re.M)) == len(properties)


def test_every_format_and_shipped_set_is_in_the_page_on_data() -> None:
    for ending in READERS:
        assert f"`{ending.removesuffix('.gz')}`" in DATA_PAGE
    for name in DATASETS:
        assert f"| `{name}` | " in DATA_PAGE


def test_every_example_of_the_page_on_data_is_as_the_schema_says() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", DATA_PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        text = f"objective: {{trainer: mlp}}\nparameters: {{}}\n{block}"
        value = parse_yaml(text.encode(), "data.md").value
        jsonschema.validate(value, config_schema())


def test_every_key_of_run_is_in_the_page_on_clusters_with_its_range() -> None:
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    properties = section_schema(Run)["properties"]
    for name, schema in properties.items():
        assert f"| `{name}` | {words(schema)} | " in page
    assert len(re.findall(r"^\| `\w+` \| .* \| .* \| .* \|$", page, re.M)) == len(properties)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target
    for target in re.findall(r"`((?:docs|configs|benchmarks|tests|hpsearch)/[\w./-]+\w)`", text):
        assert (ROOT / target).exists(), target
