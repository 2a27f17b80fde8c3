"""The command `api-key`: keys for who calls the API."""

import click

from warehouse_assets.api.auth import add_key, hash_of
from warehouse_assets.settings import Settings


@click.command("api-key")
@click.option("--name", default="", help="Whose key it is; the access log tells the name.")
def command(name: str) -> None:
    """Make a key for the API, print it, and add its hash to API_KEYS_FILE.

    The key itself is kept nowhere. From the first key on, `warehouse serve` wants one of every
    request but those for /health; a service that runs knows it within a second. To take a key
    back, remove its line from the file.

    Exit code: 0; 1 if the file cannot be written.
    """
    if not name.isprintable() or "#" in name:
        raise click.BadParameter("a name has no # and is one line", param_hint="--name")
    settings = Settings.from_environment()
    key = add_key(settings.api_keys_file, name.strip())
    click.echo(key)
    click.echo(
        f"Its hash, {hash_of(key)}, is in {settings.api_keys_file}. The key is not shown again.",
        err=True,
    )
