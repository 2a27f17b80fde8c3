"""Why a row of a table is what it is: the rows that it follows from, down to those that came in.

Between two moments these are the rows that changed; of one moment, all of them. Table by table,
from the one asked for down, those rows are looked for that the rows found before follow from
(`select.Select`), each table once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
from sqlalchemy import Table

from warehouse_assets.catalogue import TABLES
from warehouse_assets.errors import UsageError
from warehouse_assets.history.as_of import Handles, view
from warehouse_assets.history.changes import SIDES, Changes, Side, changes_of, find_difference
from warehouse_assets.history.select import Select, select_of
from warehouse_assets.lake import Lake
from warehouse_assets.questions import Cause
from warehouse_assets.settings import Settings
from warehouse_assets.tables import column_names, duckdb_type, identifiers, key_names


@dataclass(frozen=True)
class Step:
    """The rows of a table that a row follows from.

    Args:
        changes: in what they changed, the first of them; of one moment all are added.
        loads: how many of them came with which arrival, if that is known of them.
        context: what of the row depends on these, of other rows, too, in words; of such rows it is
            not told what they follow from.
        used: the columns of it that the SELECTs read by which it was found.
    """

    table: Table
    changes: Changes
    loads: Mapping[int, int]
    context: str = ""
    used: Sequence[str] = ()


@dataclass(frozen=True)
class Explanation:
    """Why a row is what it is.

    Args:
        row: how it changed, or what it is; none if it is the same at both moments.
        steps: what it follows from, each table behind what follows from it; what its context is,
            behind all.
        notes: of one moment, what else it depends on, of which the rows are not told.
    """

    table: Table
    row: Changes
    steps: Sequence[Step]
    notes: Sequence[str]


def explain(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    key: Mapping[str, str],
    before: Handles | None,
    after: Handles,
    limit: int,
    settings: Settings,
) -> Explanation:
    """Why the row of `key` differs between two moments, or is what it is at one.

    Args:
        key: the value of each column of the table's key, as text.
        before: versions of all tables; None asks for one moment.
        limit: how many rows of each table are told.

    Raises:
        UsageError: the table has no such key, or there is no such row.
    """
    search = _Search(lake, connection, before, after, settings)
    search.begin(table, key)
    # What is computed is declared behind what it is computed from.
    steps = [search.step(read, limit) for read in reversed(TABLES) if search.go_on_to(read)]
    own = {step.table: step.changes for step in steps}
    for read in reversed(TABLES):
        if context := search.look_around(table, read):
            step = search.step(read, limit, context)
            if step.changes != own.get(read):
                steps.append(step)
    return Explanation(
        table, search.row(), [step for step in steps if step.changes.total], search.notes
    )


class _Search:
    """Finds rows, table by table, in the relations `_old_TABLE` and `_new_TABLE`."""

    def __init__(
        self,
        lake: Lake,
        connection: duckdb.DuckDBPyConnection,
        before: Handles | None,
        after: Handles,
        settings: Settings,
    ) -> None:
        self._settings = settings
        self._lake = lake
        self._connection = connection
        self._handles: Mapping[Side, Handles] = {
            "old": before if before is not None else dict.fromkeys(after),
            "new": after,
        }
        self._is_of_one_moment = before is None
        self._found: dict[Table, Select] = {}
        self._used: dict[Table, set[str]] = {}
        self._last_used: Sequence[str] = ()
        self._brief = ""
        self._looked_at: dict[str, list[str]] = {}
        self.notes: list[str] = []

    def begin(self, table: Table, key: Mapping[str, str]) -> None:
        """Find the row of a key, before and after."""
        names = key_names(table)
        if not names or set(names) != set(key):
            raise UsageError(
                f"A row of {table.name} is told by {', '.join(names) or 'nothing: it has no key'}; "
                f"{', '.join(key) or 'nothing'} is given."
            )
        values = ", ".join(f'CAST(? AS {duckdb_type(table.c[name])}) AS "{name}"' for name in names)
        try:
            self._connection.execute(
                f"CREATE OR REPLACE TEMP TABLE _key AS SELECT {values}", [key[n] for n in names]
            )
        except duckdb.ConversionException as error:
            raise UsageError(
                f"The key cannot be used: {str(error).partition(chr(10))[0]}"
            ) from None
        for side in SIDES:
            view(self._lake, self._connection, [table], self._handles[side], f"_{side}_all_")
            self._connection.execute(
                f"""CREATE OR REPLACE TEMP TABLE "_{side}_{table.name}" AS
                FROM "_{side}_all_{table.name}" SEMI JOIN _key USING ({identifiers(names)})"""
            )
        there = self._connection.execute(
            f'SELECT 1 FROM "_old_{table.name}" UNION ALL SELECT 1 FROM "_new_{table.name}"'
        ).fetchall()
        if not there:
            shown = ", ".join(f"{name} {key[name]}" for name in names)
            raise UsageError(
                f"There is no row of {table.name} with {shown}. `warehouse answers {table.name}` "
                "shows the rows that there are."
            )
        columns = identifiers(column_names(table))
        for side, other in zip(SIDES, reversed(SIDES), strict=True):
            self._connection.execute(
                f"""CREATE OR REPLACE TEMP TABLE "_differing_{side}" AS SELECT {columns}
                FROM "_{side}_{table.name}" EXCEPT SELECT {columns} FROM "_{other}_{table.name}" """
            )
        for side in SIDES:
            self._connection.execute(
                f'CREATE OR REPLACE TEMP TABLE "_{side}_{table.name}" AS FROM _differing_{side}'
            )
        self._keep(table, set(column_names(table)))
        self._row = changes_of(self._connection, table, 1)

    def row(self) -> Changes:
        """How the row of the key changed, or what it is."""
        return self._row

    def go_on_to(self, table: Table) -> bool:
        """Find rows of a table that those found before follow from; whether it is read at all."""
        wanted = [
            (follower, cause)
            for follower, select in self._found.items()
            for cause in select.causes
            if cause.read == table.name and not cause.context
            if not cause.decides or not self._used[follower].isdisjoint(cause.decides)
        ]
        return bool(wanted) and table not in self._found and self._find(table, wanted)

    def look_around(self, root: Table, table: Table) -> str:
        """Find rows of a table that something of the row asked for depends on, beside its own.

        Returns what that is, in words; of one moment it is noted, and no rows are found.
        """
        causes = [c for c in self._found[root].causes if c.read == table.name and c.context]
        context = ", ".join(cause.context for cause in causes)
        if context and self._is_of_one_moment:
            self.notes.append(f"On other rows of {table.name} depends {context}, too.")
            return ""
        if context:
            self._find(table, [(root, cause) for cause in causes])
        return context

    def step(self, table: Table, limit: int, context: str = "") -> Step:
        """What was found last."""
        changes = changes_of(self._connection, table, limit, self._brief)
        return Step(table, changes, self._loads(table), context, self._last_used)

    def _find(self, table: Table, wanted: Sequence[tuple[Table, Cause]]) -> bool:
        name = str(table.name)
        relations = [self._wanted(*each, number) for number, each in enumerate(wanted)]
        reads = {read for follower, _ in wanted for read in self._found[follower].reads}

        def choose(side: Side, relation: str) -> str:
            view(self._lake, self._connection, list(reads), self._handles[side])
            # Tables without a key are read by one table alone, for one cause.
            rows = " UNION ".join(
                following(relation, follower, cause, others, self._settings)
                for (follower, cause), others in zip(wanted, relations, strict=True)
            )
            if self._is_of_one_moment:
                return f"({rows})"
            chosen = f'"_chosen_{side}_{name}"'
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {chosen} AS {rows}")
            return chosen

        used = {c for f, _ in wanted for c in self._found[f].columns[name]}
        before, after = (self._handles[side][name] for side in SIDES)
        self._brief = find_difference(
            self._lake,
            self._connection,
            table,
            before,
            after,
            choose,
            sorted(used),
            self._looked_at,
        )
        self._last_used = sorted(used)
        self._keep(table, used)
        return True

    def _loads(self, table: Table) -> Mapping[int, int]:
        """How many of the rows that were found last came with which arrival."""
        if "arrival" not in table.columns:
            return {}
        query = f"SELECT arrival, count(*) FROM {self._brief} GROUP BY 1 ORDER BY 1"
        return dict(self._connection.execute(query).fetchall())

    def _keep(self, table: Table, used: set[str]) -> None:
        """Go on from the rows of a table that were found, if it is computed.

        Args:
            used: the columns of it that matter.
        """
        select = select_of(self._connection, table)
        if select is not None:
            for side in SIDES:  # they are read again for each table that it reads
                self._connection.execute(
                    f"""CREATE OR REPLACE TEMP TABLE "_kept_{side}_{table.name}" AS
                    FROM "_{side}_{table.name}" """
                )
            self._found[table], self._used[table] = select, used

    def _wanted(self, follower: Table, cause: Cause, number: int) -> str:
        """The relation of the rows found of `follower` that a cause is of account for."""
        old, new = (f'"_kept_{side}_{follower.name}"' for side in SIDES)
        wanted = f"(FROM {old} UNION ALL FROM {new})"
        keys = key_names(follower)
        if cause.decides:
            same = " AND ".join(f'old."{key}" = new."{key}"' for key in keys)
            differs = " OR ".join(
                f'old."{name}" IS DISTINCT FROM new."{name}"' for name in [keys[0], *cause.decides]
            )
            chosen = ", ".join(f'coalesce(new."{key}", old."{key}") AS "{key}"' for key in keys)
            wanted = f"""(FROM {wanted} SEMI JOIN (SELECT {chosen} FROM {old} AS old
                FULL JOIN {new} AS new ON {same} WHERE {differs}) USING ({identifiers(keys)}))"""
        relation = f'"_wanted_{follower.name}_{number}"'
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {relation} AS FROM {wanted}")
        return relation


def following(
    relation: str, follower: Table, cause: Cause, others: str, settings: Settings, what: str = "row"
) -> str:
    """SQL for the rows of a relation that rows of `follower` follow from, by a cause.

    Args:
        others: the relation of the rows of `follower`.
        what: `wanted` asks the other way round: for the rows of `follower`, which are in
            `relation`, that follow from `others`.
    """
    other = "wanted" if what == "row" else "row"
    if given := follower.info.get("constants"):
        columns = ", ".join(f'{v!r} AS "{n}"' for n, v in given(settings).items())
        others = f"(FROM {others} CROSS JOIN (SELECT {columns}))"
    if "SELECT" in cause.condition:  # which a join cannot have in its condition
        return f"""SELECT {what}.* FROM {relation} AS {what}
            WHERE EXISTS (SELECT 1 FROM {others} AS {other} WHERE {cause.condition})"""
    return f"""SELECT {what}.* FROM {relation} AS {what}
        SEMI JOIN {others} AS {other} ON {cause.condition}"""
