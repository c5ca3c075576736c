"""`hpsearch schema`: the JSON Schema of a config, for editors."""

from __future__ import annotations

import click


@click.command(short_help="Print the JSON Schema of a config, for editors.")
def schema() -> None:
    """Print the JSON Schema of a config, so that an editor completes and checks it.

    Write it to a file and name it in the config's first line:

    \b
      hpsearch schema > hpsearch.schema.json
      # yaml-language-server: $schema=hpsearch.schema.json
    """
    import json

    from hpsearch.config import config_schema

    click.echo(json.dumps(config_schema(), indent=2, ensure_ascii=False))
