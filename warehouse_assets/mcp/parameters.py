"""Parameters that several tools have, each with what an agent is told of it."""

from typing import Annotated, Literal

from pydantic import Field

AsOf = Annotated[
    str | None, Field(description="As it was published at this moment; without it, now.")
]
Limit = Annotated[
    int | None, Field(ge=1, description="Rows at most; without it, or above it, MCP_ROWS.")
]
After = Annotated[str | None, Field(description="`next` of the page before.")]
From = Annotated[str | None, Field(description="First day, YYYY-MM-DD.")]
To = Annotated[str | None, Field(description="Last day, YYYY-MM-DD, included.")]
Filters = Annotated[
    dict[str, str | int | float | bool] | None,
    Field(
        description="Conditions, all of which hold: {COLUMN: value} or {COLUMN.OPERATOR: value}; "
        "operators are eq, neq, lt, lte, gt, gte, in (a,b,c), is (null, not_null), like and ilike "
        "(* is any text).",
        examples=[{"region": "Prague", "week_start.gte": "2018-05-01"}],
    ),
]
Select = Annotated[str | None, Field(description="Columns wanted, with commas between them.")]
Order = Annotated[
    str | None,
    Field(description="Columns to sort by, with commas; `.desc` behind one is descending."),
]
Box = Annotated[
    list[float] | None,
    Field(
        min_length=4,
        max_length=4,
        description="min_lon, min_lat, max_lon, max_lat in degrees, edges included.",
    ),
]
Match = Annotated[
    Literal["origin", "destination", "both"] | None,
    Field(description="Which end of a trip is in the box; without it the origin."),
]
