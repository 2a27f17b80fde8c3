"""The process of one measurement: `python -m benchmarks.subject`, its order on standard input.

It prints one line of JSON. Start-up (Python and the imports, Dagster among them) is reported
apart from the work, and peak memory is that of this process or of the largest it started.
"""

import contextlib
import importlib
import json
import resource
import sys
import time
from pathlib import Path

from benchmarks.context import Context, peak_memory
from benchmarks.data import Data


def main() -> None:
    """Do what the order on standard input says."""
    order = json.load(sys.stdin)
    module = importlib.import_module(f"benchmarks.subjects.{order['module']}")
    startup = time.monotonic() - order["spawned_at"]
    data = Data(Path(order["data"]), order["votes"], order["trips"])
    context = Context(data, Path(order["templates"]), Path(order["folder"]))
    with contextlib.redirect_stdout(sys.stderr):
        getattr(module, order["function"])(context, **order["options"])
    unit = 1 if sys.platform == "darwin" else 1024
    own = peak_memory() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    report = {
        "seconds": context.seconds,
        "startup": startup + context.startup,
        "peak_bytes": max(own, children, context.peak_bytes),
        "bytes_read": context.bytes_read,
        "details": context.details,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
