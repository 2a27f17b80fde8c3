"""Ends the runs of a container that was killed: python end_dead_runs.py daemon|service.

A run whose process was killed stays "started" in Dagster's history for ever, and each of them holds
a place in the queue of runs: after a few, nothing would run any more. When a container starts, no
process that was in it before lives; so its runs that are not finished are noted as failed. What
they took is kept; the next run goes on from there. Queued runs stay queued.
"""

import sys

import dagster as dg

# Dagster gives it to the runs that the daemon starts; the others are those of the service, which
# are uploads, and of commands in its container.
_STARTED_BY_DAEMON = ".dagster/grpc_info"
_BEGUN = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def end_dead_runs(instance: dg.DagsterInstance, container: str) -> int:
    """Note the unfinished runs of `container`, daemon or service, as failed; how many."""
    dead = [
        run
        for run in instance.get_runs(dg.RunsFilter(statuses=_BEGUN))
        if (_STARTED_BY_DAEMON in run.tags) == (container == "daemon")
    ]
    for run in dead:
        instance.report_run_failed(run, f"The container of the {container} ended during this run.")
    return len(dead)


if __name__ == "__main__":
    with dg.DagsterInstance.get() as history:
        end_dead_runs(history, sys.argv[1])
