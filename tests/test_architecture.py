"""Imports point down only, and each family's table is all a newcomer has to touch."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from conftest import ROOT

PACKAGE = ROOT / "hpsearch"

LAYERS = [
    ["errors", "fields", "importing", "trial", "repeats", "threads", "streams", "lazily"],
    ["yamlfile", "expressions", "scales", "seeds", "gaussian", "data", "nn"],
    ["space", "diagnosis", "history", "index", "intervals", "lines", "model", "story"],
    ["surrogate", "outline"],
    ["zoom", "strategies", "objectives", "report", "ending"],
    ["child", "supervisor", "store"],
    ["runner", "finding", "training"],
    ["engines"],
    ["config"],
    ["recorder", "provenance", "final"],
    ["changed"],
    ["runs"],
    ["standings"],
    ["derived"],
    ["loop"],
    [
        "refine",
        "preview",
        "lineage",
        "warmstart",
        "evaluate",
        "retest",
        "compare",
        "overview",
        "predict",
        "panda",
        "gradcheck",
        "starter",
        "export",
    ],
    ["cli"],
    ["api"],
]
"""From the bottom up. A module imports from lower layers, and inside its own package."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The parts of the package that a module imports, also inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("hpsearch.")}
    return found


def test_every_part_of_the_package_has_its_layer() -> None:
    parts = {part(path) for path in modules()} - {"__init__", "__main__"}
    assert parts == set(LEVEL)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    name = part(path)
    if name in ("__init__", "__main__"):
        return
    for other in imports(path) - {name}:
        assert LEVEL[other] < LEVEL[name], f"{name} imports {other}, which is not below it"


def test_only_the_command_line_prints_and_imports_click() -> None:
    for path in modules():
        if part(path) == "cli":
            continue
        tree = ast.parse(path.read_text())
        calls = {
            n.func.id
            for n in ast.walk(tree)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert "print" not in calls, path
        assert "import click" not in path.read_text(), path


def test_the_architecture_page_shows_the_layers_that_hold() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for names in LAYERS:
        assert " ".join(names) in page
