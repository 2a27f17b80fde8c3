"""The tools that agents have: each asks one route of the API, or a function of the history."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Annotated, Any
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
from warehouse_assets.mcp.asking import Asking
from warehouse_assets.mcp.family_tools import FamilyTools
from warehouse_assets.mcp.parameters import (
    After,
    AsOf,
    Filters,
    Limit,
    Order,
    Select,
)
from warehouse_assets.questions import Question
from warehouse_assets.settings import Settings
from warehouse_assets.tables import key_names

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
            said["limit"] = str(self._asking.rows(limit))
        said |= _texts(filters)
        return await self._page(asked, f"/answers/{quote(name)}", said, limit)

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
        said |= {"limit": str(self._asking.rows(limit)), **_texts(filters)}
        return await self._page(asked, f"/tables/{quote(table)}", said, limit)

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
        said = {"since": since, "until": until, "limit": self._asking.rows(limit)}
        return await self._page(asked, f"/answers/{quote(name)}/changes", said, limit)

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
        missing; `items` are those not in the table as they came, or the one asked for.
        """
        said = {"line": line, "limit": self._asking.rows(limit)}
        told = await self._asking.get(f"/files/{quote(file, safe='')}/trace", said)
        table = ASKED.get(str(told["answer"]["table"]))
        read = reads_of(table) if table is not None else []
        versions = await self._asking.read(lambda: self._asking.versions(read))
        meaning = self._asking.meaning("/files/{name}/trace")
        return {"definition": meaning, **told, "versions": versions}

    async def _page(
        self,
        asked: sa.Table | Question,
        path: str,
        said: Mapping[str, Any],
        limit: int | None,
    ) -> dict[str, Any]:
        """What a route answers about a table or a question, with what that means."""
        told = await self._asking.get(path, said, reads_of(asked))
        told["answer"].pop("columns", None)  # the definition has them
        return self._asking.bounded({"definition": self._definition(asked), **told}, limit)

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


def server_of(settings: Settings) -> MCPServer[Any]:
    """A server of the tools, over the warehouse of the settings."""
    server: MCPServer[Any] = MCPServer(
        "warehouse",
        title="Warehouse",
        instructions=_INSTRUCTIONS,
        version=version("warehouse_assets"),
        log_level="WARNING",
    )
    asking = Asking(settings)
    tools, of_families = Tools(asking), FamilyTools(asking)
    for tool in (
        tools.list_questions,
        tools.ask,
        of_families.weekly_trips,
        of_families.similar_trips,
        of_families.reviews,
        of_families.average_delivery,
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
