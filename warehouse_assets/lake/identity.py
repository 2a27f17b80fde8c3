"""Which lake a folder is: the same one seen by another path, or another one, such as a copy."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

_FILE = ".lake_id"


@dataclass(frozen=True)
class LakeIdentity:
    """What tells a lake from others.

    Args:
        folder: where it is, without symbolic links.
        host: the machine's name for itself; that of a container may be another each time.
        lake_id: a random text, kept in the folder; empty if there is none. A copy of the folder
            has the same one.
        inode: number of the file with `lake_id`, which stays the same when the folder is moved
            within a file system or mounted elsewhere; a copy has another one.
    """

    folder: Path
    host: str
    lake_id: str
    inode: int


def identity_of(folder: Path, is_made: bool = True) -> LakeIdentity:
    """Tell which lake `folder` is.

    Args:
        is_made: whether to keep an id in the folder if there is none. Where that cannot be
            written, there is none.
    """
    path = folder / _FILE
    if is_made and not path.exists():
        with suppress(OSError):
            _make(path)
    try:
        lake_id, inode = path.read_text(encoding="ascii"), path.stat().st_ino
    except (OSError, ValueError):
        lake_id, inode = "", 0
    return LakeIdentity(Path(os.path.realpath(folder)), socket.gethostname(), lake_id, inode)


def _make(path: Path) -> None:
    """Write an id, unless another process is faster; nobody sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{_FILE}.{uuid4()}")
    try:
        fresh.write_text(str(uuid4()), encoding="ascii")
        os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
