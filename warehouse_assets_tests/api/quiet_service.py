"""The service without runs, on a free port, which it prints: `python -m …`."""

import sys

from warehouse_assets.api.app import build_app
from warehouse_assets.api.server import listen, serve
from warehouse_assets.settings import Settings
from warehouse_assets_tests.api.serving import NoRuns

if __name__ == "__main__":
    with listen("127.0.0.1", 0) as listening:
        sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        serve(build_app(Settings.from_environment(), NoRuns()), listening)
