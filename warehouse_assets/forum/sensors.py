"""The sensor of the forum family."""

import dagster as dg

from warehouse_assets.forum.files import holds
from warehouse_assets.graph.automation import inbox_sensor


def forum_inbox_sensor(target: dg.AssetSelection) -> dg.SensorDefinition:
    """Starts one run of `target` for the forum's files that have landed in the inbox."""
    return inbox_sensor(
        "forum_inbox",
        "Starts a run when posts or votes have landed in the inbox.",
        lambda file: holds(file) is not None,
        target,
    )
