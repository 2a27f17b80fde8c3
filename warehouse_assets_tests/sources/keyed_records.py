"""Records of students, and a source that gives them."""

from collections.abc import Iterable, Iterator
from typing import Any

from warehouse_assets.lake import Lake
from warehouse_assets.school.tables import STUDENTS
from warehouse_assets.sources.keyed import CaughtUp, KeyedSource, catch_up_keyed
from warehouse_assets.sources.record_spool import Record

TIME = "2026-11-20 13:51:54.463573"


class Given(KeyedSource):
    """A source of what a test gives, counted from 1."""

    def __init__(
        self,
        contents: Iterable[object],
        fingerprint: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        self.unit = "given"
        self.contents = contents
        self.error = error
        self.has_been_read = False
        self._fingerprint = fingerprint

    def fingerprint(self) -> int | None:
        return self._fingerprint

    def records(self) -> Iterator[Record]:
        self.has_been_read = True
        for position, content in enumerate(self.contents, start=1):
            yield content if isinstance(content, Record) else Record(position, content)
        if self.error:
            raise self.error


def student(number: Any, name: Any = "Ann", batch: Any = 7, created_at: Any = TIME) -> Any:
    return {"id": number, "name": name, "batch_id": batch, "created_at": created_at}


def take(lake: Lake, *contents: object, **more: Any) -> CaughtUp:
    return catch_up_keyed(lake, STUDENTS, Given(contents, **more), str)
