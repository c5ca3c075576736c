"""`hpsearch panda`: watch one model while it trains, nudge it, go back."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.cli.files import write_new
from hpsearch.cli.options import (
    complete_run,
    for_runs,
    hint,
    quiet_option,
    runs_option,
    setting_option,
    settings_from,
)

if TYPE_CHECKING:
    from hpsearch.config import Config
    from hpsearch.panda import Beginning, Line, Panda
    from hpsearch.store import RunFolder
    from hpsearch.story import Story

DAY = 5


@click.command(short_help="Watch one model while it trains, nudge it, go back.")
@click.argument("target", metavar="CONFIG|RUN", shell_complete=complete_run)
@click.option("-n", "--name", help="The run's name. Default: the config's name with -panda.")
@click.option(
    "-d",
    "--day",
    type=click.IntRange(min=1),
    default=DAY,
    show_default=True,
    help="Epochs after which you are asked.",
)
@setting_option
@click.option(
    "--from",
    "earlier",
    metavar="RUN",
    shell_complete=complete_run,
    help="Begin with the best setting of RUN, from its seed.",
)
@click.option(
    "--script",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Play acts from a file, one a line: at 10: learning_rate *0.5",
)
@click.option("--replay", is_flag=True, help="Train RUN once more, compared bit for bit.")
@click.option(
    "-w",
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the schedule of RUN as a config for hpsearch run.",
)
@runs_option
@quiet_option
def panda(
    target: str,
    name: str | None,
    day: int,
    given: tuple[str, ...],
    earlier: str | None,
    script: Path | None,
    replay: bool,
    write: Path | None,
    runs: Path,
    quiet: bool,
) -> None:
    """Train one model of CONFIG, and change its hyperparameters while it trains.

    Shows the learning curve. After each day of some epochs, and at a key press at any time, it
    takes acts: learning_rate 0.003, learning_rate *2, back 12, fork, switch 1, stop early,
    note TEXT, quit; help lists them. With RUN, or the same CONFIG again, it goes on where it was
    left, however it ended.
    """
    from hpsearch.threads import use_one_thread

    use_one_thread()
    if replay and write is not None:
        raise click.UsageError("--replay and --write are two commands: choose one")
    if replay or write is not None:
        option = "--replay" if replay else "--write"
        if name or given or earlier or script:
            raise click.UsageError(f"{option} takes RUN alone")
        folder = _found(target, runs, option)
        if write is None:
            _replay(folder, quiet=quiet)
        else:
            _write(folder, write, runs, quiet=quiet)
        return
    config, folder, start = _opening(target, name, given, earlier, runs)
    lines = None if script is None else _read(script)
    if lines is None and not _is_terminal():
        from hpsearch.errors import UserError

        raise UserError(
            "panda asks you what to do, and this is no terminal\nGive the acts in a file: --script"
        )
    _go(config, folder, start, lines, day=day, quiet=quiet)


def _is_terminal() -> bool:
    import os

    known = os.environ.get("TERM") not in (None, "dumb", "unknown")
    return known and sys.stdin.isatty() and sys.stdout.isatty()


def _found(target: str, runs: Path, option: str) -> RunFolder:
    from hpsearch.errors import UserError
    from hpsearch.finding import find_run

    if target.endswith((".yaml", ".yml")):
        raise UserError(f"{option} needs the name of a run, and {target} is a config")
    return find_run(runs, target)


def _opening(
    target: str, name: str | None, given: tuple[str, ...], earlier: str | None, runs: Path
) -> tuple[Config, RunFolder, Beginning]:
    """Return the config, the folder, and what a new run begins with."""
    from dataclasses import replace

    from hpsearch.config import load_config
    from hpsearch.errors import UserError
    from hpsearch.finding import find_run
    from hpsearch.panda import Beginning, beginning, usable
    from hpsearch.runs import load_by_hand
    from hpsearch.store import RunFolder

    values = settings_from(given)
    path = Path(target)
    if not (path.suffix in (".yaml", ".yml") or path.is_file()):
        folder = find_run(runs, target)
        if name or values or earlier:
            raise UserError(
                f"--name, --set and --from begin a new model, and {folder.name} is there already\n"
                "Give the config instead of the run."
            )
        return load_by_hand(folder), folder, Beginning({}, 0, {})
    config = load_config(path, name)
    if name is None:
        config = replace(config, name=f"{config.name[:94]}-panda")
    folder = RunFolder(runs / config.name)
    start = beginning(config, values, None if earlier is None else _best(earlier, runs))
    usable(config, start.params, begin=not folder.exists())
    begun = folder.acts()[:1] if folder.exists() else []
    if begun and (values or earlier is not None):
        _check_same_beginning(folder, start, begun[0])
    return config, folder, start


def _check_same_beginning(folder: RunFolder, start: Beginning, begun: dict[str, Any]) -> None:
    from hpsearch.errors import UserError
    from hpsearch.trial import plain

    now = {name: plain(value) for name, value in start.params.items()}
    if (now, start.seed) != (begun["params"], begun["seed"]):
        raise UserError(
            f"{folder.path} began with another setting; choose another name with --name, or go on "
            f"with it: hpsearch panda {folder.name}"
        )


def _best(name: str, runs: Path) -> tuple[Config, Any]:
    from hpsearch.finding import find_run
    from hpsearch.runs import load_run
    from hpsearch.standings import best_of

    folder = find_run(runs, name)
    before = load_run(folder, with_data=False)
    return before, best_of(before, folder)[0]


def _read(script: Path) -> list[Line]:
    from hpsearch.errors import UserError
    from hpsearch.panda import read_script

    try:
        text = script.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise UserError(f"{script}: {why}") from None
    return read_script(str(script), text)


def _go(
    config: Config,
    folder: RunFolder,
    start: Beginning,
    lines: list[Line] | None,
    *,
    day: int,
    quiet: bool,
) -> None:
    from hpsearch.cli.desk import Desk
    from hpsearch.panda import opened, rehearse, usable
    from hpsearch.story import Story

    if lines is not None and not folder.exists():  # a mistake in it should leave no run behind
        first = {
            "kind": "start",
            "params": start.params,
            "seed": start.seed,
            "metric": config.metric_name,
            "goal": config.goal,
            "epochs": config.objective.epochs(start.params),
        }
        rehearse(config, usable(config, start.params), Story([first]), lines)
    with opened(config, folder, start, keep_every=day) as (model, new):
        if new and not quiet:
            for name, where in start.origin.items():
                click.echo(f"{name}: {_text(start.params[name])} ({where})", err=True)
        if lines is None:
            code = Desk(model, day, folder.name).run()
        else:
            left = rehearse(config, model.objective, model.story, lines)
            code = _play(model, left, day, quiet=quiet)
        story = model.story
    if not quiet:
        from hpsearch.report.byhand import where_text

        click.echo(f"{folder.name}: {where_text(story)}")
        _next(folder, story)
    click.get_current_context().exit(code)


def _text(value: Any) -> str:
    from hpsearch.space import option_text

    return option_text(value)


def _next(folder: RunFolder, story: Story) -> None:
    if not story.epoch:
        return
    name, runs = folder.name, folder.path.parent
    commands = [f"report {name}", f"panda {name} --write FILE.yaml", f"panda --replay {name}"]
    if not story.finished:
        commands.insert(0, f"panda {name}")
    hint(*(for_runs(f"hpsearch {each}", runs) for each in commands))


def _play(model: Panda, lines: list[Line], day: int, *, quiet: bool) -> int:
    """Play a script, then train to the end; return the exit code."""
    from hpsearch.panda import QUIT, read_act

    story = model.story
    for line in lines:
        while story.epoch < line.epoch:
            if story.broken() or story.finished:
                _ended(story, f"{line.place} waits for epoch {line.epoch}")
                return 1
            _train(model, day, quiet=quiet)
        if line.text in QUIT:
            return 0
        model.act(read_act(model.config, model.objective, story, line.text))
        if not quiet:
            click.echo(f"at {line.epoch}: {line.text}", err=True)
    while not story.finished and not story.broken():
        _train(model, day, quiet=quiet)
    if story.broken():
        _ended(story, "go back to an earlier epoch: back EPOCH")
        return 1
    return 0


def _ended(story: Story, what: str) -> None:
    how = "diverged" if story.broken() else "ended"
    click.echo(f"the training {how} at epoch {story.epoch}: {what}", err=True)


def _train(model: Panda, day: int, *, quiet: bool) -> None:
    from hpsearch.errors import HpsearchError
    from hpsearch.objectives.by_hand import FailedError
    from hpsearch.report.byhand import where_text

    try:
        model.step()
    except FailedError as error:
        raise HpsearchError(
            f"the training failed after epoch {model.story.epoch}: {error}"
        ) from None
    if not quiet and model.story.epoch % day == 0:
        click.echo(where_text(model.story), err=True)


def _replay(folder: RunFolder, *, quiet: bool) -> None:
    from hpsearch.errors import UserError
    from hpsearch.panda import refuse_changed, replay
    from hpsearch.report.byhand import where_text
    from hpsearch.runs import load_by_hand

    config = load_by_hand(folder)
    refuse_changed(config, folder.provenance(), "it cannot be repeated")
    events = folder.acts()
    if not events:
        raise UserError(f"the run {folder.name} has nothing to repeat yet")

    def watch(story: Story) -> None:
        if not quiet and story.epoch % DAY == 0:
            click.echo(where_text(story), err=True)

    story = replay(config, events, watch)
    epochs = sum(len(branch.metrics) for branch in story.branches)
    count = len(story.branches)
    click.echo(
        f"Replayed {epochs} epochs in {count} {'branch' if count == 1 else 'branches'} with "
        f"{len(story.acts)} acts: every figure is the same to the last bit."
    )


def _write(folder: RunFolder, path: Path, runs: Path, *, quiet: bool) -> None:
    from hpsearch.panda import written
    from hpsearch.runs import load_by_hand
    from hpsearch.story import Story

    config = load_by_hand(folder, with_data=False)
    write_new(path, written(config, Story(folder.acts()), path.parent))
    if not quiet:
        command = for_runs(f"hpsearch run {shlex.quote(str(path))}", runs)
        click.echo(f"Wrote {path}. To run it:\n  {command}", err=True)
