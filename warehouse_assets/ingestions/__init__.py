"""The journal of an ingestion: what became of one file that was delivered on demand.

A journal is a file of JSON lines in the folder `ingestions`. Whichever process does something
with the file appends to it (the service, a run, the command line), and whoever wants to know
follows it. What the events mean to a table, to HTTP or to Dagster is not known here.

    received {name, bytes}     the upload has begun
    queued {bytes}             the file is in the inbox, whole
    started {run_id}           a run has begun to take it
    progress {phase, seconds, …}    what is being done, and for how long; see below
    stored {rows, rejected}    its rows are in the lake
    published {table}          a table that follows from it is in the warehouse
    succeeded {rows, rejected, is_known}    the end
    failed {reason}            the end, unless a later run takes the file after all

A phase is `reading` (with `share`, `rows`, `bytes` of `bytes_total`, `rate` in bytes per second),
`checking` (the file is looked through once more for what cannot be used) or `storing`; then, for
each `table` that follows from it, `computing` and `publishing` (with `share`, and `done` of `total`
rows, once that is known). Phases come in this order and none comes again, and in each of them
`share` and `seconds` only grow, until another `started` begins anew.
"""

from warehouse_assets.ingestions.journal import (
    ENDS,
    EVENTS,
    Event,
    Ingestion,
    JournalReader,
    Webhook,
)
from warehouse_assets.ingestions.names import file_name, id_in, new_id, shown_name
from warehouse_assets.ingestions.store import Ingestions

__all__ = [
    "ENDS",
    "EVENTS",
    "Event",
    "Ingestion",
    "Ingestions",
    "JournalReader",
    "Webhook",
    "file_name",
    "id_in",
    "new_id",
    "shown_name",
]
