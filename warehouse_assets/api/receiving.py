"""Receiving one file as the body of a request, or in a form."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import anyio
from anyio.to_thread import run_sync
from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from warehouse_assets.api import webhooks
from warehouse_assets.api.deps import Service
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.uploads import Upload
from warehouse_assets.ingestions import Ingestion

BODY_TYPES = (
    "text/csv",
    "application/csv",
    "text/plain",
    "application/gzip",
    "application/x-gzip",
    "application/octet-stream",
)
"""The types of bodies that are the file itself."""
FORM_TYPE = "multipart/form-data"
FORM_FIELDS: Mapping[str, Any] = {
    "file": {"type": "string", "format": "binary"},
    "name": {"type": "string"},
    "webhook": {"type": "string"},
}
"""The fields of a form, as OpenAPI describes them."""

_BYTES_WRITTEN_AT_ONCE = 1 << 20
_LEAST_BYTES_TO_TELL_THE_FORMAT = 2
_MOST_BYTES_AROUND_A_FILE = 1 << 17  # of a form: boundaries, headers, other fields
_MOST_FIELDS = 20
_MOST_BYTES_OF_A_FIELD = 4096
_SECONDS_OF_SILENCE = 60.0


class Receiving:
    """Receives the file of one request; `file` is called once."""

    def __init__(self, service: Service, name: str, webhook: str | None) -> None:
        self._service = service
        self._limit = service.settings.upload_limit
        self._name = name
        self._webhook = self._checked(webhook)
        self._size: int | None = None
        self._buffer = bytearray()
        self._upload: Upload | None = None

    async def file(self, request: Request) -> Ingestion:
        """Read the body of `request` and put its file into the inbox.

        Raises:
            Refusal: there is no file, it is too large, or something else about it is wrong.
        """
        try:
            async for part in self._parts(request):
                self._buffer += part
                self._check_size((self._upload.bytes if self._upload else 0) + len(self._buffer))
                is_first = self._upload is None
                least = _LEAST_BYTES_TO_TELL_THE_FORMAT if is_first else _BYTES_WRITTEN_AT_ONCE
                if len(self._buffer) >= least:
                    await self._write()
            return await self._finish()
        except ClientDisconnect:
            self._break_off("The upload was broken off by its sender")
            raise Refusal(400, "The upload was broken off.") from None
        except Refusal as refusal:
            self._break_off(str(refusal.detail).rstrip("."))
            raise
        except BaseException as error:
            is_stopped = isinstance(error, anyio.get_cancelled_exc_class())
            cause = "as the service was stopped" if is_stopped else f"by an error: {error}"
            self._break_off(f"The upload was broken off {cause}")
            raise

    def _parts(self, request: Request) -> AsyncIterator[bytes]:
        """The content of the file, part by part."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.headers.get("content-encoding", "identity").lower() not in {"identity", "gzip"}:
            raise Refusal(415, "The body may be packed by gzip, and by nothing else.")
        length = request.headers.get("content-length")
        size = int(length) if length and length.isdecimal() else None
        if media_type == FORM_TYPE:
            self._check_size((size or 0) - _MOST_BYTES_AROUND_A_FILE)
            return self._of_form(request)
        if media_type and media_type not in BODY_TYPES:
            raise Refusal(
                415,
                f"A body of type {media_type} is not taken. Send the file itself as text/csv or "
                f"application/gzip (curl -H 'Content-Type: text/csv' --data-binary @FILE), or a "
                f"form as {FORM_TYPE} (curl -F file=@FILE).",
                Accept_Post=", ".join((*BODY_TYPES, FORM_TYPE)),
            )
        self._check_size(size or 0)
        self._size = size
        return _chunks(request)

    async def _of_form(self, request: Request) -> AsyncIterator[bytes]:
        """The content of the file of a form, which is kept in a temporary file until then."""
        parser = MultiPartParser(
            request.headers,
            self._bounded(_chunks(request)),
            max_files=1,
            max_fields=_MOST_FIELDS,
            max_part_size=_MOST_BYTES_OF_A_FIELD,
        )
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise Refusal(422, f"The body is not a form with one file: {error.message}") from None
        try:
            file = self._heed(form)
            while file is not None and (part := await file.read(_BYTES_WRITTEN_AT_ONCE)):
                yield part
        finally:
            await form.close()

    async def _bounded(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """A form's body, before anything of it is stored."""
        received = 0
        async for chunk in chunks:
            received += len(chunk)
            self._check_size(received - _MOST_BYTES_AROUND_A_FILE)
            yield chunk

    def _heed(self, form: FormData) -> UploadFile | None:
        """Take the fields of a form to heart; returns its file, if it has one."""
        found: UploadFile | None = None
        for field, value in form.multi_items():
            if isinstance(value, UploadFile):
                found = value
                self._size = value.size
                self._name = self._name or value.filename or ""
            elif field == "webhook":
                if value and self._webhook is not None:
                    raise Refusal(422, "There are two webhooks; give one.", at="webhook")
                self._webhook = self._checked(value or None) or self._webhook
            elif field == "name":
                self._name = value
            else:
                there_are = ", ".join(FORM_FIELDS)
                reason = f"A form has no field {field!r}; there are: {there_are}."
                raise Refusal(422, reason, at=field)
        return found

    async def _write(self) -> None:
        content, self._buffer = self._buffer, bytearray()
        if self._upload is None:
            self._upload = await run_sync(
                Upload,
                self._service.inbox,
                self._service.ingestions,
                self._name,
                bytes(content[:_LEAST_BYTES_TO_TELL_THE_FORMAT]),
                self._size,
                self._webhook,
            )
        await run_sync(self._upload.write, content)

    async def _finish(self) -> Ingestion:
        if self._buffer:
            await self._write()
        if self._upload is None:
            raise Refusal(
                422, "There is no content: the file is empty, or there is none.", at="file"
            )
        return await run_sync(self._upload.finish)

    def _break_off(self, reason: str) -> None:
        # Called while tasks are being cancelled, too: it must not wait for anybody.
        if self._upload is not None:
            self._upload.break_off(f"{reason}, after {self._upload.bytes:,} bytes.")

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise Refusal(
                413,
                f"The file is larger than {self._limit:,} bytes, which is the limit (setting "
                "UPLOAD_LIMIT). Pack it by gzip, or send it in parts.",
            )

    def _checked(self, webhook: str | None) -> str | None:
        if webhook is None:
            return None
        reason = webhooks.why_not(webhook, self._service.settings.webhook_hosts)
        if reason is not None:
            raise Refusal(422, f"The webhook cannot be told: {reason}.", at="webhook")
        return webhook


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        with anyio.move_on_after(_SECONDS_OF_SILENCE) as waiting:
            try:
                chunk = await anext(stream)
            except StopAsyncIteration:
                return
        if waiting.cancelled_caught:
            raise Refusal(
                408, f"Nothing came for {_SECONDS_OF_SILENCE:g} seconds.", Connection="close"
            )
        yield chunk
