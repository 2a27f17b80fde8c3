"""The files of `deploy/`, read."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import warehouse_assets_tests

DEPLOY = Path(warehouse_assets_tests.__file__).parents[1] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"

# Its types are not installed.
_yaml: Any = import_module("yaml")

_REFERENCE = re.compile(r"\$\{(\w+):([-?])([^}]*)\}")


def documents(path: Path) -> list[dict[str, Any]]:
    """The YAML documents of a file."""
    return [*_yaml.safe_load_all(path.read_text("utf-8"))]


def references() -> dict[str, str | None]:
    """The variables that `compose.yaml` asks for, with their defaults; None of what must be set."""
    found = _REFERENCE.findall((DEPLOY / "compose.yaml").read_text("utf-8"))
    return {name: text if sign == "-" else None for name, sign, text in found}


def compose(**given: str) -> dict[str, Any]:
    """`compose.yaml` with the variables that it asks for replaced, as Compose does it."""
    text = (DEPLOY / "compose.yaml").read_text("utf-8")

    def value(found: re.Match[str]) -> str:
        name, sign, default = found.groups()
        return given.get(name, default if sign == "-" else f"given-{name.lower()}")

    loaded: dict[str, Any] = _yaml.safe_load(_REFERENCE.sub(value, text))
    return loaded


def dagster() -> dict[str, Any]:
    """`dagster.yaml`."""
    (loaded,) = documents(DEPLOY / "dagster.yaml")
    return loaded


def values() -> dict[str, Any]:
    """What Dagster's chart is given."""
    (loaded,) = documents(KUBERNETES / "values.yaml")
    return loaded


def dumped(value: Any) -> str:
    """YAML text."""
    text: str = _yaml.safe_dump(value)
    return text
