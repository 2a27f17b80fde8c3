"""What the checks of a table found last, kept beside the lake so that it need not be found again.

A blocking check that failed last stops what depends on its table (see `blocking`). Losing the
results costs only time otherwise: every check is then made.
"""

import json
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock

from warehouse_assets.errors import naming

Version = tuple[str, int] | None
"""Identity and version of a table of the lake; None if there is no such table."""


@dataclass(frozen=True)
class LookedAt:
    """All that a result depends on: the check itself, its table, and the tables it reads."""

    definition: str
    table: Version
    others: Mapping[str, Version]

    def appended_since(self, last: "LookedAt") -> int | None:
        """The table's version in `last`, if nothing but later versions of it is different."""
        if (self.definition, self.others) != (last.definition, last.others):
            return None
        if self.table is None or last.table is None or self.table[0] != last.table[0]:
            return None
        return last.table[1] if last.table[1] <= self.table[1] else None

    def is_before(self, other: "LookedAt") -> bool:
        """Whether it is of an earlier version of the same table."""
        if self.table is None or other.table is None:
            return False
        return self.table[0] == other.table[0] and self.table[1] < other.table[1]


@dataclass(frozen=True)
class Result:
    """The result of a check, when it was made, what it depends on, and whether the check blocks."""

    looked_at: LookedAt
    problem: str
    metadata: Mapping[str, Any]
    made_at: str
    blocks: bool

    @classmethod
    def now(
        cls, looked_at: LookedAt, problem: str, metadata: Mapping[str, Any], blocks: bool
    ) -> "Result":
        """A result of this moment."""
        moment = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return cls(looked_at, problem, metadata, moment, blocks)


class CheckResults(AbstractContextManager["CheckResults"]):
    """The last results of the checks of one table; kept when the block ends without an error.

    Args:
        checks: the names of all checks that the table has, if results of others are to be
            forgotten.
    """

    def __init__(self, lake_folder: Path, table: str, checks: Collection[str] = ()) -> None:
        self._path = lake_folder / ".checks" / f"{table}.json"
        self._checks = checks
        self._results = self._read()
        self._made: dict[str, Result] = {}

    def last(self, check: str) -> Result | None:
        """The last result of the check, if it is known."""
        return self._results.get(check)

    def keep(self, check: str, result: Result) -> None:
        """Keep `result` as the last one of the check."""
        self._made[check] = result

    def blocking_failures(self) -> list[tuple[str, str]]:
        """The blocking checks that failed when they were made last, each with what it found."""
        results = sorted(self._results.items())
        return [(name, r.problem) for name, r in results if r.blocks and r.problem]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        is_any_unknown = bool(self._checks) and not set(self._results) <= set(self._checks)
        if kind is None and (self._made or is_any_unknown):
            self._write()

    def _read(self) -> dict[str, Result]:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            return {name: _result(entry) for name, entry in stored.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # never made, or not readable: made again

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".part")
        with FileLock(self._path.with_suffix(".lock")), naming(self._path):
            results = self._read()  # another run may have kept some meanwhile
            for name, made in self._made.items():
                if name not in results or not made.looked_at.is_before(results[name].looked_at):
                    results[name] = made
            stored = {
                name: asdict(result)
                for name, result in results.items()
                if not self._checks or name in self._checks
            }
            partial.write_text(json.dumps(stored), encoding="utf-8")
            partial.replace(self._path)


def _result(entry: Mapping[str, Any]) -> Result:
    looked_at = entry["looked_at"]
    others = {name: _version(version) for name, version in looked_at["others"].items()}
    return Result(
        LookedAt(looked_at["definition"], _version(looked_at["table"]), others),
        entry["problem"],
        entry["metadata"],
        entry["made_at"],
        entry["blocks"],
    )


def _version(stored: Any) -> Version:
    return None if stored is None else (stored[0], stored[1])
