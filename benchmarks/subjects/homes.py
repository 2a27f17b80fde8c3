"""Homes of warehouses in which subjects do their work."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.lake import Lake
from warehouse_assets.settings import Settings


def environment(home: Path, memory_limit: str = "") -> dict[str, str]:
    """The settings of a warehouse in `home`; files count as complete at once."""
    return {
        "WAREHOUSE_HOME": str(home),
        "INBOX_SETTLE_SECONDS": "0",
        "MEMORY_LIMIT": memory_limit,
    }


def settings_of(home: Path, memory_limit: str = "") -> Settings:
    """The settings of a warehouse in `home`, whatever this process's environment is."""
    return Settings.from_environment(environment(home, memory_limit))


def lake_of(settings: Settings) -> Lake:
    """The lake of a warehouse."""
    return Lake.of(settings)


def inbox_of(settings: Settings, files: Sequence[Path] = ()) -> Inbox:
    """The inbox of a warehouse, `files` in it without being copied."""
    inbox = Inbox.of(settings)
    inbox.prepare()
    for file in files:
        os.link(file, inbox.folder / file.name)
    return inbox


def copy_home(template: Path, home: Path) -> None:
    """Copy a warehouse; files that nothing writes into are shared."""
    shutil.copytree(template, home, ignore=shutil.ignore_patterns("archive"), copy_function=_copy)
    shutil.copytree(template / "archive", home / "archive", copy_function=os.link)


def _copy(source: str, target: str) -> None:
    if source.endswith(".parquet"):  # written once, and then only read or removed
        os.link(source, target)
    else:
        shutil.copy2(source, target)
