"""Files on their way into the inbox: as the body of a request, or in a form.

Until it is whole, a file is a hidden one in the inbox's folder that nobody takes; then it is
renamed. So that a former service's leftovers can be told from files that are still coming, each
is locked by the process that writes it.
"""

import fcntl
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import anyio
from anyio.to_thread import run_sync
from fastapi import Request
from sqlalchemy import Table
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from warehouse_assets.api import webhooks
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import bounded, length_of
from warehouse_assets.api.service import Service
from warehouse_assets.errors import SourceError, is_disk_full
from warehouse_assets.ingest.file_kinds import format_of, name_in_inbox
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.ingestions import Ingestion, Ingestions, shown_name

_BODY_TYPES = (
    "text/plain",
    "application/gzip",
    "application/x-gzip",
    "application/octet-stream",
)
FORM_TYPE = "multipart/form-data"
FORM_FIELDS: Mapping[str, Any] = {
    "file": {"type": "string", "format": "binary"},
    "name": {"type": "string"},
    "webhook": {"type": "string"},
}
"""The fields of a form, as OpenAPI describes them."""

_SUFFIX = ".upload.part"
_GZIP = b"\x1f\x8b"
_BYTES_WRITTEN_AT_ONCE = 1 << 20
_MOST_BYTES_AROUND_A_FILE = 1 << 17  # of a form: boundaries, headers, other fields
_MOST_FIELDS = 20
_MOST_BYTES_OF_A_FIELD = 4096
_logger = logging.getLogger(__name__)


def body_types(table: Table) -> Sequence[str]:
    """The types of bodies that are a file for `table` itself."""
    return (*format_of(table).media_types, *_BODY_TYPES)


class Upload:
    """One file on its way into the inbox. Its methods wait for the disk.

    Args:
        table: what its records are for.
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
        table: Table,
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
        self.ingestion: Ingestion = ingestions.create(str(table.name), name, size, webhook)
        self._file_name = name_in_inbox(table, name, self.ingestion.id)
        self._part = inbox.folder / f".{self._file_name}{_SUFFIX}"
        try:
            self._stream: BinaryIO = self._part.open("xb")
            fcntl.flock(self._stream, fcntl.LOCK_EX)
        except OSError as error:
            reason = f"The inbox {inbox.folder} cannot be written: {error.strerror}."
            self.ingestion.tell("failed", reason=reason)
            if is_disk_full(error):
                raise
            raise SourceError(f"{reason} Check its permissions (setting INBOX).") from error

    def write(self, content: bytes) -> None:
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
        folder = os.open(self._inbox.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return self.ingestion

    def break_off(self, reason: str) -> None:
        """Leave nothing of the file but its journal, which says why it failed."""
        # What is buffered cannot be written to a full disk, and need not be.
        with suppress(OSError):
            self._stream.close()
        try:
            self._part.unlink(missing_ok=True)
        except OSError as error:
            _logger.warning("What was uploaded to %s cannot be removed: %s", self._part, error)
        self.ingestion.tell("failed", reason=f"{reason}, after {self.bytes:,} bytes.")


def remove_broken_off(inbox: Inbox, ingestions: Ingestions) -> None:
    """Remove what services that were killed left of uploads."""
    for part in inbox.folder.glob(f".*{_SUFFIX}"):
        ingestion = ingestions.of_file(part.name[1 : -len(_SUFFIX)])
        if ingestion is None:
            continue
        try:
            with part.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
        except OSError:  # somebody writes it, or it is gone
            continue
        reason = "The upload was broken off, as the service ended. Upload the file again."
        ingestion.tell("failed", reason=reason)


@dataclass(frozen=True)
class _Sent:
    """The file of a request, as its parts come; its bytes, name and webhook as far as known."""

    parts: AsyncIterator[bytes]
    size: int | None
    name: str
    webhook: str | None


async def receive(
    request: Request, service: Service, table: Table, name: str, webhook: str | None
) -> Ingestion:
    """Read the body of a request and put its file, which is for `table`, into the inbox.

    Args:
        name: what its sender calls the file, unless a form says so.
        webhook: an address to be told, unless a form names it.

    Raises:
        Refusal: there is no file, it is too large, or something else about it is wrong.
    """
    upload: Upload | None = None
    try:
        async with _sent(request, service, table, name, webhook) as sent:
            if sent.webhook is not None:
                webhooks.check(sent.webhook, service.settings.webhook_hosts)
            async for piece in _pieces(sent.parts):
                if upload is None:
                    made = (service.inbox, service.ingestions, table, sent.name, piece, sent.size)
                    upload = await run_sync(Upload, *made, sent.webhook)
                await run_sync(upload.write, piece)
        assert upload is not None  # there is content
        return await run_sync(upload.finish)
    except BaseException as error:
        # Tasks may be being cancelled: this must not wait for anybody.
        if upload is not None:
            upload.break_off(_reason(error))
        raise


async def _pieces(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The content in pieces worth writing; the first one may be small, but shows the format.

    Raises:
        Refusal: there is none.
    """
    piece, least = bytearray(), len(_GZIP)
    async for part in parts:
        piece += part
        if len(piece) >= least:
            yield bytes(piece)
            piece, least = bytearray(), _BYTES_WRITTEN_AT_ONCE
    if piece:
        yield bytes(piece)
    elif least == len(_GZIP):
        reason = "There is no content: the file is empty, or there is none."
        raise Refusal(422, reason, at="file")


def _reason(error: BaseException) -> str:
    """Why an upload ended, in words."""
    if isinstance(error, Refusal):
        return str(error.detail).rstrip(".")
    cause = f"by an error: {error}"
    if isinstance(error, ClientDisconnect):
        cause = "by its sender"
    elif isinstance(error, anyio.get_cancelled_exc_class()):
        cause = "as the service was stopped"
    return f"The upload was broken off {cause}"


@asynccontextmanager
async def _sent(
    request: Request, service: Service, table: Table, name: str, webhook: str | None
) -> AsyncIterator[_Sent]:
    """The file that is sent: the body, or what is in a form."""
    limit = service.settings.upload_limit
    too_large = (
        f"The file is larger than {limit:,} bytes, which is the limit (setting UPLOAD_LIMIT). "
        "Pack it by gzip, or send it in parts."
    )
    types = body_types(table)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity").lower() not in {"identity", "gzip"}:
        raise Refusal(415, "The body may be packed by gzip, and by nothing else.")
    if not media_type or media_type in types:
        stream = bounded(request, limit, too_large).stream()
        yield _Sent(stream, length_of(request), name, webhook)
        return
    if media_type != FORM_TYPE:
        raise Refusal(
            415,
            f"A body of type {media_type} is not taken. Send the file itself as {types[0]} or "
            f"application/gzip (curl -H 'Content-Type: {types[0]}' --data-binary @FILE), or a "
            f"form as {FORM_TYPE} (curl -F file=@FILE).",
            Accept_Post=", ".join((*types, FORM_TYPE)),
        )
    bound = bounded(request, limit + _MOST_BYTES_AROUND_A_FILE, too_large)
    try:
        form = await bound.form(
            max_files=1, max_fields=_MOST_FIELDS, max_part_size=_MOST_BYTES_OF_A_FIELD
        )
    except Refusal:
        raise
    except HTTPException as error:
        raise Refusal(422, f"The body is not a form with one file: {error.detail}") from None
    try:
        sent = _of_form(form, name, webhook)
        if (sent.size or 0) > limit:
            raise Refusal(413, too_large)
        yield sent
    finally:
        await form.close()


def _of_form(form: FormData, name: str, webhook: str | None) -> _Sent:
    """What a form with one file says, and what was said beside it."""
    for field in form:
        if field not in FORM_FIELDS:
            there_are = ", ".join(FORM_FIELDS)
            raise Refusal(422, f"A form has no field {field!r}; there are: {there_are}.", at=field)
    file = form.get("file")
    named = str(form.get("webhook") or "")
    if named and webhook is not None:
        raise Refusal(422, "There are two webhooks; give one.", at="webhook")
    if not isinstance(file, UploadFile):
        raise Refusal(422, "There is no file in the form, in a field `file`.", at="file")

    async def parts() -> AsyncIterator[bytes]:
        while part := await file.read(_BYTES_WRITTEN_AT_ONCE):
            yield part

    called = str(form.get("name") or name or file.filename or "")
    return _Sent(parts(), file.size, called, named or webhook)
