"""Reads files with overlong records in a process of its own, which tells the memory that it took.

It is a module by itself since what tests import takes longer than what it does.
"""

import gzip
import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from warehouse_assets_tests.ingest.staging import stage, vote_text

_LENGTH = 150 * 2**20


def write_overlong(folder: Path) -> Iterator[Path]:
    """Files with a record of 150 MiB, which is not written to the disk as it is a hole."""
    good = vote_text(7).encode()
    for name, start, end in (
        ("line.jsonl", good + b'\n{"Id": "', b'"}\n' + good),
        ("element.json", b"[" + good + b',{"Id": "', b'"}]'),
        ("nothing.json", b"[", b""),
    ):
        path = folder / name
        with path.open("wb") as stream:
            stream.write(start)
            stream.seek(_LENGTH, 1)
            stream.write(end)
            stream.truncate()
        yield path
    packed = folder / "packed.json.gz"
    # The parts of such a file count together.
    letters = gzip.compress(b"x" * 2**20) * (_LENGTH // 2**20)
    packed.write_bytes(letters + gzip.compress(b"\n" + good))
    yield packed


def read_all(folder: Path) -> None:
    """Read a usual file and the overlong ones; write what they hold, and the memory they took."""
    stage(folder, vote_text(1), f"[{vote_text(1)}]", "x")
    before = _peak()
    found = {}
    for path in write_overlong(folder):
        staged = stage(folder, path)
        found[path.name] = [staged.ids, [[n, why, len(raw)] for _, n, why, raw in staged.rejected]]
    json.dump({"found": found, "memory": _peak() - before}, sys.stdout)


def _peak() -> int:
    """The most memory that this process has had so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    read_all(Path(sys.argv[1]))
