"""Text of any source on its way to a terminal: what would control the terminal is shown instead.

Names of files, values and reasons come from whoever delivers data. Escape sequences in them could
change colours and titles, move the cursor, hide lines or turn text around. Files that people ask
for, such as CSV and JSON, are not changed.
"""

import logging
import re

# Controls (C0, DEL, C1), marks and overrides of direction, what is not seen or separates lines or
# paragraphs, and halves of characters, which cannot be encoded.
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff]"
)


def visible(text: str, kept: str = "") -> str:
    r"""The text with every control character written as its escape, such as `\x1b` or `\n`.

    Args:
        kept: control characters that stay, such as the line ends of a message of several lines.
    """
    return _CONTROLS.sub(lambda match: _escaped(match[0], kept), text)


def _escaped(character: str, kept: str) -> str:
    return character if character in kept else ascii(character)[1:-1]


def make_visible(record: logging.LogRecord) -> bool:
    """A filter of logs that lets every record pass, with its message made visible."""
    # Only Dagster's own events are of several lines.
    kept = "\n" if hasattr(record, "dagster_event") else ""
    record.msg, record.args = visible(record.getMessage(), kept), ()
    return True


class VisibleFormatter(logging.Formatter):
    """Formats records of a log with their messages, and what failed, made visible."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record and, below it, the traceback if it has one."""
        shown = logging.makeLogRecord(vars(record))
        make_visible(shown)
        return visible(super().format(shown), "\n")
