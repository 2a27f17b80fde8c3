"""The dialect of CSV: how a record is split into its fields.

It is RFC 4180 with what DuckDB takes beyond it: a blank before and blanks behind quotes, and
quotes as text within a field that does not begin with one. Python's `csv` reads blanks there
otherwise, and the two readings of a file have to agree.
"""

from collections.abc import Callable

MOST_RECORD_BYTES = 2 * 2**20
"""The longest record that is read, its line end included; DuckDB has the same limit."""

_QUOTE = b'"'


class NotARecordError(ValueError):
    """Text that is no record; the message is the reason."""


def split_fields(
    text: bytes, delimiter: bytes, following: Callable[[], bytes | None]
) -> list[bytes]:
    """The fields of a record that begins with the line `text`.

    Args:
        text: without newline; carriage returns at its end belong to the line end.
        delimiter: separates fields.
        following: gives the next line in the same manner, when a quote is open; None if there is
            none that could belong to the record.

    Raises:
        NotARecordError: a quote is not closed, or something follows a closing one.
    """
    fields = []
    position = 0
    while True:
        # One blank may come before a quote; DuckDB takes a quote after more of them as text.
        start = position + text.startswith(b" ", position)
        if not text.startswith(_QUOTE, start):
            end = text.find(delimiter, position)
            fields.append(text[position:].rstrip(b"\r") if end < 0 else text[position:end])
        else:
            text, closing = _closing_quote(text, start + 1, following)
            fields.append(text[start + 1 : closing].replace(b'""', _QUOTE))
            end = closing + 1
            while text.startswith(b" ", end):
                end += 1
            if not text[end : end + 1].strip(b"\r") and not text[end:].strip(b"\r"):
                end = -1
            elif not text.startswith(delimiter, end):
                raise NotARecordError("text follows a closing quote")
        if end < 0:
            return fields
        position = end + len(delimiter)


def _closing_quote(
    text: bytes, position: int, following: Callable[[], bytes | None]
) -> tuple[bytes, int]:
    """The text, longer by the lines it took, and the place of the quote that ends the field."""
    while True:
        closing = text.find(_QUOTE, position)
        if closing < 0:
            position = len(text) + 1
            more = following()
            if more is None:
                raise NotARecordError("a quote is not closed")
            text += b"\n" + more
        elif text.startswith(_QUOTE, closing + 1):
            position = closing + 2
        else:
            return text, closing
