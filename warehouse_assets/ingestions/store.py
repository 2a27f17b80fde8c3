"""All ingestions: the folder of their journals."""

import logging
import time
from datetime import timedelta
from pathlib import Path

from warehouse_assets.errors import SourceError
from warehouse_assets.ingestions.journal import Ingestion, Webhook
from warehouse_assets.ingestions.names import id_in, is_id, new_id

_logger = logging.getLogger(__name__)


class Ingestions:
    """The journals in a folder, which is made when the first one is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(
        self,
        name: str,
        size: int | None = None,
        webhook: str | None = None,
        ingestion_id: str | None = None,
    ) -> Ingestion:
        """Begin the journal of a file, with the event `received`.

        Args:
            name: what the file is called where it comes from; it may be any text.
            size: its bytes, if known.
            webhook: address that is told the events.
            ingestion_id: an id from `new_id`, for a file that needed its name first.

        Raises:
            SourceError: the journal cannot be written.
        """
        ingestion = Ingestion(ingestion_id or new_id(), self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if webhook is not None:
                ingestion.set_webhook(Webhook(webhook))
            ingestion.begin(name, size)
        except OSError as error:
            raise SourceError(
                f"The journal of an ingestion cannot be written to {self.folder}: "
                f"{error.strerror}. Check the folder's permissions and the space on its disk "
                "(setting WAREHOUSE_HOME)."
            ) from error
        return ingestion

    def of_file(self, name: str) -> Ingestion | None:
        """The ingestion of the file called `name` in the inbox or the archive, if it has one."""
        found = id_in(name)
        return self.get(found) if found else None

    def get(self, ingestion_id: str) -> Ingestion | None:
        """The ingestion of that id, which may be any text, or None if there is none."""
        if not is_id(ingestion_id):
            return None
        ingestion = Ingestion(ingestion_id, self.folder)
        return ingestion if ingestion.path.is_file() else None

    def all(self) -> list[Ingestion]:
        """Every ingestion that has a journal, the newest first."""
        ids = {path.stem for path in self.folder.glob("*.jsonl")}
        return [Ingestion(stem, self.folder) for stem in sorted(ids, reverse=True) if is_id(stem)]

    def waiting(self) -> list[Ingestion]:
        """The ingestions that are not over, the newest first."""
        return [ingestion for ingestion in self.all() if not ingestion.is_over]

    def with_webhook(self) -> list[Ingestion]:
        """The ingestions whose webhook has not been told everything yet, the newest first."""
        return [ingestion for ingestion in self.all() if ingestion.webhook_path.is_file()]

    def prune(self, days: int) -> int:
        """Remove the journals of ingestions that are over and of which nothing was heard for
        `days`; returns how many.
        """
        oldest = time.time() - timedelta(days=days).total_seconds()
        pruned = 0
        for ingestion in self.all():
            try:
                if ingestion.path.stat().st_mtime < oldest and ingestion.is_over:
                    ingestion.webhook_path.unlink(missing_ok=True)
                    ingestion.path.unlink()
                    pruned += 1
            except OSError as error:
                _logger.warning("The journal %s cannot be removed: %s", ingestion.path, error)
        return pruned
