"""What becomes of files, printed while a run takes them: the events of their ingestions."""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from warehouse_assets.ingestions import Event, Ingestion, JournalReader
from warehouse_assets.terminal_text import visible

_SECONDS_BETWEEN_LOOKS = 0.2


@contextmanager
def printed(ingestions: Sequence[Ingestion]) -> Iterator[None]:
    """Print a line for each event of `ingestions` as it happens, until the block ends."""
    if not ingestions:
        yield
        return
    followed = [(ingestion.name, ingestion.reader()) for ingestion in ingestions]
    finished = threading.Event()
    with _own_output() as stream:

        def follow() -> None:
            while not finished.wait(_SECONDS_BETWEEN_LOOKS):
                _print_new(followed, stream)
            _print_new(followed, stream)

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        try:
            yield
        finally:
            finished.set()
            follower.join()


@contextmanager
def _own_output() -> Iterator[TextIO]:
    """Standard output as it is now: Dagster redirects it into its own logs while a step runs."""
    descriptor = None
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        descriptor = os.dup(sys.stdout.fileno())
    if descriptor is None:
        yield sys.stdout
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        yield stream


def _print_new(followed: Sequence[tuple[str, JournalReader]], stream: TextIO) -> None:
    for name, reader in followed:
        stream.writelines(
            visible(f"{event.at.astimezone():%H:%M:%S} {name}: {in_words(event)}") + "\n"
            for event in reader.read()
        )
    stream.flush()


_WORDS = {
    "received": "received, {bytes:,} bytes",
    "queued": "in the inbox",
    "started": "being read, in the run {run_id}",
    "progress": "{share:.0%} read, about {rows:,} rows, {megabytes:,.1f} MB/s",
    "stored": "{rows:,} rows stored, {rejected:,} rejected",
    "published": "{table} published",
    "succeeded": "done",
    "failed": "failed: {reason}",
}


def in_words(event: Event) -> str:
    """What happened, for people."""
    data = dict(event.data)
    if event.name == "succeeded" and data.get("is_known"):
        return "was taken before: its content is known"
    if event.name == "progress":
        data["share"] = data["bytes"] / max(data["bytes_total"], 1)
        data["megabytes"] = data["rate"] / 1e6
    return _WORDS[event.name].format(**data)
