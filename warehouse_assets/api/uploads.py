"""Files on their way into the inbox.

Until it is whole, a file is a hidden one in the inbox's folder that nobody takes; then it is
renamed. So that a former service's leftovers can be told from files that are still coming, each
is locked by the process that writes it.
"""

import fcntl
import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from warehouse_assets.errors import SourceError, is_disk_full
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.ingestions import (
    Ingestion,
    Ingestions,
    file_name,
    id_in,
    new_id,
    shown_name,
)

_SUFFIX = ".upload.part"
_GZIP = b"\x1f\x8b"
_logger = logging.getLogger(__name__)


class Upload:
    """One file on its way into the inbox. Its methods wait for the disk.

    Args:
        name: what its sender calls it; any text.
        first: the first bytes of the content, at least two of them if there are so many.
        size: its bytes, if known.
        webhook: address that is told what becomes of it.

    Raises:
        SourceError: the inbox or the folder of journals cannot be written.
    """

    def __init__(
        self,
        inbox: Inbox,
        ingestions: Ingestions,
        name: str,
        first: bytes,
        size: int | None,
        webhook: str | None,
    ) -> None:
        self._inbox = inbox
        self.bytes = 0
        # Whether the content is packed is seen by the content, and readers see it by the name.
        name = shown_name(name)
        if name.lower().endswith(".gz") != first.startswith(_GZIP):
            name = f"{name}.gz" if first.startswith(_GZIP) else name[: -len(".gz")]
        ingestion_id = new_id()
        self._file_name = file_name(shown_name(name), ingestion_id)
        self._part = inbox.folder / f".{self._file_name}{_SUFFIX}"
        self._stream = self._open()
        try:
            self.ingestion: Ingestion = ingestions.create(name, size, webhook, ingestion_id)
        except BaseException:
            self._discard()
            raise

    def write(self, content: bytes | bytearray) -> None:
        """Append `content`."""
        self._stream.write(content)
        self.bytes += len(content)

    def finish(self) -> Ingestion:
        """Put the file, which is whole, into the inbox."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        # It is complete, whatever its age: nobody has to wait for it to settle.
        settled_ns = time.time_ns() - int((self._inbox.settle_seconds + 0.1) * 1e9)
        os.utime(self._part, ns=(settled_ns, settled_ns))
        self.ingestion.tell("queued", bytes=self.bytes)
        self._part.rename(self._inbox.folder / self._file_name)
        self._stream.close()
        _sync_folder(self._inbox.folder)
        return self.ingestion

    def break_off(self, reason: str) -> None:
        """Leave nothing of the file but its journal, which says why it failed."""
        self._discard()
        self.ingestion.tell("failed", reason=reason)

    def _open(self) -> BinaryIO:
        try:
            stream = self._part.open("xb")
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            if is_disk_full(error):
                raise
            raise SourceError(
                f"The inbox {self._inbox.folder} cannot be written: {error.strerror}. Check its "
                "permissions (setting INBOX)."
            ) from error
        return stream

    def _discard(self) -> None:
        # What is buffered cannot be written to a full disk, and need not be.
        with suppress(OSError):
            self._stream.close()
        try:
            self._part.unlink(missing_ok=True)
        except OSError as error:
            _logger.warning("What was uploaded to %s cannot be removed: %s", self._part, error)


def remove_broken_off(inbox: Inbox, ingestions: Ingestions) -> int:
    """Remove what services that were killed left of uploads; returns how many there were."""
    removed = 0
    for part in inbox.folder.glob(f".*{_SUFFIX}"):
        name = part.name[1 : -len(_SUFFIX)]
        if id_in(name) is None or not _remove_if_abandoned(part):
            continue
        removed += 1
        ingestion = ingestions.of_file(name)
        if ingestion is not None:
            ingestion.tell(
                "failed",
                reason="The upload was broken off, as the service ended. Upload the file again.",
            )
    return removed


def _remove_if_abandoned(part: Path) -> bool:
    try:
        with part.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()
    except OSError:  # somebody writes it, or it is gone
        return False
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
