"""What was made of the feed, so that it can be told from what others have put into it.

A file in the folder of what was made remembers how long the feed was and what it held then; it is
written before the feed is, so that a killed process leaves nothing that is not remembered.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import xxhash

from warehouse_assets.samples.school_files import writing

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class MadeFeed:
    """A feed as it was made.

    Args:
        path: where it is.
        size: how many bytes it had before the last lines.
        digest: the hash of these.
        size_after: how many it has with the last lines.
    """

    path: str
    size: int
    digest: str
    size_after: int

    def is_as_made(self) -> bool:
        """Whether nobody else has changed the feed."""
        feed = Path(self.path)
        if not feed.exists():
            return False
        size = feed.stat().st_size
        return self.size <= size <= self.size_after and hash_of(feed, self.size) == self.digest

    def remember(self, ledger: Path) -> None:
        """Write it to the file `ledger`."""
        partial = ledger.with_name(f".{ledger.name}.part")
        with writing(ledger):
            ledger.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(asdict(self)), encoding="utf-8")
            partial.replace(ledger)


def remembered(ledger: Path) -> MadeFeed | None:
    """What the file `ledger` tells; None if there is none that can be read."""
    try:
        return MadeFeed(**json.loads(ledger.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def hash_of(path: Path, size: int) -> str:
    """The hash of the first `size` bytes of the file."""
    found = xxhash.xxh3_64()
    with path.open("rb") as stream:
        while size > 0 and (block := stream.read(min(_BLOCK_BYTES, size))):
            found.update(block)
            size -= len(block)
    return found.hexdigest()


def ledger_in(made: Path) -> Path:
    """The file that remembers the feed, in the folder of what was made."""
    return made / "deliveries.json"
