"""What surrounds a step: errors are retried where that can help, and explained where it cannot."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb
from deltalake.exceptions import DeltaError

from warehouse_assets.errors import PermanentError, TransientError, is_disk_full
from warehouse_assets.progress import heard_by
from warehouse_assets.terminal_text import make_visible, visible

_RETRIES = 3
_SECONDS_BETWEEN_RETRIES = 2.0


_Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext | dg.OpExecutionContext


@contextmanager
def in_step(context: _Context) -> Iterator[None]:
    """Surround the work of a step of a run."""
    context.log.addFilter(make_visible)
    with heard_by(tell=context.log.info), explained(context):
        yield


@contextmanager
def explained(context: _Context) -> Iterator[None]:
    """Turn the errors of the block into a retry or into a failure that says what to do."""
    try:
        yield
    except TransientError as error:
        context.log.warning(str(error))
        raise dg.RetryRequested(_RETRIES, _SECONDS_BETWEEN_RETRIES) from error
    except duckdb.OutOfMemoryException as error:
        raise dg.Failure(
            f"The run needs more memory than it may use: {error}. Nothing is half done. Raise the "
            "setting MEMORY_LIMIT, or free disk space if it was full.",
            allow_retries=False,
        ) from error
    except (PermanentError, DeltaError, duckdb.Error, OSError) as error:
        if is_disk_full(error):
            raise dg.Failure(
                f"The disk is full: {str(error).rstrip('.')}. Nothing is half done. Free some "
                "space; the next run continues where this one stopped.",
                allow_retries=False,
            ) from error
        if isinstance(error, PermanentError):
            raise dg.Failure(str(error), allow_retries=False) from error
        if not isinstance(error, OSError):  # which has names of files escaped
            error.args = (visible(str(error), "\n"),)
        raise
