"""What a load did, as it is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.file_kinds import Unit
from warehouse_assets.lake import Written
from warehouse_assets.progress import tell


@dataclass(frozen=True)
class Loaded:
    """What a load did.

    Args:
        records: records that can be used, whether or not they changed the table.
        rejected: records that cannot be used, and were not rejected before.
        rejected_before: those that were, of a source that is read again.
        bytes_read: bytes of the source.
        written: what was written to the table.
        unknown_fields: fields of the source that no column is for.
        is_missing: whether there is no source, and need not be one.
        is_unchanged_source: whether it has not changed since all of it was read.
        files: the files that were loaded.
        refused: why nothing of a file could be used, by its name in the archive.
        known: names of files whose content had been loaded before.
        unfinished: names of files that are still being written.
        position: up to where a log has been loaded, in bytes from its beginning.
        restarts: how often reading went on in another file of a log, or in a truncated one.
        lag: bytes of an incomplete last line, left for next time.
        pages_read: answers of a server.
    """

    records: int = 0
    rejected: int = 0
    rejected_before: int = 0
    bytes_read: int = 0
    written: Written = field(default_factory=Written)
    unknown_fields: tuple[str, ...] = ()
    is_missing: bool = False
    is_unchanged_source: bool = False
    files: tuple[Unit, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    known: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    position: int = 0
    restarts: int = 0
    lag: int = 0
    pages_read: int = 0


def note_missing(place: str, setting: str, is_given: bool) -> Loaded:
    """Tell that a source is missing: `place` is what is not there, and where.

    Raises:
        SourceError: it may not be, for the setting of its place was given.
    """
    if is_given:
        raise SourceError(
            f"There is no {place}, where the setting {setting} says that it is. See why it is "
            "gone, or correct the setting."
        )
    tell(f"There is no {place}, the default of {setting}: nothing to take.")
    return Loaded(is_missing=True)
