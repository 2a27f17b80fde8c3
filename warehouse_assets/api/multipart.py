"""Reading a form with one file from a multipart body, as it comes in, in bounded memory."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from warehouse_assets.api.problems import Refusal

_MOST_PARTS = 20
_MOST_BYTES_OF_A_FIELD = 4096


@dataclass(frozen=True)
class FileBegins:
    """The file's part begins; `name` is as the client gives it, any text."""

    name: str


@dataclass(frozen=True)
class Content:
    """The next bytes of the file."""

    data: bytes


@dataclass(frozen=True)
class Field:
    """A field of the form that is not a file."""

    name: str
    value: str


Piece = FileBegins | Content | Field


async def pieces(content_type: bytes, body: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
    """The pieces of a multipart body, in their order.

    Raises:
        Refusal: the body is not a form, ends too early, or has more than one file.
    """
    form = _Form(content_type)
    async for chunk in body:
        for piece in form.feed(chunk):
            yield piece
    form.check_complete()


class _Form:
    """Collects what the parser calls back with."""

    def __init__(self, content_type: bytes) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise Refusal(422, "The Content-Type multipart/form-data lacks its boundary.")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_ends,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_part_end": self._part_ends,
                    "on_end": self._ends,
                },
            )
        except (MultipartParseError, ValueError) as error:
            raise Refusal(422, f"The boundary of the form cannot be used: {error}.") from None
        self._pieces: list[Piece] = []
        self._parts = 0
        self._files = 0
        self._is_complete = False
        self._header = [b"", b""]
        self._disposition = b""
        self._field: tuple[str, bytearray] | None = None

    def feed(self, chunk: bytes) -> list[Piece]:
        """The pieces that `chunk` completes."""
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise Refusal(422, f"The body is not a form: {error}.") from None
        found, self._pieces = self._pieces, []
        return found

    def check_complete(self) -> None:
        """Raise unless the form has ended as forms do."""
        if not self._is_complete:
            raise Refusal(422, "The form ends in the middle: its last boundary is missing.")

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise Refusal(422, f"The form has more than {_MOST_PARTS} parts.")
        self._disposition = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _header_ends(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = self._header[1]
        self._header = [b"", b""]

    def _headers_end(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if b"filename" not in options:
            name = options.get(b"name", b"").decode(errors="replace")
            self._field = (name, bytearray())
            return
        self._files += 1
        if self._files > 1:
            raise Refusal(422, "The form has more than one file; send each by itself.", at="file")
        self._pieces.append(FileBegins(options[b"filename"].decode(errors="replace")))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._pieces.append(Content(data[start:end]))
            return
        name, value = self._field
        value += data[start:end]
        if len(value) > _MOST_BYTES_OF_A_FIELD:
            raise Refusal(422, f"The field is longer than {_MOST_BYTES_OF_A_FIELD} bytes.", at=name)

    def _part_ends(self) -> None:
        if self._field is not None:
            name, value = self._field
            self._pieces.append(Field(name, value.decode(errors="replace")))
        self._field = None

    def _ends(self) -> None:
        self._is_complete = True
