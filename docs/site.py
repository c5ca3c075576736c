"""What the site has beside the pages in docs/: the README, configs, examples, a page a command."""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from mkdocs.structure.files import File, Files

from hpsearch.cli import cli

ROOT = Path(__file__).parent.parent
LOG = logging.getLogger("mkdocs.hooks.site")  # a warning here fails a strict build

MADE = {"index.md": "README.md", "examples.md": "examples/README.md"}
"""Pages that are files of the repository outside docs/."""

WIDTH = 86
"""Letters in a line of a command's help: as many as a window of 1,200 pixels shows."""


def on_config(config: Any) -> Any:
    """List the commands' pages in the navigation."""
    for part in config.nav:
        if "Commands" in part:
            part["Commands"] = [
                "commands/index.md",
                *(f"commands/{name}.md" for name in cli.commands),
            ]
    return config


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages that are made."""
    pages = {page: _text(source) for page, source in MADE.items()}
    pages["examples.md"] += "".join(map(_example, sorted((ROOT / "examples").glob("*/"))))
    pages["configs.md"] = _configs()
    pages["commands/index.md"] = _help("hpsearch", []) + _list_of_commands()
    for name in cli.commands:
        pages[f"commands/{name}.md"] = _help(f"hpsearch {name}", [name])
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Lead links out of docs/ to the pages that show those files."""
    here = page.file.src_uri
    source = MADE.get(here, f"docs/{here}")
    if here.startswith("commands/") or here == "configs.md":
        return markdown

    def link(match: re.Match[str]) -> str:
        target, _, anchor = match[1].partition("#")
        if not target or "://" in target:
            return match[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        there, _, own = _page_of(file).partition("#")
        place = anchor or own
        to = posixpath.relpath(there, posixpath.dirname(here) or ".")
        return f"]({to}{'#' * bool(place)}{place})"

    markdown = re.sub(r"\[docs/(\w+)\.md\](?=\()", lambda match: f"[{match[1]}]", markdown)
    return re.sub(r"\]\(([^)\s]+)\)", link, markdown)


def _page_of(file: str) -> str:
    """Return the page, and the place in it, that shows a file of the repository."""
    made = {source: page for page, source in MADE.items()}
    if file in made:
        return made[file]
    if file.startswith("docs/"):
        return file.removeprefix("docs/")
    if (ROOT / file).exists():
        if file.startswith("configs/") and file.endswith((".yaml", ".txt")):
            return f"configs.md#{_anchor(file)}"
        if file.startswith("examples/"):
            return f"examples.md#{_anchor(file.split('/')[1])}"
    LOG.warning("%s is linked to, and no page shows it", file)
    return file


def _anchor(file: str) -> str:
    """Return the place of a file in its page."""
    return re.sub(r"[^a-z0-9]+", "-", file.lower()).strip("-")


def _text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def _block(path: Path) -> str:
    kind = {".yaml": "yaml", ".py": "python", ".sh": "sh"}.get(path.suffix, "text")
    return f"```{kind}\n{path.read_text(encoding='utf-8').rstrip()}\n```\n\n"


def _configs() -> str:
    text = (
        "# Configs\n\nEach runs as it is, in a copy of the repository, and opens with lines that "
        "say what it shows.\n\n"
    )
    for folder in (ROOT / "configs", ROOT / "configs" / "lessons"):
        for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.txt")]):
            file = path.relative_to(ROOT).as_posix()
            text += f"## {file} {{ #{_anchor(file)} }}\n\n{_block(path)}"
    return text


def _example(folder: Path) -> str:
    text = f"\n## {folder.name} {{ #{_anchor(folder.name)} }}\n\n"
    for path in sorted(folder.iterdir()):
        if path.suffix in (".yaml", ".py", ".sh"):
            text += f"`{path.relative_to(ROOT).as_posix()}`:\n\n{_block(path)}"
    return text


def _help(title: str, arguments: list[str]) -> str:
    """Return a page with what a command says of itself."""
    answer = CliRunner().invoke(
        cli,
        [*arguments, "--help"],
        prog_name="hpsearch",
        terminal_width=WIDTH,
        catch_exceptions=False,
    )
    words = " ".join(["hpsearch", *arguments, "--help"])
    return f"# {title}\n\n```text\n$ {words}\n{answer.output.rstrip()}\n```\n"


def _list_of_commands() -> str:
    rows = (
        f"| [`hpsearch {name}`]({name}.md) | {command.get_short_help_str(200)} |\n"
        for name, command in cli.commands.items()
    )
    return "\n| command | what it does |\n| --- | --- |\n" + "".join(rows)
