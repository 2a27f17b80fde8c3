"""Computed assets follow their sources: what is requested, and that it is requested once."""

import dagster as dg

from warehouse_assets.definitions import build_defs
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.orchestration.runs import materialised


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
