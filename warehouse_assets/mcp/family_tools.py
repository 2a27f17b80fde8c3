"""The tools for answers that are asked for by place, time or id: of one family each."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

import sqlalchemy as sa
from pydantic import Field

from warehouse_assets.defs.reviews.tables import REVIEWS
from warehouse_assets.defs.trips.tables import TRIPS, WEEKLY_TRIPS
from warehouse_assets.mcp.asking import Asking
from warehouse_assets.mcp.parameters import After, AsOf, Box, From, Limit, Match, To

_MOST_REVIEWS = 100


class FamilyTools:
    """What an agent can call; the description of each tool is the docstring of its method."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def weekly_trips(
        self,
        region: Annotated[str | None, Field(description="A region, as spelt in `trips`.")] = None,
        box: Box = None,
        match: Match = None,
        from_day: From = None,
        to_day: To = None,
        as_of: AsOf = None,
    ) -> dict[str, Any]:
        """Tell how many trips per week a region or a box has: average, and each week.

        Give either `region` or `box`.
        """
        said = {"region": region, **_sides(box), "match": match, "from": from_day, "to": to_day}
        return await self._route(
            "/trips/weekly-average", {**said, "as_of": as_of}, [WEEKLY_TRIPS if region else TRIPS]
        )

    async def similar_trips(
        self,
        zoom: Annotated[
            int | None,
            Field(ge=0, le=24, description="Zoom of the map tiles: one more halves their sides."),
        ] = None,
        hours: Annotated[
            Literal[1, 2, 3, 4, 6, 8, 12, 24] | None,
            Field(description="Hours of a part of the day; 24 takes no account of the hour."),
        ] = None,
        merge_neighbours: Annotated[
            bool, Field(description="Whether groups whose tiles and hours touch are one.")
        ] = False,
        region: Annotated[str | None, Field(description="Trips of this region.")] = None,
        box: Box = None,
        match: Match = None,
        from_day: From = None,
        to_day: To = None,
        min_trips: Annotated[int, Field(ge=1, description="Least trips of a group.")] = 1,
        limit: Limit = None,
        after: After = None,
        as_of: AsOf = None,
    ) -> dict[str, Any]:
        """Find groups of trips alike in region, origin, destination and time of day.

        The largest come first; `share_in_groups` is the share of trips in groups of two or more.
        """
        said = {"zoom": zoom, "hours": hours, "merge": "neighbours" if merge_neighbours else None}
        where = {"region": region, **_sides(box), "match": match, "from": from_day, "to": to_day}
        page = {
            "min_trips": min_trips,
            "limit": self._asking.rows(limit),
            "after": after,
            "as_of": as_of,
        }
        return await self._route("/trips/groups", {**said, **where, **page}, [TRIPS], limit)

    async def reviews(
        self,
        of: Annotated[Literal["product", "user"], Field(description="Whose reviews.")],
        identifier: Annotated[str, Field(description="The id of the product or the user.")],
        texts: Annotated[
            bool, Field(description="The reviews themselves, newest first, not their sums.")
        ] = False,
        from_day: From = None,
        to_day: To = None,
        limit: Limit = None,
        after: After = None,
        as_of: AsOf = None,
    ) -> dict[str, Any]:
        """Tell what the reviews of a product or by a user come to: average, stars, months.

        With `texts`, the reviews themselves. Ids are in the tables `product_reviews_daily` and
        `reviewer_reviews_daily`.
        """
        said: dict[str, Any] = {"from": from_day, "to": to_day, "as_of": as_of}
        if texts:
            said |= {"limit": min(self._asking.rows(limit), _MOST_REVIEWS), "after": after}
        path = f"/{of}/{{{of}_id:path}}" + ("/reviews" if texts else "")
        return await self._route(path, said, [REVIEWS], limit, quote(identifier, safe=""))

    async def average_delivery(self) -> dict[str, Any]:
        """Tell the running average duration of the successful deliveries so far, and how many.

        It is of the feed up to `position`, and not of a version of a table.
        """
        return await self._route("/deliveries/average", {}, [])

    async def _route(
        self,
        path: str,
        said: dict[str, Any],
        tables: Sequence[sa.Table],
        limit: int | None = None,
        id_: str = "",
    ) -> dict[str, Any]:
        head, brace, tail = path.partition("{")
        address = head + (id_ + tail.partition("}")[2] if brace else "")
        told = await self._asking.get(address, said, tables)
        return self._asking.bounded({"definition": self._asking.meaning(path), **told}, limit)


def _sides(box: list[float] | None) -> dict[str, float]:
    return dict(zip(("min_lon", "min_lat", "max_lon", "max_lat"), box or (), strict=False))
