"""The commands `serve` and `api-key`: the REST API, and keys for who calls it."""

import os

import click

from warehouse_assets.api.app import build_app, listen
from warehouse_assets.api.app import serve as serve_app
from warehouse_assets.api.auth import add_key, hash_of, is_of_this_machine
from warehouse_assets.errors import SettingError
from warehouse_assets.settings import SETTINGS, Settings


@click.command("serve")
@click.option("--host", help="Where to listen; 0.0.0.0 is everywhere.  [default: API_HOST]")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="The port to listen on.  [default: API_PORT]"
)
@click.option(
    "--no-keys", "is_open", is_flag=True, help="Listen for other machines without any key."
)
def serve(host: str | None, port: int | None, is_open: bool) -> None:
    """Serve the API and its page until Ctrl+C or SIGTERM.

    Files of trips can be sent to it and watched while they are ingested, and answers asked for.
    By default only this machine can reach it. It listens for others when there is a key
    (`warehouse api-key`), which then every request must have; or with --no-keys, when whoever
    can reach it may use it. docs/api.md tells how to call it.

    Exit code: 0 when it was told to end; 1 if it cannot listen or a folder cannot be used.
    """
    settings = _settings(host, port)
    app = build_app(settings)
    is_guarded = is_open or app.state.service.keys.are_wanted()
    if not is_guarded and not is_of_this_machine(settings.api_host):
        raise SettingError(
            f"On {settings.api_host} (API_HOST) other machines could use the service without a "
            "key. Make one with `warehouse api-key`, or say --no-keys if whoever can reach it "
            "may use it."
        )
    app.state.service.inbox.prepare()
    with listen(settings.api_host, settings.api_port) as listening:
        click.echo(f"The warehouse is at {settings.api_url} (Ctrl+C ends it).")
        serve_app(app, listening)


def _settings(host: str | None, port: int | None) -> Settings:
    """The settings of the environment, but for what the command was told."""
    told = {"API_HOST": host, "API_PORT": port and str(port)}
    assert {setting.variable for setting in SETTINGS} >= told.keys()
    return Settings.from_environment({**os.environ, **{k: v for k, v in told.items() if v}})


@click.command("api-key")
@click.option("--name", default="", help="Whose key it is; the access log tells the name.")
def api_key(name: str) -> None:
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
