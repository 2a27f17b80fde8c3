"""Variables of the environment whose names are slips for those of settings."""

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from warehouse_assets.errors import SettingError
from warehouse_assets.settings import SETTINGS, Settings

_NEAR = 0.85  # of 1, which is equal: a letter or two of a name of usual length
# Other software has such names, too (`API_KEY`): more is asked for before one is taken for a slip.
_COMMON = "API_"


def misspelt_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are no settings but nearly so, with the settings that may be meant."""
    known = [setting.variable for setting in SETTINGS]
    found = {}
    for name in sorted(environment.keys() - set(known)):
        near = get_close_matches(name.upper(), known, 1, _NEAR)
        if near and _may_be(name, environment[name], near[0]):
            found[name] = near[0]
    return found


_told: set[str] = set()


def slips_in_words(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """A sentence for each variable with a misspelt name, once in a process; no value is in it."""
    for name, meant in misspelt_settings(environment).items():
        if name not in _told:
            _told.add(name)
            yield (
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
