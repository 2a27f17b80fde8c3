"""Computed assets follow their sources: what is requested, and that it is requested once."""

import dagster as dg

from warehouse_assets.definitions import build_defs
from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets_tests.house import FORUM, House, post, vote
from warehouse_assets_tests.orchestration.lake_rows import add_rows
from warehouse_assets_tests.orchestration.runs import evaluated, failed, materialised


class Automation:
    """Ticks of the automation sensor over the history of a house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.defs = build_defs({"settings": house.settings})
        self.last: dg.EvaluateAutomationConditionsResult | None = None

    def tick(self) -> set[str]:
        """The assets that one tick requests."""
        result = dg.evaluate_automation_conditions(
            defs=self.defs,
            instance=self.house.instance,
            asset_selection=dg.AssetSelection.all(),
            cursor=self.last.cursor if self.last else None,
        )
        self.last = result
        requested = [entry.key for entry in result.results if entry.true_subset.size > 0]
        return {key.to_user_string() for key in requested if isinstance(key, dg.AssetKey)}


def test_what_depends_on_a_source_is_requested_after_it_and_not_again(house: House) -> None:
    automation = Automation(house)
    house.run()
    automation.tick()
    assert automation.tick() == set()

    house.deliver("votes.jsonl", [vote(1, 1)])
    house.run("votes")

    requested = automation.tick()
    assert requested == {
        "votes_per_post_per_week",
        "mean_votes_per_post_per_week",
        "outlier_weeks",
        "rejected_records",
        "unknown_fields",
    }
    assert materialised(house.run(*requested)) == requested
    assert automation.tick() == set()

    house.deliver("posts.jsonl", [post(1)])
    house.run("posts")

    # What depends on posts, and nothing that depends on votes only.
    requested = automation.tick()
    assert requested == {"mean_votes_per_post_per_week", "rejected_records", "unknown_fields"}


def test_assets_of_files_are_never_requested(house: House) -> None:
    automation = Automation(house)

    assert automation.tick() & {"posts", "votes"} == set()


def test_nothing_is_requested_after_a_table_whose_blocking_check_failed_until_it_passes(
    house: House,
) -> None:
    automation = Automation(house)
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1)])
    house.run(*(str(table.name) for table in FORUM))
    automation.tick()

    twice = {"id": 9, "post_id": 1, "creation_date": "2022-01-03", "arrival": 1}
    add_rows(house, "votes", twice, twice)
    assert failed(evaluated(house.run("votes"))) == {"votes.key_is_unique"}
    after_votes = {"votes_per_post_per_week", "outlier_weeks"}
    for _ in range(2):
        assert automation.tick() & after_votes == set()

    votes = house.lake.table(VOTES).open()
    votes.restore(votes.version() - 1)
    house.deliver("votes-2.jsonl", [vote(2, 1)])
    assert house.run("votes").success
    assert automation.tick() & after_votes == after_votes
