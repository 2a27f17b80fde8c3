"""The command `mcp`: agents ask the warehouse over the Model Context Protocol."""

import click

from warehouse_assets.errors import SettingError
from warehouse_assets.settings import Settings


@click.command("mcp")
@click.option("--http", "over_http", is_flag=True, help="Over HTTP on this machine, not stdio.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="With --http, the port.  [default: MCP_PORT]"
)
def mcp(over_http: bool, port: int | None) -> None:
    """Let agents ask the warehouse, for reading only, over the Model Context Protocol.

    An agent starts this command itself and talks to it by standard input and output;
    docs/agents.md has the lines for its configuration. With --http it is at
    http://127.0.0.1:8643/mcp until Ctrl+C, and wants a key if `warehouse serve` does.

    Exit code: 0 when it was told to end; 1 if it cannot listen.
    """
    if port is not None and not over_http:
        raise click.UsageError("--port is for --http.")
    try:
        from warehouse_assets.mcp.serving import serve, serve_http
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise SettingError(
            "`warehouse mcp` needs a package that is not installed: pip install '.[mcp]'"
        ) from None
    settings = Settings.from_environment()
    if over_http:
        serve_http(settings, port or settings.mcp_port)
    else:
        serve(settings)
