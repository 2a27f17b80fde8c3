"""The tools that agents have: each asks one route of the API, or a function of the history."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated, Any, Literal
from urllib.parse import quote

import sqlalchemy as sa
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from warehouse_assets.catalogue import (
    ANSWER_TABLES,
    ASKED,
    QUESTIONS,
    TABLES,
    question_of,
    reads_of,
)
from warehouse_assets.defs.reviews.tables import REVIEWS
from warehouse_assets.defs.trips.tables import TRIPS, WEEKLY_TRIPS
from warehouse_assets.history.as_of import handles_of, read_moment
from warehouse_assets.history.receipt import Receipt, find, receipt
from warehouse_assets.mcp.asking import Asking
from warehouse_assets.mcp.parameters import (
    After,
    AsOf,
    Box,
    Filters,
    From,
    Limit,
    Match,
    Order,
    Select,
    To,
)
from warehouse_assets.settings import Settings
from warehouse_assets.tables import Question, key_names
from warehouse_assets.values import plain

_INSTRUCTIONS = """A data warehouse, for reading. Begin with `list_questions`: it tells what can be
asked, by which names, columns and keys. `ask` gives the rows of an answer, `rows` those of any
table. `changes` tells what differs since a moment, `why` which loaded rows, files and lines account
for one row, `trace` what became of each line of a file; records that could not be used are the rows
of the table `rejected_records`.

Every answer comes with its definition and the `versions` of the tables that it was made of, with
the times (UTC) at which they were published. A moment (`as_of`, `since`, `until`) is a time
(2026-11-20T10:00), a day, `today`, `yesterday`, or a label. Weeks begin on Monday and are named by
its date. What was left out for want of room is counted in `left_out`; go on with `after`, which is
`next` of the page before."""
_QUESTIONS: Sequence[sa.Table | Question] = (*ANSWER_TABLES, *QUESTIONS)
_READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)


class Tools:
    """What an agent can call; the description of each tool is the docstring of its method."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._settings = asking.settings

    async def list_questions(self) -> dict[str, Any]:
        """List the questions that `ask` answers: name, question, definition, columns, key.

        Also which other tool answers what no table has: trips of a box, similar trips, reviews of
        one product or user, and the running average of deliveries.
        """
        found = [self._definition(asked) for asked in _QUESTIONS]
        return {
            "questions": found,
            "other_tools": {
                "weekly_trips": "Trips per week of a region or a box, with the weekly average.",
                "similar_trips": "Groups of trips alike in origin, destination and time of day.",
                "reviews": "What the reviews of a product or by a user come to, or their texts.",
                "average_delivery": "The running average duration of deliveries.",
                "list_tables": "All tables, also those that were loaded, for `rows`.",
            },
        }

    async def ask(
        self,
        name: Annotated[str, Field(description="A name of `list_questions`.")],
        filters: Filters = None,
        select: Select = None,
        order: Order = None,
        limit: Limit = None,
        after: After = None,
        as_of: AsOf = None,
    ) -> dict[str, Any]:
        """Answer a question of `list_questions`: its rows, in its order unless `order` is given.

        A question without columns in `list_questions` is answered whole: only `as_of` is for it.
        """
        asked = self._asked(name, _QUESTIONS, "question", "list_questions")
        said = {"select": select, "order": order, "after": after, "as_of": as_of}
        if isinstance(asked, sa.Table):
            said["limit"] = str(self._rows(limit))
        told = await self._asking.get(
            f"/answers/{quote(name)}", {**said, **_texts(filters)}, reads_of(asked)
        )
        told["answer"].pop("columns", None)  # the definition has them
        return self._bounded({"definition": self._definition(asked), **told}, limit)

    async def list_tables(self) -> dict[str, Any]:
        """List all tables, for `rows`: what is loaded, computed, rejected; with columns and keys.

        Its rows are read with `rows`; `posts`, `trips`, `deliveries` and so on are as they came.
        """
        return {"tables": [self._definition(table) for table in TABLES]}

    async def rows(
        self,
        table: Annotated[str, Field(description="A name of `list_tables`.")],
        filters: Filters = None,
        select: Select = None,
        order: Order = None,
        limit: Limit = None,
        after: After = None,
        as_of: AsOf = None,
    ) -> dict[str, Any]:
        """Read rows of any table, loaded or computed, such as `votes` or `rejected_records`."""
        asked = self._asked(table, TABLES, "table", "list_tables")
        said = {"select": select, "order": order, "after": after, "as_of": as_of}
        said["limit"] = str(self._rows(limit))
        told = await self._asking.get(
            f"/tables/{quote(table)}", {**said, **_texts(filters)}, reads_of(asked)
        )
        return self._bounded({"definition": self._definition(asked), **told}, limit)

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
        page = {"min_trips": min_trips, "limit": self._rows(limit), "after": after, "as_of": as_of}
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
            said |= {"limit": min(self._rows(limit), _MOST_REVIEWS), "after": after}
        path = f"/{of}/{{{of}_id:path}}" + ("/reviews" if texts else "")
        return await self._route(path, said, [REVIEWS], limit, quote(identifier, safe=""))

    async def average_delivery(self) -> dict[str, Any]:
        """Tell the running average duration of the successful deliveries so far, and how many.

        It is of the feed up to `position`, and not of a version of a table.
        """
        return await self._route("/deliveries/average", {}, [])

    async def changes(
        self,
        name: Annotated[str, Field(description="A name of `list_questions`.")],
        since: Annotated[
            str, Field(description="The moment before; a day is its beginning.")
        ] = "yesterday",
        until: Annotated[str, Field(description="The moment after; a day is its end.")] = "now",
        limit: Limit = None,
    ) -> dict[str, Any]:
        """Tell which rows of an answer were added, changed or removed between two moments.

        Then `why` tells what accounts for one of them.
        """
        asked = self._asked(name, _QUESTIONS, "question", "list_questions")
        said = {"since": since, "until": until, "limit": self._rows(limit)}
        told = await self._asking.get(f"/answers/{quote(name)}/changes", said, reads_of(asked))
        return self._bounded({"definition": self._definition(asked), **told}, limit)

    async def why(
        self,
        name: Annotated[str, Field(description="A name of `list_questions` that has a key.")],
        key: Annotated[
            dict[str, str | int],
            Field(
                description="The value of each column of its key.",
                examples=[{"week_start": "2022-01-03"}],
            ),
        ],
        since: Annotated[
            str | None,
            Field(description="Why it differs from then; without it, of what it is made now."),
        ] = None,
        until: Annotated[str, Field(description="The moment after.")] = "now",
        limit: Annotated[int, Field(ge=1, le=1000, description="Rows of each table.")] = 20,
    ) -> dict[str, Any]:
        """Explain why a row of an answer is what it is, or changed since a moment.

        `steps` go table by table from the answer down to what was loaded: how many rows, the first
        of them, the `places` they came from (file and line, position in a log, key in a source) and
        in `files` how many of all came in which file: those are to blame, or to thank.
        """
        asked = self._asked(name, _QUESTIONS, "question", "list_questions")
        said = {"since": since, "until": until, "limit": min(limit, self._settings.mcp_rows)}
        told = await self._asking.get(
            f"/answers/{quote(name)}/why", {**_texts(key), **said}, reads_of(asked)
        )
        return {"definition": self._definition(asked), **told}

    async def trace(
        self,
        file: Annotated[str, Field(description="A file's name as delivered, or in the archive.")],
        line: Annotated[int | None, Field(ge=1, description="One line, or element.")] = None,
        limit: Limit = None,
    ) -> dict[str, Any]:
        """Tell what became of each line of a file that was taken: its receipt.

        `fates` counts records that were taken, replaced since, known before, rejected or are
        missing; `lines` are those not in the table as they came, or the one asked for.
        """

        def found() -> Receipt:
            service = self._asking.service
            lake, named = service.lake, find(service.inbox, file)
            handles = handles_of(lake, service.warehouse, read_moment(lake, "now"), TABLES)
            with lake.connect() as connection:
                most = self._rows(limit)
                return receipt(lake, connection, named, handles, self._settings, line, most)

        told: Receipt = await self._asking.read(found)
        table = [] if told.table is None else [told.table]
        versions = await self._asking.read(lambda: self._asking.versions(table))
        lines = [asdict(one) for one in told.lines]
        for one in lines:
            one["row"] = one["row"] and {name: plain(value) for name, value in one["row"].items()}
        return {
            "definition": "What became of each record of a file, as of the tables now.",
            "file": told.file.path.name,
            "table": None if told.table is None else str(told.table.name),
            "fates": dict(told.fates),
            "lines": lines,
            "counted_in": told.counted_in and dict(told.counted_in),
            "versions": versions,
        }

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
        return self._bounded({"definition": self._asking.meaning(path), **told}, limit)

    def _rows(self, limit: int | None) -> int:
        """How many rows are wanted, and may be."""
        return min(limit or self._settings.mcp_rows, self._settings.mcp_rows, _MOST_ON_A_PAGE)

    def _bounded(self, told: dict[str, Any], limit: int | None) -> dict[str, Any]:
        """An answer whose lists have no more elements than may be."""
        most, left_out = self._rows(limit), {}
        for name, value in told["answer"].items():
            if isinstance(value, list) and len(value) > most:
                told["answer"][name] = value[:most]
                left_out[name] = len(value) - most
        return {**told, "left_out": left_out} if left_out else told

    def _definition(self, asked: sa.Table | Question) -> dict[str, Any]:
        told: dict[str, Any] = {"name": str(asked.name)}
        if question := question_of(asked, self._settings):
            told["question"] = question
        if isinstance(asked, sa.Table):
            told |= {
                "meaning": asked.comment,
                "key": key_names(asked),
                "columns": {str(column.name): column.comment for column in asked.columns},
            }
        return told

    @staticmethod
    def _asked(
        name: str, known: Sequence[sa.Table | Question], kind: str, tool: str
    ) -> sa.Table | Question:
        if name not in {str(asked.name) for asked in known}:
            names = ", ".join(str(asked.name) for asked in known)
            raise ToolError(f"There is no {kind} {name!r}. There are: {names} (see `{tool}`).")
        return ASKED[name]


_MOST_REVIEWS = 100
_MOST_ON_A_PAGE = 1000


def server_of(settings: Settings) -> MCPServer[Any]:
    """A server of the tools, over the warehouse of the settings."""
    server: MCPServer[Any] = MCPServer(
        "warehouse",
        title="Warehouse",
        instructions=_INSTRUCTIONS,
        version=version("warehouse_assets"),
        log_level="WARNING",
    )
    tools = Tools(Asking(settings))
    for tool in (
        tools.list_questions,
        tools.ask,
        tools.weekly_trips,
        tools.similar_trips,
        tools.reviews,
        tools.average_delivery,
        tools.changes,
        tools.why,
        tools.trace,
        tools.list_tables,
        tools.rows,
    ):
        server.add_tool(tool, annotations=_READ_ONLY)
    return server


def _texts(said: dict[str, Any] | None) -> dict[str, str]:
    """Values as an address has them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in (said or {}).items()
    }


def _sides(box: list[float] | None) -> dict[str, float]:
    return dict(zip(("min_lon", "min_lat", "max_lon", "max_lat"), box or (), strict=False))
