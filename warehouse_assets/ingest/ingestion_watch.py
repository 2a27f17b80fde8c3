"""Writing into the journals of ingestions what becomes of their files while they are taken."""

import time
import zlib
from collections.abc import Iterable, Mapping, Sequence

from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets.ingest.units import Unit
from warehouse_assets.ingestions import Ingestion, Ingestions

_BYTES_LOOKED_AT = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS


class IngestionWatch:
    """Tells the journals of the files that one catch-up takes; of other files it tells nothing.

    Args:
        ingestions: the journals there are; None if nobody keeps any.
        run_id: the run of Dagster in which the files are taken.
        answers: the tables to be published until a file counts as ingested.
    """

    def __init__(
        self, ingestions: Ingestions | None = None, run_id: str = "", answers: Sequence[str] = ()
    ) -> None:
        self._ingestions = ingestions
        self._run_id = run_id
        self._answers = list(answers)
        self._units: Sequence[Unit] = ()
        self._taking: dict[int, Ingestion] = {}
        self._rows_of_a_byte = 0.0
        self._started = time.monotonic()

    def known(self, file: InboxFile) -> None:
        """The content of the file was taken before."""
        ingestion = self._ingestions and self._ingestions.of_file(file.name)
        if ingestion:
            ingestion.tell("succeeded", rows=0, rejected=0, is_known=True)

    def started(self, units: Iterable[Unit]) -> None:
        """Reading the units begins."""
        self._started = time.monotonic()
        self._units = list(units)
        self._taking = {}
        self._rows_of_a_byte = 0.0
        for unit in self._units:
            ingestion = self._ingestions and self._ingestions.of_file(unit.file.name)
            if ingestion:
                self._taking[unit.arrival] = ingestion
                ingestion.tell("started", run_id=self._run_id)
                self._rows_of_a_byte = _lines_of_a_byte(unit)

    def progress(self, phase: str, share: float) -> None:
        """So much of the units has been read, from 0 to 1; or what else is done with them."""
        seconds = round(time.monotonic() - self._started, 3)
        if phase != "reading":
            for ingestion in self._taking.values():
                ingestion.tell("progress", phase=phase, seconds=seconds)
            return
        # Of units that are read together it is not known how far each has come.
        if len(self._units) != 1 or not self._taking:
            return
        (unit,), (ingestion,) = self._units, self._taking.values()
        done = int(share * unit.file.size)
        ingestion.tell(
            "progress",
            phase="reading",
            share=round(share, 4),
            rows=round(done * self._rows_of_a_byte),
            are_rows_estimated=True,
            bytes=done,
            bytes_total=unit.file.size,
            rate=round(done / max(seconds, 0.001)),
            seconds=seconds,
        )

    def stored(
        self, rows: Mapping[int, int], rejected: Mapping[int, int], refused: Mapping[int, str]
    ) -> None:
        """What the units hold is in the lake.

        Args:
            rows: how many good rows each has, by arrival number.
            rejected: how many rejected records.
            refused: why units were rejected as a whole.
        """
        seconds = round(time.monotonic() - self._started, 3)
        for arrival, ingestion in self._taking.items():
            if arrival in refused:
                ingestion.tell("failed", reason=f"The file was rejected: {refused[arrival]}.")
                continue
            figures = {"rows": rows.get(arrival, 0), "rejected": rejected.get(arrival, 0)}
            ingestion.tell("stored", **figures, seconds=seconds, awaits=self._answers)
            if not self._answers:
                ingestion.tell("succeeded", **figures, is_known=False)

    def failed(self, reason: str) -> None:
        """Taking the units did not succeed."""
        for ingestion in self._taking.values():
            ingestion.tell("failed", reason=reason)


def _lines_of_a_byte(unit: Unit) -> float:
    """How many lines a byte of the file has on average, by its first ones; packed or not."""
    with unit.file.path.open("rb") as stream:
        packed = stream.read(_BYTES_LOOKED_AT)
    try:
        plain = zlib.decompressobj(wbits=_GZIP).decompress(packed)
    except zlib.error:
        plain = packed
    return plain.count(b"\n") / len(packed) if packed else 0.0
