"""What the forum's assets answer, worked out by hand."""

import pytest

from warehouse_assets_tests.house import House, post, vote


def test_mean_votes_counts_weeks_without_votes_and_posts_without_votes(house: House) -> None:
    # Weeks begin on Monday 2022-01-03, 01-10 and 01-17. Post 3 is written in the last week.
    house.deliver("posts.jsonl", [post(1), post(2, "2021-12-31"), post(3, "2022-01-20")])
    house.deliver(
        "votes.jsonl",
        [
            vote(1, 1, "2022-01-03"),
            vote(2, 1, "2022-01-09"),  # a Sunday: still the first week
            vote(3, 2, "2022-01-05"),
            vote(4, 9, "2022-01-17"),  # a post that never came
        ],
    )

    assert house.run(checks=False).success

    assert house.published("mean_votes_per_post_per_week") == [
        ("2022-01-03", 3, 2, 1.5, 2, 1.5),
        ("2022-01-10", 0, 0, None, 2, 0.0),
        ("2022-01-17", 1, 1, 1.0, 3, pytest.approx(1 / 3)),
    ]
    assert house.published("votes_per_post_per_week") == [
        (1, "2022-01-03", 2),
        (2, "2022-01-03", 1),
        (9, "2022-01-17", 1),
    ]
