"""`hpsearch gradcheck`: the network's gradient against centred differences."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.cli.options import config_argument, setting_option, settings_from


@click.command(short_help="Check the built-in network's gradient against differences.")
@config_argument
@setting_option
def gradcheck(config: Path, given: tuple[str, ...]) -> None:
    """Compare the gradient of CONFIG's network with centred differences, layer by layer.

    In float64 on a few training examples, with the values that --set gives, else the constants and
    the middle of each scale. Up to 1e-7 is right, from 1e-3 on there is a bug; between them a kink
    of ReLU may lie within the step. Exit code 1 where a part is wrong.
    """
    from hpsearch.config import load_config
    from hpsearch.gradcheck import check_gradient, gradient_table, verdict_of
    from hpsearch.panda import beginning
    from hpsearch.report.formats import plain_text
    from hpsearch.space import option_text

    loaded = load_config(config)
    start = beginning(loaded, settings_from(given))
    parts = check_gradient(loaded, start.params)
    setting = ", ".join(f"{name} {option_text(value)}" for name, value in start.params.items())
    if setting:
        click.echo(f"The network with {setting}.", err=True)
    click.echo(plain_text(gradient_table(parts)))
    worst = max(parts, key=lambda part: part.difference)
    verdict = verdict_of(worst.difference)
    where = f"{worst.difference:.1e} in the {worst.name} of layer {worst.layer}"
    if verdict == "wrong":
        click.echo(f"FAILED: the gradient is wrong, by {where}.")
        click.get_current_context().exit(1)
    click.echo(f"Passed: the largest difference is {where}.")
    if verdict == "doubtful":
        click.echo(
            "That is between right and wrong: a kink of ReLU within the step, or too small a "
            "gradient for it."
        )
