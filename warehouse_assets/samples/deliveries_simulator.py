"""The live feed of deliveries: steps of several customers at once, in a thread of their own."""

import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

import xxhash

from warehouse_assets.errors import WarehouseAssetsError
from warehouse_assets.samples.deliveries import DeliveryLife, write_deliveries_samples
from warehouse_assets.samples.deliveries_made import MadeFeed, ledger_in, remembered
from warehouse_assets.samples.school_files import writing

_TICK_SECONDS = 0.1
_MOST_PER_SECOND = 2000.0
_USUAL_PER_SECOND = 200.0


class DeliveriesSimulation:
    """Appends steps to the feed at `path` while the block runs.

    Args:
        made: the folder that remembers what was made.
        rate: steps per second; 0 for as many as a busy city has.

    Raises:
        SourceError: the feed cannot be written; raised at the end of the block, too.
    """

    def __init__(self, path: Path, made: Path, rate: float, seed: int) -> None:
        self.records = 0
        self._path = path
        self._ledger = ledger_in(made)
        self._rate = min(rate, _MOST_PER_SECOND) if rate else _USUAL_PER_SECOND
        self._life = DeliveryLife(seed)
        self._is_over = threading.Event()
        self._error: WarehouseAssetsError | None = None
        self._thread = threading.Thread(target=self._run, name="deliveries")
        self._digest = xxhash.xxh3_64()
        self._size = 0

    def __enter__(self) -> "DeliveriesSimulation":
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            known = remembered(self._ledger)
            # A feed that others have written to is never taken for one that was made here.
            self._is_own = not self._path.exists() or (known is not None and known.is_as_made())
            self._path.touch()
            if self._is_own:
                content = self._path.read_bytes()
                self._digest.update(content)
                self._size = len(content)
            if self._has_cut_line():
                self._append(b"\n")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        began = time.monotonic()
        try:
            while not self._is_over.wait(_TICK_SECONDS):
                due = int((time.monotonic() - began) * self._rate) - self.records
                now = datetime.now(timezone.utc).replace(tzinfo=None)
                lines = [self._life.next_line(now) + "\n" for _ in range(due)]
                if lines:
                    self._append("".join(lines).encode())
                    self.records += len(lines)
        except WarehouseAssetsError as error:
            self._error = error

    def _append(self, data: bytes) -> None:
        if self._is_own:
            size, digest = self._size, self._digest.hexdigest()
            MadeFeed(str(self._path), size, digest, size + len(data)).remember(self._ledger)
            self._digest.update(data)
            self._size += len(data)
        with writing(self._path), self._path.open("ab", buffering=0) as feed:
            while data:
                data = data[feed.write(data) :]

    def _has_cut_line(self) -> bool:
        with self._path.open("rb") as feed:
            size = feed.seek(0, 2)
            feed.seek(max(size - 1, 0))
            return size > 0 and feed.read(1) != b"\n"


def make_deliveries_samples(path: Path, made: Path, records: int, seed: int) -> str | None:
    """Write a sample feed and remember it; what it is, in words, if there is one already.

    Raises:
        SourceError: it cannot be written.
    """
    with writing(path):
        if not write_deliveries_samples(path, records, seed):
            return f"There is a feed of deliveries already, {path}: it stays as it is."
        content = path.read_bytes()
    size, digest = len(content), xxhash.xxh3_64_hexdigest(content)
    MadeFeed(str(path), size, digest, size).remember(ledger_in(made))
    return None
