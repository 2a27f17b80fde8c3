"""Two runs that keep their check results at once."""

import threading
from pathlib import Path

from filelock import FileLock

from warehouse_assets.orchestration.checks import (
    KeptResult,
    LookedAt,
    keep_results,
    last_results,
)

CHECKS = ("key_is_unique", "other")


def result(version: int, problem: str) -> KeptResult:
    return KeptResult(LookedAt("x", ("id", version), {"posts": None}), problem, {}, blocks=True)


def test_one_waits_until_the_other_has_written_and_loses_none_of_its_results(
    tmp_path: Path,
) -> None:
    keep_results(tmp_path, "votes", {"other": result(1, "")}, CHECKS)
    kept = {"key_is_unique": result(1, "It is not.")}
    run = threading.Thread(target=keep_results, args=(tmp_path, "votes", kept, CHECKS))

    with FileLock(tmp_path / ".checks" / "votes.lock"):
        run.start()
        run.join(0.2)
        assert set(last_results(tmp_path, "votes")) == {"other"}
    run.join(60)

    assert {name: r.problem for name, r in last_results(tmp_path, "votes").items()} == {
        "other": "",
        "key_is_unique": "It is not.",
    }
    assert [p.name for p in (tmp_path / ".checks").glob("*.part")] == []


def test_the_result_of_the_later_version_stays(tmp_path: Path) -> None:
    keep_results(tmp_path, "votes", dict.fromkeys(CHECKS, result(6, "It is not.")), CHECKS)
    keep_results(tmp_path, "votes", {"key_is_unique": result(5, "")}, CHECKS)

    assert [made.problem for made in last_results(tmp_path, "votes").values()] == ["It is not."] * 2
