"""Hashes of a table's Parquet files, kept when they are written, so that damage is noticed.

They are in the table's folder, a line a file; vacuuming leaves names that begin with `_`. A file
whose hash is lost, for a process died or an older release wrote it, is one without a hash, until
maintenance keeps one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import xxhash
from deltalake import DeltaTable

from warehouse_assets.errors import LakeError
from warehouse_assets.lake.damage import remedy
from warehouse_assets.lake.lake import LakeTable

HASHES = "_hashes"
"""The file of a table's folder that keeps the hashes of its files."""
_BYTES_AT_ONCE = 2**20
_PARTS = 2


@dataclass(frozen=True)
class Verified:
    """What became of comparing the files of a table's newest version with their hashes.

    Args:
        files: how many there are.
        without_hash: names of those of which no hash is kept.
        damaged: what is wrong with others, in words.
    """

    files: int = 0
    without_hash: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


def keep_hashes(table: LakeTable, names: Iterable[str]) -> None:
    """Keep the hashes of files of the table as they are now. The caller holds the table's lock."""
    # Begins with a new line, for a dying process may have left one that does not end.
    lines = [f"\n{_hash_of(table.path / name)} {name}" for name in names]
    if lines:
        with (table.path / HASHES).open("a", encoding="utf-8") as stream:
            stream.write("".join(lines))


def names_of(handle: DeltaTable) -> list[str]:
    """The names of the files of the version that `handle` stands at."""
    return [uri.rpartition("/")[2] for uri in handle.file_uris()]


def verify(table: LakeTable) -> Verified:
    """Compare every file of the table's newest version with the hash that was kept of it.

    Raises:
        LakeError: the table cannot be opened.
    """
    handle = table.open_existing()
    if handle is None:
        return Verified()
    kept, names = _kept(table), names_of(handle)
    wrong: dict[str, str] = {}
    for name in names:
        try:
            if name in kept and _hash_of(table.path / name) != kept[name]:
                wrong[name] = "is not what was committed: bytes of it have changed"
            elif name not in kept:
                (table.path / name).stat()
        except OSError as error:
            wrong[name] = f"cannot be read: {error.strerror}"
    if wrong:  # what another process has replaced and removed meanwhile is not of the table
        present = set(names_of(table.open()))
        wrong = {name: how for name, how in wrong.items() if name in present}
    return Verified(
        len(names),
        tuple(name for name in names if name not in kept and name not in wrong),
        tuple(f"The file {table.path / name} {how}." for name, how in wrong.items()),
    )


def verify_and_adopt(table: LakeTable) -> None:
    """As `verify`; then keep hashes of files that have none, and forget those of files gone.

    The caller holds the table's lock.

    Raises:
        LakeError: a file is damaged, or the table cannot be opened.
    """
    found = verify(table)
    if found.damaged:
        raise LakeError(" ".join([*found.damaged, remedy(table.declaration, table.path)]))
    if not found.files:
        (table.path / HASHES).unlink(missing_ok=True)
        return
    keep_hashes(table, found.without_hash)
    kept = {name: digest for name, digest in _kept(table).items() if (table.path / name).exists()}
    fresh = table.path / f"{HASHES}.new"
    fresh.write_text("".join(f"{digest} {name}\n" for name, digest in kept.items()), "utf-8")
    fresh.replace(table.path / HASHES)


def _kept(table: LakeTable) -> dict[str, str]:
    """Hash by name; a line that a dying process left half written counts for nothing."""
    try:
        lines = (table.path / HASHES).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    parts = [line.split(" ") for line in lines]
    return {part[1]: part[0] for part in parts if len(part) == _PARTS}


def _hash_of(path: Path) -> str:
    """The xxh3-128 hash of a file."""
    state, buffer = xxhash.xxh3_128(), bytearray(_BYTES_AT_ONCE)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as stream:
        while size := stream.readinto(buffer):
            state.update(view[:size])
    return state.hexdigest()
