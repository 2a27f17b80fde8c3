"""One trial: a warehouse takes deliveries while it is killed again and again, and is then judged.

It must end with what a warehouse holds that took the same deliveries undisturbed, and `votes` and
`trips` with what plain Python says.
"""

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from warehouse_assets_tests.stress import tasks
from warehouse_assets_tests.stress.deliveries import File, Supplier, trips_of, votes_of
from warehouse_assets_tests.stress.points import OF_A_RUN, OF_MAINTENANCE, Point, arm
from warehouse_assets_tests.stress.warm import Child, compare

AT_RANDOM = "at a random moment"
AT_RANDOM_IN_MAINTENANCE = "at a random moment of maintenance"


class Killer:
    """Starts processes and kills them, mostly where it has killed least so far."""

    def __init__(self, figures: Counter[str]) -> None:
        self.figures = figures
        self.kills: Counter[str] = Counter()
        self._longest = 1.0

    @property
    def points(self) -> int:
        """At how many points something was killed."""
        return sum(1 for point in (*OF_A_RUN, *OF_MAINTENANCE) if self.kills[str(point)])

    def account(self) -> str:
        """The kills by point, a line each."""
        points = [str(point) for point in (*OF_A_RUN, *OF_MAINTENANCE)]
        names = [*points, AT_RANDOM, AT_RANDOM_IN_MAINTENANCE]
        return "\n".join(f"{self.kills[name]:6}  {name}" for name in names)

    def strike(
        self,
        source: random.Random,
        home: Path,
        task: Callable[[], None],
        points: Sequence[Point],
        at_random: str,
    ) -> bool:
        """Do `task` in a process and kill it; False if it ended before it could be killed."""
        note = home.parent / "died"
        note.write_text(at_random)
        if source.random() < 0.25:
            child = Child(task, home.parent / "children")
            child.wait(source.uniform(0.0, self._longest))
            child.kill()
        else:
            fatal = partial(arm, self._least_killed(source, points), home / "lake", note)
            started = time.monotonic()
            child = Child(partial(tasks.armed, task, fatal), home.parent / "children")
            if child.wait() == 0:
                self._longest = time.monotonic() - started
        if child.wait() == -signal.SIGKILL:
            self.kills[note.read_text()] += 1
            return True
        child.result()
        return False

    def _least_killed(self, source: random.Random, points: Sequence[Point]) -> list[Point]:
        """A third of the points, or one: those with the fewest kills, by chance among equals.

        Of several the earliest in the run kills; only alone do the latest get their turn.
        """
        by_kills = sorted(points, key=lambda point: (self.kills[str(point)], source.random()))
        return by_kills[: max(len(points) // 3, 1) if source.random() < 0.7 else 1]


def trial(seed: int, folder: Path, killer: Killer, deliveries: int) -> None:
    """Let a warehouse in `folder` live through that many deliveries, killed in most of them.

    Raises:
        DifferenceError: it does not end as it must.
    """
    source = random.Random(seed)
    supplier = Supplier(source)
    life = [supplier.delivery() for _ in range(deliveries)]
    children = folder / "children"
    home = folder / "killed"
    reference = Child(partial(tasks.undisturbed, folder / "undisturbed", life), children)
    try:
        for delivery in life:
            _lose_something(source, home, killer)
            for file in delivery:
                file.put(home / "inbox")
            _take(source, home, killer)
        last, again = Child(partial(tasks.outcomes, home), children).result()
        expected: tasks.Outcome = reference.result()
    finally:
        reference.kill()
    _judge(supplier.files, expected, last, again)
    killer.figures["crash trials"] += 1
    killer.figures["kills"] = killer.kills.total()
    killer.figures["points of kills"] = killer.points
    killer.figures["files"] += len(supplier.files)
    killer.figures["rows"] += sum(len(rows) for rows in last.state["lake"].values())
    shutil.rmtree(folder)


def _take(source: random.Random, home: Path, killer: Killer) -> None:
    """Take what is in the inbox, be killed in it, and perhaps go on with it half taken."""
    for _ in range(source.randint(1, 4)):
        by_week = source.random() < 0.5  # files of one table, then of another, change their layout
        if source.random() < 0.25 and (home / "warehouse.db").exists():
            task = partial(tasks.maintained, home, by_week=by_week)
            killer.strike(source, home, task, OF_MAINTENANCE, AT_RANDOM_IN_MAINTENANCE)
        else:
            # No point is in the checks; at random moments some are killed in them.
            task = partial(tasks.run, home, checks=source.random() < 0.25, by_week=by_week)
            if not killer.strike(source, home, task, OF_A_RUN, AT_RANDOM):
                return


def _lose_something(source: random.Random, home: Path, killer: Killer) -> None:
    """Lose the lake or the warehouse, as the archive and the lake are there for."""
    if source.random() < 0.1:
        shutil.rmtree(home / "lake", ignore_errors=True)
        killer.figures["losses"] += 1
    if source.random() < 0.1:
        for path in home.glob("warehouse.db*"):
            path.unlink()
        killer.figures["losses"] += 1


def _judge(
    files: Sequence[File], expected: tasks.Outcome, last: tasks.Outcome, again: tasks.Outcome
) -> None:
    for part, contents in expected.state.items():
        compare(f"the {part} and that of an undisturbed warehouse", contents, last.state[part])
    compare("votes and the model", votes_of(files), last.votes)
    compare("trips and the model", trips_of(files), last.state["lake"]["trips"])
    compare("the inbox and an empty one", [], last.state["inbox"])
    compare("the folders of temporary files and empty ones", [], last.leftovers)
    compare("versions before and after a further run", last.versions, again.versions)
    compare("contents before and after a further run", last.state, again.state)
