"""Named places at which a process may be killed, and no record is lost or taken twice.

Each stands between two steps that only together bring a table, a file or the warehouse from one
state to the next. Nothing happens at them, unless a test sets `hook` to kill the process, or to
raise an error, at one of them. Their names survive when the code around them moves.
"""

from collections.abc import Callable

hook: Callable[[str, str], object] | None = None
"""Called at every crash point with its name and its subject; only tests set it."""


def crash_point(name: str, subject: str) -> None:
    """Mark a place where a crash must do no harm.

    Args:
        name: what has just been done, or is just about to be done.
        subject: the table that it is done to, or the folder of the archive.
    """
    if hook is not None:
        hook(name, subject)
