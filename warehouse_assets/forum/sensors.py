"""The sensor of the forum family."""

from collections.abc import Sequence

import dagster as dg

from warehouse_assets.forum.files import holds
from warehouse_assets.graph.automation import inbox_sensor
from warehouse_assets.sources.file_kinds import FileKind


def forum_inbox_sensor(target: dg.AssetSelection, kinds: Sequence[FileKind]) -> dg.SensorDefinition:
    """Starts one run of `target` for the forum's files that have landed in the inbox.

    Args:
        kinds: all files that are taken from the inbox.
    """
    return inbox_sensor(
        "forum_inbox",
        "Starts a run when posts or votes have landed in the inbox.",
        lambda file: holds(file) is not None,
        target,
        kinds,
    )
