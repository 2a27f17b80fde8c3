"""What can go wrong, sorted by what helps.

    WarehouseAssetsError
    ├── PermanentError        trying again changes nothing: a person has to act
    │   ├── SettingError      a setting has a value that cannot be used
    │   ├── SourceError       a source, the inbox or the archive cannot be read or written
    │   ├── LakeError         a table of the lake is not what it should be
    │   └── WarehouseError    the SQL database cannot be used
    └── TransientError        trying again may help
        ├── ConflictError     another writer committed to the same table first
        └── BusyError         a lock was not released in time

Every message says what is wrong, where, and what to do.
"""


class WarehouseAssetsError(Exception):
    """Any error whose message is meant for the person who runs the warehouse."""


class PermanentError(WarehouseAssetsError):
    """Trying again changes nothing: a person has to act."""


class SettingError(PermanentError):
    """A setting has a value that cannot be used; the message names the setting."""


class SourceError(PermanentError):
    """A source, the inbox or the archive cannot be read or written."""


class LakeError(PermanentError):
    """A table of the lake is not what it should be."""


class WarehouseError(PermanentError):
    """The SQL database cannot be used."""


class TransientError(WarehouseAssetsError):
    """Trying again may help."""


class ConflictError(TransientError):
    """Another writer committed to the same table first."""


class BusyError(TransientError):
    """A lock was not released in time."""
