"""Runs of the whole graph that are killed at a point."""

from pathlib import Path

import dagster as dg

from warehouse_assets_tests.crashes import kill_at
from warehouse_assets_tests.house import House

POINTS = {
    "after reading": ("source read", "votes"),
    "after the rejected records": ("rejects committed", "votes"),
    "after the records": ("rows committed", "votes"),
    "amid publishing the answer": ("rows published", "mean_votes_per_post_per_week"),
}


def die_at(point: str, home: Path) -> None:
    """Run everything of the warehouse in `home` until the point."""
    kill_at(*POINTS[point])
    with dg.DagsterInstance.ephemeral() as instance:
        House(home, instance).run(checks=False)
