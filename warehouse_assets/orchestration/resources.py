"""The resources of the asset graph, by the names under which assets ask for them."""

from collections.abc import Mapping
from typing import Any

from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.lake import Lake
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import warehouse_at


def build_resources(settings: Settings) -> Mapping[str, Any]:
    """The real resources for `settings`; making them opens and writes nothing."""
    return {
        "settings": settings,
        "lake": Lake(settings.lake, settings.scratch, settings.memory_limit),
        "warehouse": warehouse_at(settings.warehouse_url),
        "inbox": Inbox(
            settings.inbox,
            settings.archive,
            settings.inbox_settle_seconds,
            settings.unpacked_limit,
        ),
    }
