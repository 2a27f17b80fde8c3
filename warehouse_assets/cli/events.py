"""What becomes of files, printed while a run takes them: the events of their ingestions."""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from rich.console import Console

from warehouse_assets.ingestions import Event, Ingestion
from warehouse_assets.terminal_text import visible

_SECONDS_BETWEEN_LOOKS = 0.2


@contextmanager
def printed(ingestions: Sequence[Ingestion], above: Console | None = None) -> Iterator[None]:
    """Print a line for each event of `ingestions` as it happens, until the block ends.

    Args:
        above: a console that shows in bars how far work has come; on the same terminal, lines are
            printed above them, and none of them for progress.
    """
    if not ingestions:
        yield
        return
    followed = [_Followed(ingestion) for ingestion in ingestions]
    finished = threading.Event()
    is_above = above is not None and sys.stdout.isatty()
    with _own_output() as stream:

        def print_new() -> None:
            for line in (line for one in followed for line in one.lines(is_above)):
                if above is not None and is_above:
                    above.print(line, markup=False, highlight=False, soft_wrap=True)
                else:
                    stream.write(f"{line}\n")
            stream.flush()

        def follow() -> None:
            while not finished.wait(_SECONDS_BETWEEN_LOOKS):
                print_new()
            print_new()

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


class _Followed:
    """The journal of an ingestion, and its phase that was told last."""

    def __init__(self, ingestion: Ingestion) -> None:
        self._name = ingestion.name
        self._reader = ingestion.reader()
        self._phase: tuple[object, ...] = ()

    def lines(self, without_progress: bool) -> Iterator[str]:
        """What is new; of most phases that they have begun, not that they go on."""
        for event in self._reader.read():
            if event.name == "progress":
                phase = (event.data.get("phase"), event.data.get("table"))
                if without_progress or (phase == self._phase and phase[0] != "reading"):
                    continue
                self._phase = phase
            yield visible(f"{event.at.astimezone():%H:%M:%S} {self._name}: {in_words(event)}")


_WORDS = {
    "received": "received, {bytes:,} bytes",
    "queued": "in the inbox",
    "started": "being read, in the run {run_id}",
    "stored": "{rows:,} rows stored, {rejected:,} rejected",
    "published": "{table} published",
    "succeeded": "done",
    "failed": "failed: {reason}",
}
_WORDS_OF_PHASES = {
    "reading": "{share:.0%} read, about {rows:,} rows, {megabytes:,.1f} MB/s",
    "checking": "being looked through for what cannot be used",
    "storing": "being stored",
    "computing": "{table} being computed",
    "publishing": "{table} being published",
}


def in_words(event: Event) -> str:
    """What happened, for people."""
    data = dict(event.data)
    if event.name == "succeeded" and data.get("is_known"):
        return "was taken before: its content is known"
    if event.name == "progress":
        data["megabytes"] = data.get("rate", 0) / 1e6
        return _WORDS_OF_PHASES[data["phase"]].format(**data)
    return _WORDS[event.name].format(**data)
