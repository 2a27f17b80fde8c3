"""The warehouse: one SQL database that holds a published copy of the lake's tables."""

from warehouse_assets.warehouse.database import Warehouse, warehouse_at
from warehouse_assets.warehouse.notes import PUBLISHED, PublishedVersion, published_versions
from warehouse_assets.warehouse.publish import CHANNEL, publish, withdraw
from warehouse_assets.warehouse.writer import Published

__all__ = [
    "CHANNEL",
    "PUBLISHED",
    "Published",
    "PublishedVersion",
    "Warehouse",
    "publish",
    "published_versions",
    "warehouse_at",
    "withdraw",
]
