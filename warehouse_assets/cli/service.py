"""The command `serve`: the REST API and the pages."""

import click

from warehouse_assets.settings import SETTINGS, Settings


@click.command()
@click.option("--host", help="Where to listen; 0.0.0.0 is everywhere.  [default: API_HOST]")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="The port to listen on.  [default: API_PORT]"
)
def serve(host: str | None, port: int | None) -> None:
    """Serve the API and its page until Ctrl+C or SIGTERM.

    Files of trips can be sent to it and watched while they are ingested, and answers asked for.
    Who can reach it can use it: it has no users and no passwords. By default only this machine
    can. docs/api.md tells how to call it.

    Exit code: 0 when it was told to end; 1 if it cannot listen or a folder cannot be used.
    """
    from warehouse_assets.api.app import build_app
    from warehouse_assets.api.server import listen
    from warehouse_assets.api.server import serve as serve_until_told

    settings = _settings(host, port)
    app = build_app(settings)
    app.state.service.inbox.prepare()
    with listen(settings.api_host, settings.api_port) as listening:
        click.echo(f"The warehouse is at {settings.api_url} (Ctrl+C ends it).")
        serve_until_told(app, listening)


def _settings(host: str | None, port: int | None) -> Settings:
    """The settings of the environment, but for what the command was told."""
    import os

    told = {"API_HOST": host, "API_PORT": port and str(port)}
    assert {setting.variable for setting in SETTINGS} >= told.keys()
    return Settings.from_environment({**os.environ, **{k: v for k, v in told.items() if v}})
