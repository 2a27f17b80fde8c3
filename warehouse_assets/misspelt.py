"""Names of environment variables that are nearly those of settings: slips that would be ignored.

Only names are compared, and other software's variables should not be taken for slips: what names
the service's settings have (`API_KEY`, `APP_URL`) is common, so that there more is asked for.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches

from warehouse_assets.errors import SettingError
from warehouse_assets.progress import tell
from warehouse_assets.settings import SETTINGS, Settings

_NEAR = 0.85  # of 1, which is equal: a letter or two of a name of usual length
_COMMON = "API_"
_told: set[str] = set()


def misspelt_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are no settings but nearly so, with the settings that may be meant."""
    known = [setting.variable for setting in SETTINGS]
    found = {}
    for name in sorted(environment.keys() - set(known)):
        near = get_close_matches(name.upper(), known, 1, _NEAR)
        if near and _may_be(name, environment[name], near[0]):
            found[name] = near[0]
    return found


def tell_misspelt_settings(environment: Mapping[str, str] | None = None) -> None:
    """Tell of each of them, once in a process."""
    environment = os.environ if environment is None else environment
    for name, meant in misspelt_settings(environment).items():
        if name not in _told:
            _told.add(name)
            tell(
                f"The environment variable {name} is ignored: there is no such setting. Is "
                f"{meant} meant? docs/settings.md lists all settings."
            )


def _may_be(name: str, value: str, variable: str) -> bool:
    """Whether the variable is likely to be meant as the setting, and not for other software."""
    if not variable.startswith(_COMMON):
        return True
    try:
        Settings.from_environment({variable: value})
    except SettingError:
        return False
    return name.upper().startswith(_COMMON) and bool(value)
