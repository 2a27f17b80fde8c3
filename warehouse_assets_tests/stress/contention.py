"""One trial: two runs at once, maintenance and readers beside them, and files that keep coming.

Nothing may fail but what is killed, no reader may see half a change, and in the end every row is
there once. A run that waits must say for what.
"""

import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from warehouse_assets.progress import heard_by
from warehouse_assets_tests.house import FORUM, House, post, vote
from warehouse_assets_tests.stress import tasks
from warehouse_assets_tests.stress.deliveries import File
from warehouse_assets_tests.stress.readers import GROUP, long_change, read_lake, read_warehouse
from warehouse_assets_tests.stress.tasks import ENVIRONMENT
from warehouse_assets_tests.stress.warm import SECONDS_BEFORE_IT_HANGS, Child, compare, demand

_POSTS = 5
_GROUPS = 300
_KEEP_DAYS = 1  # readers of versions that are a moment old are about
_WAITING = "Waiting for another run that is changing the table "
_SECONDS_OF_A_LONG_CHANGE = 3.0
# What must have happened before a crowd goes home, however busy the machine is.
_LEAST_RUNS = 1
_LEAST_MAINTENANCES = 1


class GroupSupplier:
    """Sends groups of votes, new and changed, and knows what must come of them."""

    def __init__(self, source: random.Random, inbox: Path) -> None:
        self.source = source
        self.inbox = inbox
        self.groups: dict[int, int] = {}
        self.posts = 0
        self.files = 0
        self.rejected = 0

    def send(self) -> None:
        """Deliver the next file: five posts, or some groups of votes."""
        self.files += 1
        second = 1_700_000_000 + self.files
        if self.source.random() < 0.3:
            records = [post(self.posts + number) for number in range(1, _POSTS + 1)]
            self.posts += _POSTS
            kind = "posts"
        else:
            groups = self.source.sample(range(1, _GROUPS + 1), self.source.randint(1, 40))
            records = [record for group in groups for record in _group(group, self.files)]
            self.groups |= dict.fromkeys(groups, self.files)
            kind = "votes"
            for _ in range(self.source.randint(0, 2)):
                self.rejected += 1
                records.append({"Id": "x"})
        content = "\n".join(map(json.dumps, records)).encode()
        File(kind, f"{kind}-{self.files:06d}.jsonl", content, second).put(self.inbox)

    def votes(self) -> list[tuple[int, int, int]]:
        """Number, post and user of all votes there must be."""
        return [
            (group * GROUP + number, group, marker)
            for group, marker in sorted(self.groups.items())
            for number in range(GROUP)
        ]


def _group(group: int, marker: int) -> Iterable[dict[str, Any]]:
    for number in range(GROUP):
        day = "2022-01-03" if number < GROUP // 2 else "2022-02-07"
        yield vote(group * GROUP + number, group, day, UserId=str(marker))


def run_until(home: Path, end: Path, noted: bool = False) -> tuple[int, int, int]:
    """Run again and again; returns how often, and how often a wait was told or a step retried.

    Args:
        noted: whether a file is made beside `home` when a run begins to wait; it makes no checks.
    """

    def note(sentence: str) -> None:
        if noted and _WAITING in sentence:
            _has_waited(home).touch()

    runs, waits, retries = 0, 0, 0
    while runs < _LEAST_RUNS or not end.exists():
        with heard_by(note), dg.DagsterInstance.ephemeral() as instance:
            result = tasks.run_in(House(home, instance, **ENVIRONMENT), FORUM, checks=not noted)
            logged = [entry.user_message for entry in instance.all_logs(result.run_id)]
        waits += sum(1 for message in logged if _WAITING in message)
        retries += len(result.filter_events(lambda event: event.is_step_up_for_retry))
        runs += 1
    return runs, waits, retries


def maintain_until(home: Path, end: Path) -> int:
    """Maintain again and again; returns how often."""
    times = 0
    while times < _LEAST_MAINTENANCES or not end.exists():
        tasks.maintained(home, _KEEP_DAYS)
        times += 1
        time.sleep(0.1)
    return times


def change_for_long(home: Path, end: Path) -> None:
    """Be a run that takes its time with the votes, until it is killed."""
    with long_change(home, "votes"):
        _is_changing(home).touch()
        while not end.exists():
            time.sleep(0.1)


class _Processes:
    """The crowd of one trial."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.end = home.parent / "end"
        self.long_change = self.start(change_for_long)
        while not _is_changing(home).exists() and self.long_change.wait(0.01) is None:
            pass
        self.runners = [self.start(partial(run_until, noted=True)), self.start(run_until)]
        self.maintainer = self.start(maintain_until)
        self.readers = [self.start(read_warehouse), self.start(read_warehouse)]
        self.lake_reader = self.start(read_lake)

    def start(self, task: Callable[[Path, Path], Any]) -> Child:
        return Child(partial(task, self.home, self.end), self.home.parent / "children")

    def all(self) -> list[Child]:
        return [*self.runners, self.maintainer, *self.readers, self.lake_reader, self.long_change]

    def have_waited(self) -> bool:
        """Whether the run that is never killed has waited for the one that takes its time."""
        return _has_waited(self.home).exists()

    def raise_failures(self) -> None:
        for child in self.all():
            if child is not self.long_change and child.wait(0) is not None:
                child.result()

    def kill_a_runner(self) -> None:
        # The other one lives to tell what it waited for.
        self.runners[1].kill()
        self.runners[1] = self.start(run_until)

    def finish(self, figures: Counter[str]) -> None:
        """Let all come to an end, and count what they did."""
        self.end.touch()
        for child in self.runners:
            runs, waits, retries = child.result()
            figures["runs"] += runs
            figures["waits told"] += waits
            figures["steps tried again"] += retries
        figures["maintenances"] += self.maintainer.result()
        figures["reads of the warehouse"] += sum(child.result() for child in self.readers)
        figures["reads of the lake"] += self.lake_reader.result()


def _is_changing(home: Path) -> Path:
    return home.parent / "changing"


def _has_waited(home: Path) -> Path:
    return home.parent / "waited"


def trial(seed: int, folder: Path, figures: Counter[str], seconds: float) -> None:
    """Let a warehouse in `folder` be used by many for `seconds`, and until a run has waited.

    Raises:
        DifferenceError: a process failed, or the warehouse does not end as it must.
    """
    source = random.Random(seed)
    home, children = folder / "home", folder / "children"
    supplier = GroupSupplier(source, home / "inbox")
    for _ in range(6):
        supplier.send()
    Child(partial(tasks.run, home, FORUM, checks=False), children).result()
    waits = figures["waits told"]
    processes = _Processes(home)
    begun = time.monotonic()
    try:
        while (passed := time.monotonic() - begun) < seconds or not processes.have_waited():
            hangs = passed > SECONDS_BEFORE_IT_HANGS
            demand(not hangs, "no run waited for the one that holds the votes")
            supplier.send()
            time.sleep(source.uniform(0.05, 0.6))
            processes.raise_failures()
            if passed > min(_SECONDS_OF_A_LONG_CHANGE, seconds) and processes.have_waited():
                processes.long_change.kill()
                if source.random() < 0.08:
                    processes.kill_a_runner()
                    figures["runs killed"] += 1
        processes.finish(figures)
    finally:
        for child in processes.all():
            child.kill()
    demand(figures["waits told"] > waits, "no run said what it waited for")
    # Nobody reads an old version any more.
    outcomes = Child(partial(tasks.outcomes, home, FORUM, maintains=True), children).result()
    _judge(supplier, *outcomes)
    figures["crowds"] += 1
    shutil.rmtree(folder)


def _judge(supplier: GroupSupplier, last: tasks.Outcome, again: tasks.Outcome) -> None:
    lake, warehouse = last.state["lake"], last.state["warehouse"]
    found = [(row[0], row[1], row[3]) for row in last.votes]
    demand(found == supplier.votes(), "votes are not those sent last of each group")
    counts = Counter(row[0] for row in lake["votes_per_post_per_week"] for _ in range(row[2]))
    demand(counts == dict.fromkeys(supplier.groups, GROUP), f"votes per post are {counts}")
    demand(len(lake["posts"]) == supplier.posts, "posts were lost or doubled")
    demand(len(lake["rejected_records"]) == supplier.rejected, "rejected records are too many")
    for name, rows in warehouse.items():
        demand(_as_published(lake[name]) == sorted(rows, key=repr), f"{name} differs")
    demand(not last.state["inbox"], f"the inbox holds {last.state['inbox']}")
    demand(not last.leftovers, f"temporary files are left: {last.leftovers}")
    demand(last.orphans == 0, f"{last.orphans} files of no version are left by maintenance")
    demand(len(last.state["archive"]) == supplier.files, "the archive has not every file once")
    compare("what is there before and after a further run", vars(last), vars(again))


def _as_published(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows of a table of the lake as the warehouse stores them."""
    return sorted((tuple(map(_stored, row)) for row in rows), key=repr)


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return value.isoformat() if isinstance(value, date) else value
