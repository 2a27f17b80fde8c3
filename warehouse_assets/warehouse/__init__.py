"""The warehouse: one SQL database that holds a published copy of the lake's tables."""

from warehouse_assets.warehouse.publish import CHANNEL, publish, withdraw
from warehouse_assets.warehouse.warehouse import (
    PUBLISHED,
    PublishedVersion,
    Warehouse,
    forget_publications,
    published_at,
    published_since,
    published_versions,
    warehouse_at,
)
from warehouse_assets.warehouse.writer import Published

__all__ = [
    "CHANNEL",
    "PUBLISHED",
    "Published",
    "PublishedVersion",
    "Warehouse",
    "forget_publications",
    "publish",
    "published_at",
    "published_since",
    "published_versions",
    "warehouse_at",
    "withdraw",
]
