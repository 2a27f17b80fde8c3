"""The warehouse: one SQL database that holds a published copy of the lake's tables."""

from warehouse_assets.warehouse.database import Warehouse
from warehouse_assets.warehouse.publish import Published, publish, withdraw

__all__ = ["Published", "Warehouse", "publish", "withdraw"]
