"""Where the tables of a lake are: in a folder, or in object storage (`s3://BUCKET/PREFIX`).

Both are a `Place`, with the methods of `pathlib` that the lake needs. Object storage is read and
written by Delta itself, and through obstore by DuckDB and here; both take the usual AWS_* variables
from the environment. obstore comes with the extra `s3`, and is imported when such a lake is used.

In object storage a file is there whole or not at all, and the store keeps checksums of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

from warehouse_assets.errors import SettingError, StoreError, naming

if TYPE_CHECKING:
    import duckdb
    from upath import UPath

Place: TypeAlias = "Path | UPath"

# How long a request is tried again that the store refuses (503) or does not answer. Tries are many,
# for the pauses between them begin with a tenth of a second.
_SECONDS_OF_TRIES = 20
_MOST_TRIES = 50
_FOR_DELTA = {"retry_timeout": f"{_SECONDS_OF_TRIES}s", "max_retries": str(_MOST_TRIES)}
_TRIES: dict[str, Any] = {
    "retry_config": {
        "retry_timeout": timedelta(seconds=_SECONDS_OF_TRIES),
        "max_retries": _MOST_TRIES,
    }
}
# With this begin the messages of Delta, of obstore, and of DuckDB for obstore; pages may follow.
_FAILED = re.compile(r"Generic S3 error:?\s*(.*?)\s*(?:\n\s*Debug source|\n\n|\Z)", re.DOTALL)
_DRAWING = re.compile(r"\x1b\[\d*m|↳")
_LONGEST = 300
_SECONDS_OF_A_FAILURE = 30
_failed: dict[str, tuple[float, StoreError]] = {}  # by bucket: when its tries came to an end


def place_of(uri: Path | str) -> Place:
    """The place that the setting LAKE_URI names: a folder, or `s3://BUCKET/PREFIX`.

    Raises:
        SettingError: it is in object storage, and the extra for it is not installed.
    """
    if isinstance(uri, Path):
        return uri
    try:
        from obstore.fsspec import register
        from upath import UPath
    except ImportError as error:
        raise SettingError(
            f"LAKE_URI is {uri}, but what reads object storage is not installed ({error}). "
            "Install it (`pip install '.[s3]'`), or name a folder."
        ) from error
    register("s3")
    place: UPath = UPath(uri, **_TRIES)
    return place


def options_for_delta(place: Place) -> dict[str, str] | None:
    """The storage options of Delta tables in `place`, beside those in the environment."""
    return None if isinstance(place, Path) else _FOR_DELTA


def make_readable(place: Place, engine: duckdb.DuckDBPyConnection) -> None:
    """Have DuckDB read and write `place` by the same addresses as Delta."""
    if isinstance(place, Path):
        return
    from warehouse_assets.lake.object_files import RememberingStore

    engine.register_filesystem(RememberingStore("s3", **_TRIES))


def names_in(folder: UPath) -> set[str]:
    """The names of all files in a folder of object storage, relative to it.

    Raises:
        StoreError: the object storage refused, or did not answer for some time.
    """
    with store_explained(folder):
        beginning = len(folder.path.rstrip("/")) + 1
        return {path[beginning:] for path in folder.fs.find(folder.path)}


def remove_folder(folder: Place) -> None:
    """Remove a folder with all that is in it, if it is there."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        folder.rmdir(recursive=True)


def read_whole(path: Place) -> bytes | None:
    """What is in a small file; None if it is not there.

    Raises:
        OSError: the file cannot be read.
        StoreError: the object storage refused, or did not answer for some time.
    """
    try:
        if isinstance(path, Path):
            return path.read_bytes()
        with store_explained(path):
            content: bytes = path.fs.cat_file(path.path)
            return content
    except FileNotFoundError:
        return None


def write_whole(path: Place, content: bytes) -> None:
    """Write a small file, whole or not at all, in place of one that is there.

    Raises:
        OSError: the file cannot be written.
        StoreError: the object storage refused, or did not answer for some time.
    """
    if not isinstance(path, Path):
        with store_explained(path):
            path.fs.pipe_file(path.path, content)
        return
    with naming(path), _unfinished(path, content, False) as unfinished:
        unfinished.replace(path)


def create_whole(path: Place, content: bytes) -> None:
    """Write a small file that is not there yet, whole or not at all.

    Raises:
        FileExistsError: it is there. In object storage that may be by this call, if an answer was
            lost and the request tried again.
        OSError: the file cannot be written.
        StoreError: the object storage refused, or did not answer for some time.
    """
    if isinstance(path, Path):
        with naming(path), _unfinished(path, content, True) as unfinished:
            path.hardlink_to(unfinished)
        return
    from obstore.exceptions import AlreadyExistsError
    from obstore.store import from_url

    try:
        with store_explained(path):
            from_url(str(path.parent), **_TRIES).put(path.name, content, mode="create")
    except AlreadyExistsError as error:
        raise FileExistsError(f"{path} exists") from error


@contextmanager
def _unfinished(path: Path, content: bytes, is_durable: bool) -> Iterator[Path]:
    """A whole file beside `path` that is gone when the block ends.

    Args:
        is_durable: whether it outlives a crash of the machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"_{uuid4()}.tmp")
    try:
        with unfinished.open("wb") as stream:
            stream.write(content)
            if is_durable:
                stream.flush()
                os.fsync(stream.fileno())
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def store_explained(place: Place) -> Iterator[None]:
    """Have an error of object storage say where it is and what to do.

    A store that did not answer a moment ago is not asked again: a run has many tables.

    Raises:
        StoreError: the store refused a request, or did not answer for some time.
    """
    bucket = "" if isinstance(place, Path) else str(place).split("/")[2]
    if bucket in _failed and time.monotonic() - _failed[bucket][0] < _SECONDS_OF_A_FAILURE:
        raise _failed[bucket][1]
    try:
        yield
    except Exception as error:
        found = None if isinstance(place, Path) else _FAILED.search(str(error))
        if found is None:
            raise
        said = " ".join(_DRAWING.sub("", found[1]).split())[:_LONGEST].rstrip(".")
        failure = StoreError(
            f"The lake in {place} cannot be read or written: {said}. Nothing is half done; the "
            "same run again continues here. Check that the store answers and lets this process in "
            "(settings LAKE_URI, AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY)."
        )
        if "retries" in said or "timed out" in said:
            _failed[bucket] = time.monotonic(), failure
        raise failure from error
