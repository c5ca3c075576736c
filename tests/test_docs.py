"""What the README and the docs say is what happens."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest

from conftest import ROOT
from hpsearch.config import config_schema, load_config, traps
from hpsearch.config.definitions import Data, Run
from hpsearch.config.reading import section_schema, words
from hpsearch.data import DATASETS, READERS
from hpsearch.nn.settings import Settings
from hpsearch.store import RunFolder
from hpsearch.trial import STATUSES, Result
from hpsearch.yamlfile import parse_yaml

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LESSONS = sorted((ROOT / "configs" / "lessons").glob("*.yaml"))


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


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_lesson_loads_without_a_trap_and_says_how_to_run_it(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all(line.startswith("# ") for line in lines[:3])
    assert lines[2].startswith("# Run it with: hpsearch ")
    program, *arguments = shlex.split(lines[2].partition(": ")[2])
    assert program == "hpsearch"
    assert all((ROOT / each).exists() for each in arguments if "/" in each)
    config = load_config(path)
    assert bool(list(traps(config))) == ("linear" in path.stem or path.stem == "luck")
    (page,) = re.findall(r"docs/lessons/[\w-]+\.md", "".join(lines[:3]))
    assert path.name in (ROOT / page).read_text(encoding="utf-8")


def test_the_record_is_read_as_its_page_reads_it(tiny_run: Path) -> None:
    page = (ROOT / "docs" / "record.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    record = tiny_run / "trials.jsonl"

    def read() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-S", "-c", code, str(record)]
        return subprocess.run(words, capture_output=True, text=True, timeout=60)

    results = sorted(RunFolder(tiny_run).results(), key=lambda each: each.trial)
    told = [f"{each.trial} {each.status} {each.score}" for each in results]
    assert sorted(read().stdout.splitlines()) == told
    record.write_bytes(record.read_bytes().replace(b'"complete"', b'"crashed!"', 1))
    assert "damaged" in read().stderr


def test_every_member_of_a_record_is_on_its_page() -> None:
    page = (ROOT / "docs" / "record.md").read_text(encoding="utf-8")
    for member in ("format", *(field.name for field in fields(Result)), "checksum"):
        assert re.search(rf"^\| [^|]*`{member}`", page, re.MULTILINE), member
    for status in STATUSES:
        assert f"`{status}`" in page


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target
    for target in re.findall(r"`((?:docs|configs|benchmarks|tests|hpsearch)/[\w./-]+\w)`", text):
        assert (ROOT / target).exists(), target
