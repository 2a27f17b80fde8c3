"""Records from files of CSV: good ones written as files of a table, bad ones with their reasons.

Files are read once, by DuckDB, and written as Parquet in the same statement. Whether any record was
bad or has blanks around a text is asked of that file, which has statistics and dictionaries of its
columns. Only then it is written again without them, and the CSV read again for places and raw text.
A file that DuckDB refuses, because lines in it are broken, is first copied without those. Places
are found by counting records; should the two readings of a file ever count differently, which
shows in good records found where bad ones were expected, the file is copied too: a copy is written
so that there is one way to read it.
"""

import glob
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from warehouse_assets.lake import LakeTable, WrittenFile
from warehouse_assets.lake.commit import cast_query
from warehouse_assets.lake.parquet import remove_files, write_parquet
from warehouse_assets.sources.csv_engine import ARRIVALS, PATHS, integers, set_variable, texts_query
from warehouse_assets.sources.csv_layout import Aliases, prepare
from warehouse_assets.sources.csv_lines import (
    Layout,
    LineReader,
    count_records,
    has_quotes_at_end,
)
from warehouse_assets.sources.csv_rejects import Rejects, write_whole_lines
from warehouse_assets.sources.csv_values import (
    tidy_expression,
    untidy_expressions,
    unusable_expressions,
    value_query,
)
from warehouse_assets.sources.file_kinds import StagedFiles
from warehouse_assets.sources.packed import UnreadableFileError
from warehouse_assets.sources.units import REJECTED, Unit, create_stage, reject_unit
from warehouse_assets.sources.unknown_fields import known_fields, note_names

_PATH = "_csv_written"
_WRITTEN = (
    f"read_parquet(getvariable('{_PATH}'), file_row_number = true, hive_partitioning = false)"
)


@dataclass(frozen=True)
class _Source:
    """A file to read: that of the unit, or a copy of it; `copy` holds only what is a record."""

    unit: Unit
    path: Path
    copy: Path | None = None


def write_csv_records(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    units: Sequence[Unit],
    spool: Path,
    aliases: Aliases,
) -> StagedFiles:
    """Write the records of `units` beside the files of `table`, and fill the table `REJECTED`.

    Args:
        table: its columns that are read name the CSV column in `info["field"]`; `arrival` is the
            number of the unit.
        units: files of CSV, plain or compressed by gzip, with a header.
        spool: an empty folder for temporary files.
        aliases: of each of those CSV columns, in the table's order, the names it may have.
    """
    create_stage(connection, None)
    groups: dict[Layout, list[_Source]] = {}
    for unit in units:
        try:
            prepared = prepare(
                unit.file.path, spool / f"{unit.arrival}.csv", aliases, unit.unpacked_limit
            )
        except UnreadableFileError as error:
            reject_unit(connection, unit, str(error))
            continue
        if prepared is None:
            continue
        groups.setdefault(prepared.layout, []).append(_Source(unit, prepared.path))
        unknown = set(prepared.ignored) - known_fields(table.declaration)
        note_names(connection, unknown, unit.arrival)
    files: list[WrittenFile] = []
    for layout, sources in groups.items():
        files += _Reader(connection, table, layout, spool).read(sources)
    return StagedFiles(files)


class _Reader:
    """Reads files of one layout."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: LakeTable,
        layout: Layout,
        spool: Path,
    ) -> None:
        self.connection = connection
        self.table = table
        self.layout = layout
        self.spool = spool
        self.is_parallel = True
        self._unusable = unusable_expressions(table.declaration)
        self._untidy = untidy_expressions(table.declaration)

    def read(self, sources: Sequence[_Source]) -> list[WrittenFile]:
        """Write the good records of `sources`; reject the others."""
        is_copied = sources[0].copy is not None
        if self.layout.header_lines > 1 and not is_copied:
            # DuckDB counts lines to skip differently where they are blank or have quotes.
            return self.read(self._copies(sources))
        try:
            written = self._write(sources)
        except (duckdb.InvalidInputException, duckdb.NotImplementedException) as error:
            return self._refused(sources, error)
        unsure = self._cut_off(written, sources)
        if not unsure and not any(self._is_to_mend(file) for file in written):
            return written
        kept = []
        for file in written:
            self._look_at(file)
            unsure |= self._reject(sources, unsure)
            kept += self._write_usable(unsure)
        remove_files(self.table, written)
        again = [source for source in sources if source.unit.arrival in unsure]
        if again and not is_copied:
            return kept + self.read(self._copies(again))
        for source in again:
            self._give_up(source, None)
        return kept

    def _refused(self, sources: Sequence[_Source], error: duckdb.Error) -> list[WrittenFile]:
        """Read files of which DuckDB did not like one."""
        is_copied = sources[0].copy is not None
        if self.is_parallel and (is_copied or isinstance(error, duckdb.NotImplementedException)):
            self.is_parallel = False
            return self.read(sources)
        if not is_copied:
            return self.read(self._copies(sources))
        if len(sources) > 1:
            return [file for source in sources for file in self.read([source])]
        self._give_up(sources[0], error)
        return []

    def _write(self, sources: Sequence[_Source]) -> list[WrittenFile]:
        """One pass over the files; values are as of `value_query`."""
        paths = [glob.escape(str(source.copy or source.path)) for source in sources]
        self._set(PATHS, paths, "VARCHAR[]")
        self._set(ARRIVALS, [source.unit.arrival for source in sources], "BIGINT[]")
        source = texts_query(self.layout, len(sources) == 1, self.is_parallel)
        query = cast_query(self.table, value_query(self.table.declaration, source))
        return write_parquet(self.connection, self.table, query, has_short_values=True)

    def _is_to_mend(self, file: WrittenFile) -> bool:
        """Whether a record of a file written is unusable, or has a text with blanks around it.

        It is asked of one column at a time, for then DuckDB reads the values only of those whose
        statistics and dictionaries do not answer.
        """
        self._look_at(file)
        each = (
            f"EXISTS (FROM {_WRITTEN} WHERE {condition})"
            for condition in (*self._unusable, *self._untidy.values())
        )
        return bool(self._rows(f"SELECT {' OR '.join(each)}")[0][0])

    def _copies(self, sources: Sequence[_Source]) -> list[_Source]:
        """Copies of `sources` without the lines that are no records, which are rejected."""
        copies = []
        with self._rejects() as rejects:
            for source in sources:
                copy = self.spool / f"{source.unit.arrival}-whole.csv"
                for line in write_whole_lines(source.path, self.layout, copy):
                    rejects.add(source.unit.arrival, line, self.layout)
                copies.append(replace(source, copy=copy))
            rejects.judge(self.connection)
        return copies

    def _cut_off(self, written: Sequence[WrittenFile], sources: Sequence[_Source]) -> set[int]:
        """The numbers of files whose last record may be lost, because a quote is open in it.

        DuckDB refuses such a file, but not where it reads a file with one thread, as it does
        with many of them.
        """
        (threads,) = self._rows("SELECT current_setting('threads')")[0]
        if len(sources) == 1 and threads > 1 and self.is_parallel:
            return set()
        doubtful = [source for source in sources if has_quotes_at_end(source.copy or source.path)]
        if not doubtful:
            return set()
        counts: dict[int, int] = {}
        for file in written:
            self._look_at(file)
            counts.update(self._rows(f"SELECT arrival, count(*) FROM {_WRITTEN} GROUP BY arrival"))
        return {
            source.unit.arrival
            for source in doubtful
            if self._count(source) != counts.get(source.unit.arrival, 0)
        }

    def _count(self, source: _Source) -> int:
        if source.copy is None:
            return count_records(source.path, self.layout)
        return count_records(source.copy, replace(self.layout, header_lines=1))

    def _write_usable(self, unsure: Collection[int]) -> list[WrittenFile]:
        """Write a file again without its unusable records and those of files not sure of.

        Texts are written without the blanks around them.
        """
        tidy = ", ".join(f'{tidy_expression(name)} AS "{name}"' for name in self._untidy)
        self._set("_csv_unsure", sorted(unsure), "BIGINT[]")
        return write_parquet(
            self.connection,
            self.table,
            f"""SELECT * EXCLUDE (file_row_number) {f"REPLACE ({tidy})" if tidy else ""}
            FROM {_WRITTEN}
            WHERE NOT ({" OR ".join(self._unusable)})
                AND NOT list_contains(getvariable('_csv_unsure'), arrival)""",
            has_short_values=True,
        )

    def _reject(self, sources: Sequence[_Source], unsure: Collection[int]) -> set[int]:
        """Reject the records that are unusable in the file written, but of files not sure of.

        Returns the numbers of files that were read in two different ways.
        """
        is_unusable = " OR ".join(self._unusable)
        files = self._rows(
            f"""SELECT arrival, min(file_row_number), count(*)
            FROM {_WRITTEN} GROUP BY arrival HAVING bool_or({is_unusable}) ORDER BY arrival"""
        )
        by_arrival = {source.unit.arrival: source for source in sources}
        miscounted = set()
        with self._rejects() as rejects:
            for arrival, first, records in files:
                if arrival in unsure:
                    continue
                unusable = self.connection.execute(
                    f"""SELECT file_row_number - CAST($first AS BIGINT) FROM {_WRITTEN}
                    WHERE file_row_number BETWEEN $first AND $last AND ({is_unusable})
                    ORDER BY file_row_number""",
                    {"first": first, "last": first + records - 1},
                )
                source = by_arrival[arrival]
                reader = LineReader(
                    source.path, self.layout, integers(unusable), is_whole=source.copy is None
                )
                for line in reader:
                    rejects.add(arrival, line, self.layout)
                if reader.count != records:
                    miscounted.add(arrival)
            return rejects.judge(self.connection, miscounted)

    def _rejects(self) -> Rejects:
        return Rejects(self.spool / "rejects.json", self.table.declaration)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def _look_at(self, file: WrittenFile) -> None:
        """Make `_WRITTEN` be the file's rows."""
        self._set(_PATH, glob.escape(str(self.table.path / file.action.path)), "VARCHAR")

    def _set(self, name: str, value: object, kind: str) -> None:
        set_variable(self.connection, name, value, kind)

    def _give_up(self, source: _Source, error: duckdb.Error | None) -> None:
        """Reject a file that was not even read well when copied."""
        found = f": {str(error).splitlines()[0]}" if error else ""
        self.connection.execute(f"DELETE FROM {REJECTED} WHERE arrival = ?", [source.unit.arrival])
        reject_unit(
            self.connection,
            source.unit,
            f"DuckDB reads the file otherwise than it is written{found}",
        )
