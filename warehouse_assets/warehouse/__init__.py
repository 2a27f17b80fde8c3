"""The warehouse: one SQL database that holds a published copy of the lake's tables."""

from warehouse_assets.warehouse.database import Warehouse
from warehouse_assets.warehouse.notes import PUBLISHED, PublishedVersion, published_versions
from warehouse_assets.warehouse.publish import CHANNEL, adopt, publish, withdraw
from warehouse_assets.warehouse.writer import Published

__all__ = [
    "CHANNEL",
    "PUBLISHED",
    "Published",
    "PublishedVersion",
    "Warehouse",
    "adopt",
    "publish",
    "published_versions",
    "withdraw",
]
