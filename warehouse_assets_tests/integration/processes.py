"""The commands as processes of their own, as people and schedulers start them."""

import os
import subprocess
import sys
from pathlib import Path

import warehouse_assets_tests
from warehouse_assets_tests.house import House

BIN = Path(sys.executable).parent
_REPOSITORY = Path(warehouse_assets_tests.__file__).parents[1]


def start(house: House, *command: str | Path) -> subprocess.Popen[str]:
    """Start a command of this environment over the warehouse `house`."""
    return subprocess.Popen(
        [BIN / command[0], *command[1:]],
        env={**os.environ, **house.environment, "PYTHONPATH": str(_REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(house: House, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment over the warehouse `house`; returns when it has ended."""
    process = start(house, *command)
    stdout, stderr = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
