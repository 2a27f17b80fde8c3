"""`python -m warehouse_assets_tests.stress`: the frame under fire, for as long as is wanted.

Ends with 1 at the first difference, tells the seed and keeps the folder for inspection.
"""

import argparse
import gc
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from warehouse_assets_tests.stress import contention, crash, live_school, service
from warehouse_assets_tests.stress.warm import DifferenceError

_DELIVERIES_OF_A_TRIAL = 8
# The most seconds of a trial, of those that last as long as they are told to.
_SECONDS = {"contention": 40.0, "school": 60.0, "service": 60.0}
_TRIALS = ("crash", *_SECONDS)
_SHORTEST_SECONDS = 2.0
_RATE_OF_A_SHORT_SCHOOL = 1_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Alternate kills, crowds, schools and services until the time is up; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m warehouse_assets_tests.stress")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=None, help="of the first trial")
    parser.add_argument("--only", choices=_TRIALS, action="append", help="can be repeated")
    parser.add_argument("--deliveries", type=int, default=_DELIVERIES_OF_A_TRIAL, help="of a trial")
    parser.add_argument("--points", type=int, default=0, help="to be killed at, however long")
    parser.add_argument("--folder", type=Path, default=None, help="where the warehouses live")
    wanted = parser.parse_args(arguments)
    chosen = wanted.only or _TRIALS
    seed = random.SystemRandom().randrange(10**6) if wanted.seed is None else wanted.seed
    folder = Path(tempfile.mkdtemp(prefix="stress-", dir=wanted.folder))
    until = time.monotonic() + wanted.minutes * 60
    figures: Counter[str] = Counter()
    killer = crash.Killer(figures)
    # What the processes forked from this one share stays shared while nobody writes to it.
    gc.freeze()
    _tell(f"seed {seed}, folder {folder}")
    while True:
        try:
            if "crash" in chosen:
                crash.trial(seed, folder / f"crash-{seed}", killer, wanted.deliveries)
                while killer.points < wanted.points:
                    seed += 1
                    crash.trial(seed, folder / f"crash-{seed}", killer, wanted.deliveries)
            for name in [name for name in _SECONDS if name in chosen]:
                seconds = max(min(_SECONDS[name], until - time.monotonic()), _SHORTEST_SECONDS)
                place = folder / f"{name}-{seed}"
                if name == "contention":
                    contention.trial(seed, place, figures, seconds)
                elif name == "school":
                    rate = 0 if seconds > _SHORTEST_SECONDS else _RATE_OF_A_SHORT_SCHOOL
                    live_school.trial(seed, place, figures, seconds, rate)
                else:
                    kind = service.KINDS[seed % len(service.KINDS)]
                    service.trial(seed, place, figures, seconds, kind)
        except DifferenceError as difference:
            _tell(f"DIFFERENCE with --seed {seed}: {difference}\nKept for inspection: {folder}")
            _tell(_in_words(figures))
            return 1
        _tell(f"{_in_words(figures)}, differences 0")
        seed += 1
        if time.monotonic() > until:
            break
    _tell(killer.account())
    shutil.rmtree(folder)
    return 0


def _in_words(figures: Counter[str]) -> str:
    return ", ".join(f"{name} {figure}" for name, figure in figures.items())


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
