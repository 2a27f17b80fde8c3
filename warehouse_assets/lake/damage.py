"""What is wrong with the log of a table that cannot be opened, and what helps."""

import json
import re
from pathlib import Path

from sqlalchemy import Table

_ENTRY = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint.*\.parquet")
_PARQUET = b"PAR1"

# What deleting a table comes to, by what it is made from.
_COMES_AGAIN = {
    "archive": "the next run makes the table again from the archive",
    "computed": "the next run computes the table again",
}
_COMES_AGAIN_IN_PART = {
    "source": "the next run takes again what its source gives; rows that the source no longer has "
    "are lost",
    "log": "the next run takes again what the log and the rotated files beside it still hold; "
    "lines that are in none of them are lost",
    "rejects": "the next run rejects again what the archive holds; rejected records of other "
    "sources are lost",
}


def remedy(declaration: Table, folder: Path) -> str:
    """What to do about a table in `folder` that is damaged, in a sentence."""
    made_from = declaration.info.get("made_from", "computed")
    if made_from in _COMES_AGAIN:
        return f"Delete the folder {folder}: {_COMES_AGAIN[made_from]}."
    return (
        f"Restore the folder {folder} from a copy and run `warehouse rebuild`. Without a copy "
        f"delete it: {_COMES_AGAIN_IN_PART[made_from]}."
    )


def is_last_entry_empty(folder: Path, version: int) -> bool:
    """Whether the log's entry of that version is without content, which Delta takes for none."""
    try:
        return (folder / "_delta_log" / f"{version:020}.json").stat().st_size == 0
    except OSError:  # trimmed, after a checkpoint
        return False


def damage_of_log(folder: Path) -> str:
    """Which file of the table's log is damaged or missing, and how; empty if none is found."""
    try:
        names = sorted(path.name for path in (folder / "_delta_log").iterdir())
        return _damage_of(folder / "_delta_log", names)
    except OSError:
        return ""


def _damage_of(log: Path, names: list[str]) -> str:
    begin, hinted = 0, _hinted_version(log)
    checkpoints = [(int(match[1]), name) for name in names if (match := _CHECKPOINT.match(name))]
    if hinted is not None and hinted not in dict(checkpoints):
        return f"the checkpoint {log / f'{hinted:020}.checkpoint.parquet'} is missing"
    for version, name in checkpoints:
        if version == max(dict(checkpoints)):
            begin = version + 1
            content = (log / name).read_bytes()
            if not (content.startswith(_PARQUET) and content.endswith(_PARQUET)):
                return f"the checkpoint {log / name} is cut or damaged"
    entries = {int(match[1]): name for name in names if (match := _ENTRY.fullmatch(name))}
    for version in range(begin, max(entries, default=-1) + 1):
        if version not in entries:
            return f"the entry {log / f'{version:020}.json'} is missing"
        if not _is_readable((log / entries[version]).read_bytes()):
            return f"the entry {log / entries[version]} is empty, cut or damaged"
    return ""


def _hinted_version(log: Path) -> int | None:
    """The version of the newest checkpoint, as the log notes it."""
    try:
        return int(json.loads((log / "_last_checkpoint").read_bytes())["version"])
    except (OSError, ValueError, TypeError, KeyError):  # it is only a hint
        return None


def _is_readable(entry: bytes) -> bool:
    """Whether an entry is what it should be: an object of objects in each line."""
    try:
        lines = [json.loads(line) for line in entry.splitlines()]
    except ValueError:
        return False
    return bool(lines) and all(
        isinstance(line, dict) and all(isinstance(value, dict) for value in line.values())
        for line in lines
    )
