"""Runs of the whole graph that are killed at a point.

SIGKILL leaves a process no moment to put anything right.
"""

import importlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg

from warehouse_assets.lake import LakeTable
from warehouse_assets.sources.delivery_files import _CatchUp
from warehouse_assets.sources.inbox import Inbox
from warehouse_assets_tests.house import House

Method = Callable[..., Any]

# The package has a function of the module's name.
publishing = importlib.import_module("warehouse_assets.warehouse.publish")


def _dying(method: Method, when: Callable[..., bool]) -> Method:
    """`method`, killing its process where `when` says so of the call."""

    def call(*arguments: Any, **options: Any) -> Any:
        if when(*arguments):
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*arguments, **options)

    return call


def _is_of_votes(catching_up: _CatchUp, *rest: object) -> bool:
    return catching_up.kind.name == "votes"


def _is_votes_file(inbox: Inbox, kind: str, *rest: object) -> bool:
    return kind == "votes"


def _is_note_of(name: str) -> Callable[..., bool]:
    def is_note(connection: object, table: LakeTable, *rest: object) -> bool:
        return table.name == name

    return is_note


# point: what is patched, the name in it, and when a call of it kills the process
POINTS: dict[str, tuple[Any, str, Callable[..., bool]]] = {
    "after reading": (_CatchUp, "_commit_rejected", _is_of_votes),
    "after the rejected records": (_CatchUp, "_commit_records", _is_of_votes),
    "after the records": (Inbox, "archive_file", _is_votes_file),
    "amid publishing the answer": (
        publishing,
        "_write_note",
        _is_note_of("mean_votes_per_post_per_week"),
    ),
}


def die_at(point: str, home: Path) -> None:
    """Run everything of the warehouse in `home` until the point."""
    owner, name, when = POINTS[point]
    with (
        patch.object(owner, name, _dying(getattr(owner, name), when)),
        dg.DagsterInstance.ephemeral() as instance,
    ):
        House(home, instance).run(checks=False)
