"""Deliveries made by chance: posts, votes and trips, new and changed, damaged, packed, again."""

import gzip
import json
import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from warehouse_assets_tests.ingest.model import Row, row_of, row_of_line

_FIRST_ARRIVAL = 1_700_000_000
_BAD_TRIPS = (
    "Prague,POINT (14.4 91),POINT (14.4 50),2018-05-01 10:00:00,a",
    "Prague,POINT (14.4 50),POINT (14.4 50),2018-02-30 10:00:00,a",
    "Prague,POINT (14.4 50)",
    'Prague",x',
    "",
)


@dataclass(frozen=True)
class File:
    """An inbox file; `second` is when it was last changed, which orders arrivals.

    Of trips, `trips` has the good rows: region, four degrees, time and datasource.
    """

    kind: str
    name: str
    content: bytes
    second: int
    trips: Sequence[tuple[Any, ...]] = ()

    def put(self, inbox: Path) -> None:
        """Deliver it as suppliers should: whole at once."""
        inbox.mkdir(parents=True, exist_ok=True)
        partial = inbox / f"{self.name}.part"
        partial.write_bytes(self.content)
        os.utime(partial, (self.second, self.second))
        partial.rename(inbox / self.name)


class Supplier:
    """Makes the files of a forum's life, one delivery after the other."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.files: list[File] = []
        self.deliveries = 0

    def delivery(self) -> list[File]:
        """Some files that come together."""
        self.deliveries += 1
        already = len(self.files)
        for _ in range(self.source.randint(1, 4)):
            self.files.append(self._file())
        return self.files[already:]

    def _file(self) -> File:
        # Files of one delivery may have been last changed in the same second.
        second = _FIRST_ARRIVAL + self.deliveries * 10 + self.source.randint(0, 2)
        again = [file for file in self.files if file.content]
        if again and self.source.random() < 0.15:
            file = self.source.choice(again)
            suffix = "csv" if file.kind == "trips" else "json"
            name = f"{file.kind}-again-{self._number()}.{suffix}"
            return File(file.kind, name, file.content, second, file.trips)
        kind = self.source.choice(["votes", "votes", "posts", "trips", "trips", "strange"])
        if kind == "trips":
            return self._trips(second)
        if kind == "strange":
            return File(kind, f"strange-{self._number()}.json", b'{"name": "neither"}', second)
        rows = [self._record(kind) for _ in range(self.source.randint(1, 60))]
        stem = self.source.choice([kind, kind, kind.upper(), "delivery"])
        clean = stem == "delivery"
        layout = self._array if self.source.random() < 0.3 else self._lines
        content = layout(rows, clean)
        suffix = ".json"
        if self.source.random() < 0.3:
            content = gzip.compress(content, mtime=0)
            suffix = ".json.gz"
            if self.source.random() < 0.15 and not clean:
                content = content[: len(content) * 2 // 3]
        if self.source.random() < 0.05 and not clean:
            content = b""
        return File(kind, f"{stem}-{self._number()}{suffix}", content, second)

    def _trips(self, second: int) -> File:
        rows: list[tuple[str, float, float, float, float, datetime, str]] = []
        for _ in range(self.source.randint(0, 60)):
            region = self.source.choice(["Prague", "Turin", 'the "old" town'])
            lon, lat, to_lon, to_lat = self.source.choices([14.4, 14.41, 50.0, 50.1], k=4)
            day, hour = self.source.randint(1, 28), self.source.randint(0, 23)
            at = datetime.fromisoformat(f"2018-05-{day:02d}T{hour:02d}:00:00")
            datasource = self.source.choice(["a", "b"])
            rows.append((region, lon, lat, to_lon, to_lat, at, datasource))
        lines = ["region,origin_coord,destination_coord,datetime,datasource"]
        for region, lon, lat, to_lon, to_lat, at, datasource in rows:
            quoted = '"' + region.replace('"', '""') + '"' if '"' in region else region
            lines.append(
                f"{quoted},POINT ({lon} {lat}),POINT ({to_lon} {to_lat}),{at},{datasource}"
            )
        for _ in range(self.source.choice([0, 0, 1, 3])):
            lines.insert(self.source.randint(1, len(lines)), self.source.choice(_BAD_TRIPS))
        content = "\n".join(lines).encode() + b"\n"
        suffix = "csv"
        if self.source.random() < 0.3:
            content, suffix = gzip.compress(content, mtime=0), "csv.gz"
        return File("trips", f"TRIPS-{self._number()}.{suffix}", content, second, rows)

    def _number(self) -> str:
        # Names do not sort in the order of arrival.
        return f"{self.source.randrange(10**9):09d}"

    def _record(self, kind: str) -> dict[str, Any]:
        day = f"2022-{self.source.randint(1, 6):02d}-{self.source.randint(1, 28):02d}T10:00:00.000"
        number = self.source.randint(1, 40 if kind == "posts" else 250)
        record: dict[str, Any] = {"Id": self.source.choice([str(number), number])}
        if kind == "posts":
            score = self.source.choice([None, "1", "2"])
            return {**record, "CreationDate": day, "PostTypeId": "1", "Score": score}
        record |= {"PostId": str(self.source.randint(1, 40)), "CreationDate": day}
        return {**record, "VoteTypeId": self.source.choice(["2", "3", None]), "UserId": None}

    def _lines(self, rows: Sequence[dict[str, Any]], clean: bool) -> bytes:
        lines = [json.dumps(row).encode() for row in rows]
        for _ in range(0 if clean else self.source.choice([0, 0, 1, 3])):
            bad = self.source.choice(
                [b'{"Id": "x"}', lines[0][:-5], b"null", b"\xff\xfe", b"", b"{}", lines[0] * 2]
            )
            lines.insert(self.source.randint(1, len(lines)), bad)
        return b"\n".join(lines) + self.source.choice([b"", b"\n"])

    def _array(self, rows: Sequence[dict[str, Any]], clean: bool) -> bytes:
        values: list[Any] = list(rows)
        if not clean and self.source.random() < 0.3:
            values.append(self.source.choice([None, 5, {"Id": "x"}]))
        content = json.dumps(values).encode()
        return content[:-7] if not clean and self.source.random() < 0.2 else content


def votes_of(files: Iterable[File]) -> list[Row]:
    """What the table `votes` holds after these files, worked out in plain Python.

    id, post_id, vote_type_id, user_id, creation_date and the number of the arrival with which
    they came.
    """
    stored: dict[int, tuple[Row, int]] = {}
    taken: set[bytes] = set()
    for file in sorted(files, key=lambda file: (file.second, file.name)):
        if file.kind != "votes" or file.content in taken:
            continue
        taken.add(file.content)
        newest = {row[0]: row for row in _rows(file.content)}
        for number, row in newest.items():
            if number not in stored or stored[number][0] != row:
                stored[number] = (row, len(taken))
    return sorted((*row, arrival) for row, arrival in stored.values())


def trips_of(files: Iterable[File]) -> list[tuple[Any, ...]]:
    """What the table `trips` holds after these files: their good rows and arrival numbers."""
    taken: dict[bytes, int] = {}
    stored = []
    for file in sorted(files, key=lambda file: (file.second, file.name)):
        if file.kind == "trips" and file.content not in taken:
            taken[file.content] = len(taken) + 1
            stored += [(*row, taken[file.content]) for row in file.trips]
    return sorted(stored, key=repr)


def _rows(content: bytes) -> list[Row]:
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except EOFError:
            return []
    if content.startswith(b"["):
        try:
            judged = [row_of(value) for value in json.loads(content)]
        except ValueError:
            return []
    else:
        judged = [row_of_line(line) for line in content.split(b"\n") if line.strip()]
    return [row for row in judged if row is not None]
