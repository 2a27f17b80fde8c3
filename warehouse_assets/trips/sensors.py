"""The sensor of the trips family."""

from collections.abc import Sequence

import dagster as dg

from warehouse_assets.graph.automation import inbox_sensor
from warehouse_assets.sources.file_kinds import FileKind
from warehouse_assets.trips.assets import TRIPS_FILES


def trips_inbox_sensor(target: dg.AssetSelection, kinds: Sequence[FileKind]) -> dg.SensorDefinition:
    """Starts one run of `target` for files of trips that have landed in the inbox.

    Args:
        kinds: all files that are taken from the inbox.
    """
    return inbox_sensor(
        "trips_inbox",
        "Starts a run when trips have landed in the inbox.",
        TRIPS_FILES.recognises,
        target,
        kinds,
    )
