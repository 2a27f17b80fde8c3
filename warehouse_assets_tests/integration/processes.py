"""Processes that are killed, and the commands as people and schedulers start them."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import warehouse_assets_tests
from warehouse_assets_tests.house import House

BIN = Path(sys.executable).parent
REPOSITORY = Path(warehouse_assets_tests.__file__).parents[1]
_DEFINITIONS = "warehouse_assets.definitions"

# Forks each process from one that has the modules, to import which takes longer than most runs.
_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(
    ["pytest", "dagster.cli", _DEFINITIONS, "warehouse_assets.api.app", __name__]
)


def start(house: House, *command: str | Path) -> subprocess.Popen[str]:
    """Start a command of this environment over the warehouse `house`."""
    return subprocess.Popen(
        [BIN / command[0], *command[1:]],
        env={**os.environ, **house.environment, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(house: House, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment over the warehouse `house`; returns when it has ended."""
    process = start(house, *command)
    stdout, stderr = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def fork(function: Callable[..., object], *arguments: Any) -> BaseProcess:
    """Start a process that calls a function of a module; its modules are imported already."""
    process = _forking.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def fork_command(house: House, output: Path, *command: str | Path) -> BaseProcess:
    """Start a command as `start` does, its modules imported; what it tells goes to `output`."""
    environment = {**os.environ, **house.environment}
    return fork(run_command, [str(word) for word in command], environment, output)


def run_forked(house: House, output: Path, *command: str | Path) -> tuple[int | None, str]:
    """Run a command as `fork_command` starts it; returns its exit code and what it told."""
    process = fork_command(house, output, *command)
    process.join(timeout=120)
    return process.exitcode, output.read_text()


def tell_in(output: Path) -> None:
    """Let what this process tells go to `output`."""
    with output.open("wb") as stream:
        for told in (1, 2):
            os.dup2(stream.fileno(), told)


def run_command(command: list[str], environment: Mapping[str, str], output: Path) -> None:
    """Do what the script of the command does."""
    tell_in(output)
    os.environ.clear()
    os.environ.update(environment)
    # A part of it follows from the settings, which are others now.
    sys.modules.pop(_DEFINITIONS)
    (script,) = entry_points(group="console_scripts", name=command[0])
    sys.argv = command
    sys.exit(script.load()())
