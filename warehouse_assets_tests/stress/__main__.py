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
from pathlib import Path

from warehouse_assets_tests.stress import contention, crash, live_school, service
from warehouse_assets_tests.stress.warm import DifferenceError

_DELIVERIES_OF_A_TRIAL = 8
_SECONDS_OF_A_CROWD = 40.0
_SHORTEST_CROWD = 4.0
_SECONDS_OF_A_SCHOOL = 60.0
_SHORTEST_SCHOOL = 4.0
_RATE_OF_A_SHORT_SCHOOL = 10_000
_SECONDS_OF_A_SERVICE = 60.0
_SHORTEST_SERVICE = 4.0
_TRIALS = ("crash", "contention", "school", "service")


def main() -> int:
    """Alternate kills, crowds, schools and services until the time is up; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m warehouse_assets_tests.stress")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=None, help="of the first trial")
    parser.add_argument("--only", choices=_TRIALS, action="append", help="can be repeated")
    parser.add_argument("--deliveries", type=int, default=_DELIVERIES_OF_A_TRIAL, help="of a trial")
    parser.add_argument("--points", type=int, default=0, help="to be killed at, however long")
    parser.add_argument("--folder", type=Path, default=None, help="where the warehouses live")
    wanted = parser.parse_args()
    chosen = wanted.only or _TRIALS
    seed = random.SystemRandom().randrange(10**6) if wanted.seed is None else wanted.seed
    folder = Path(tempfile.mkdtemp(prefix="stress-", dir=wanted.folder))
    until = time.monotonic() + wanted.minutes * 60
    killer, crowd, lessons = crash.Killer(), contention.Crowd(), live_school.Lessons()
    answers = service.Answers()
    # What the processes forked from this one share stays shared while nobody writes to it.
    gc.freeze()
    _tell(f"seed {seed}, folder {folder}")
    while True:
        try:
            if "crash" in chosen:
                crash.trial(seed, folder / f"crash-{seed}", killer, wanted.deliveries)
            while "crash" in chosen and killer.points < wanted.points:
                seed += 1
                crash.trial(seed, folder / f"crash-{seed}", killer, wanted.deliveries)
            if "contention" in chosen:
                seconds = min(_SECONDS_OF_A_CROWD, until - time.monotonic())
                crowded = max(seconds, _SHORTEST_CROWD)
                contention.trial(seed, folder / f"crowd-{seed}", crowd, crowded)
            if "school" in chosen:
                seconds = min(_SECONDS_OF_A_SCHOOL, until - time.monotonic())
                lived = max(seconds, _SHORTEST_SCHOOL)
                rate = 0 if lived > _SHORTEST_SCHOOL else _RATE_OF_A_SHORT_SCHOOL
                live_school.trial(seed, folder / f"school-{seed}", lessons, lived, rate)
            if "service" in chosen:
                seconds = min(_SECONDS_OF_A_SERVICE, until - time.monotonic())
                asked = max(seconds, _SHORTEST_SERVICE)
                kind = service.KINDS[seed % len(service.KINDS)]
                service.trial(seed, folder / f"service-{seed}", answers, asked, kind)
        except DifferenceError as difference:
            _tell(f"DIFFERENCE with --seed {seed}: {difference}\nKept for inspection: {folder}")
            _tell(f"{killer}\n{crowd}\n{lessons}\n{answers}")
            return 1
        _tell(f"{killer} | {crowd} | {lessons} | {answers} | differences 0")
        seed += 1
        if time.monotonic() > until:
            break
    _tell(killer.account())
    shutil.rmtree(folder)
    return 0


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
