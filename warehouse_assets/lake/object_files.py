"""Files in object storage as DuckDB reads them; imported where a lake is there.

obstore's own files do not serve: they have one place for all threads, and ask the store again and
again for what they know.
"""

import threading
from datetime import datetime
from typing import Any, ClassVar, cast

from obstore.fsspec import BufferedFile, FsspecStore

_READ_AT_ONCE = 1 << 20  # bytes of a small file
_MOST_KNOWN = 100_000  # files, of some hundred bytes each


class SharedFile(BufferedFile):
    """A file that threads may read at once: DuckDB has them share one, each at its place."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._of_thread = threading.local()
        self._content = self._range(0, self.size) if self.size <= _READ_AT_ONCE else None

    def seek(self, loc: int, whence: int = 0) -> int:
        """Go to a place, of this thread alone."""
        self._of_thread.at = loc + (0, self.tell(), self.size)[whence]
        return self.tell()

    def tell(self) -> int:
        """Where this thread is."""
        return cast(int, getattr(self._of_thread, "at", 0))

    def read(self, length: int = -1) -> bytes:
        """So many bytes, or all that are left; fewer only at the end of the file."""
        start = self.tell()
        end = self.size if length < 0 else min(start + length, self.size)
        self._of_thread.at = end
        return self._range(start, end) if self._content is None else self._content[start:end]

    def _range(self, start: int, end: int) -> bytes:
        return cast(bytes, self.fs.cat_file(self.path, start, end)) if start < end else b""


class RememberingStore(FsspecStore):
    """What is known of a file is not asked again: DuckDB asks eleven times in each query.

    A file that DuckDB reads has a name of its own and never changes.
    """

    known: ClassVar[dict[str, dict[str, Any]]] = {}

    async def _info(self, path: str, **options: Any) -> dict[str, Any]:
        if path not in self.known:
            found = await super()._info(path, **options)
            if len(self.known) > _MOST_KNOWN:
                self.known.clear()
            self.known[path] = found
        return self.known[path]

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: Any = None,
        autocommit: Any = True,
        cache_options: Any = None,
        **options: Any,
    ) -> BufferedFile:
        del block_size, autocommit, cache_options
        kind = SharedFile if mode == "rb" else BufferedFile
        return kind(self, path, cast(Any, mode), **options)

    def modified(self, path: str) -> datetime:
        """When a file was written."""
        return cast(datetime, self.info(path)["last_modified"])
