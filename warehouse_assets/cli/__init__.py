"""The `warehouse` command."""

from warehouse_assets.cli.commands import main

__all__ = ["main"]
