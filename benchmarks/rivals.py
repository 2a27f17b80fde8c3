"""The environment of the libraries that the project is compared with.

It is not the project's own: where pandas or pyarrow can be imported, DuckDB does so as soon as a
statement has a parameter, which would add half a second to what is measured of the project.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_LIST = (
    "import importlib.metadata as m, json; "
    "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
)


@dataclass(frozen=True)
class Rivals:
    """An environment with some of the rivals, or none.

    Args:
        python: its interpreter.
        versions: of what is installed there, by name in small letters.
    """

    python: Path
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, python: Path) -> "Rivals":
        """What is installed for `python`: nothing if there is no such file."""
        python = python.absolute()  # not resolved: an environment's interpreter is a link
        if not python.exists():
            return cls(python)
        listed = subprocess.run([python, "-c", _LIST], capture_output=True, text=True, check=True)
        return cls(python, json.loads(listed.stdout))


NO_RIVALS = Rivals(Path())
