"""`hpsearch report --html` and `--plot`: a run as a page, or one picture of it, in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.files import check_place, write_whole

if TYPE_CHECKING:
    from hpsearch.store import RunFolder

ENDINGS = (".png", ".svg", ".html")


def write_page(folder: RunFolder, file: str | None, *, opened: bool, quiet: bool) -> None:
    """Write the page of a run to a file, by default to its folder; open it where that is asked."""
    from hpsearch.errors import MachineError, UserError
    from hpsearch.report.forest import Aside
    from hpsearch.store import REPORT

    if file is not None and not file.lower().endswith((".html", ".htm")):
        raise UserError(
            f"'{file}' was read as the file of --html, and its name must end with .html\n"
            f"To name the run, put it first: hpsearch report {file} --html"
        )
    path = folder.path / REPORT if file is None else Path(file)
    if file is not None:
        check_place(path)
    with Aside() as errors:
        from hpsearch.derived import report_of
        from hpsearch.report.page import report_page

        page = report_page(replace(report_of(folder), errors=errors)).encode()
    if file is None:
        try:
            folder.write(REPORT, page)
        except MachineError as error:
            raise UserError(f"{error}\nName another file: --html FILE.html") from None
    else:
        write_whole(path, page)
    if not quiet:
        click.echo(f"Wrote {path} ({len(page) / 1e6:.1f} MB)", err=True)
    if not opened:
        return
    import webbrowser

    if not webbrowser.open(path.resolve().as_uri()):
        raise UserError(f"no browser could be started; open {path} in one")


def write_picture(folder: RunFolder, name: str, file: str | None, *, quiet: bool) -> None:
    """Write one picture of a run to a file, in the format that its ending names."""
    from hpsearch.derived import report_of
    from hpsearch.errors import UserError
    from hpsearch.report.page import picture_page
    from hpsearch.report.paper import drawing
    from hpsearch.report.pictures import BY_HAND, PICTURES

    endings = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
    if file is None:
        raise UserError(f"--plot needs a file that ends with {endings}: -o {name}.png")
    path = Path(file)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UserError(f"'{file}': a picture's file must end with {endings}")
    check_place(path)
    report = report_of(folder)
    known = PICTURES if report.story is None else BY_HAND
    if name not in known:
        what = "a search" if report.story is None else "one model that was trained by hand"
        raise UserError(
            f"the run {report.run.name} is {what}, which has no picture '{name}'\n"
            f"It has: {', '.join(known)}."
        )
    picture = known[name](report)
    if not picture.panels:
        what = f"the run {report.run.name} has no picture '{name}'"
        raise UserError(f"{what}: {picture.missing}")
    if ending == ".html":
        content = picture_page(report, picture).encode()
    else:
        content = drawing(picture, ending.removeprefix("."))
    write_whole(path, content)
    if quiet:
        return
    for note in picture.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"Wrote {path}", err=True)
