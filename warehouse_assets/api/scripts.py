"""What browsers draw charts with: Vega-Lite, as the package that draws them here has it."""

import gzip
import os
from importlib.metadata import version
from pathlib import Path

from anyio import CapacityLimiter
from anyio.to_process import run_sync

_EXPORTED = "export { vegaEmbed }"


async def charting_script(folder: Path, limiter: CapacityLimiter) -> Path:
    """A gzip file of a JavaScript module with `vegaEmbed`, made once and kept in a folder.

    To make it takes a JavaScript engine some seconds and 200 MB, in a process of its own.

    Args:
        limiter: how many such processes there are at most.
    """
    kept = folder / f"vega_{version('vl-convert-python')}.js.gz"
    if not kept.exists():
        await run_sync(_make, kept, limiter=limiter)
    return kept


def _make(target: Path) -> None:
    if target.exists():  # by now
        return
    import vl_convert

    made = gzip.compress(vl_convert.javascript_bundle(_EXPORTED).encode())
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}")
    part.write_bytes(made)
    part.replace(target)
