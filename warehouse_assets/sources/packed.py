"""Files compressed by gzip, unpacked within a limit: some kilobytes may unpack to any size."""

import gzip
import zlib
from pathlib import Path

GZIP_MAGIC = b"\x1f\x8b"
"""How such a file begins."""

DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading one may raise."""

UNPACKED_LIMIT = 100 * 10**9
"""Bytes that a file may unpack to where nothing else is said."""

_CHUNK_BYTES = 1 << 20


class UnreadableFileError(ValueError):
    """A file that cannot be read as records at all; the message is the reason."""


def unpack(path: Path, target: Path, most_bytes: int) -> None:
    """Write the content of the packed file at `path` to `target`.

    Raises:
        UnreadableFileError: the file is damaged, or there is more than `most_bytes` in it; then
            `target` is not kept.
    """
    size = 0
    try:
        with gzip.open(path, "rb") as reader, target.open("wb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > most_bytes:
                    target.unlink()
                    raise UnreadableFileError(
                        f"the compressed file unpacks to more than {most_bytes:,} bytes (setting "
                        "UNPACKED_LIMIT)"
                    )
                writer.write(chunk)
    except DAMAGED as error:
        raise UnreadableFileError(f"the compressed file is cut off or damaged ({error})") from None
