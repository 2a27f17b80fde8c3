"""Golden questions: an agent gets from the samples what plain Python gets from their files."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import date, datetime, timezone
from typing import Any

from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.processes import run
from warehouse_assets_tests.mcp.agents import Ask, process_of, with_agent
from warehouse_assets_tests.mcp.sources import (
    Trip,
    durations,
    lines_of,
    monday,
    students_with_lessons,
    votes_of,
)

_WEEK, _LATE = "2022-01-03", "votes-late.jsonl"


def _late(number: int, post: int) -> str:
    said = {"Id": str(number), "PostId": str(post), "VoteTypeId": "2"}
    return json.dumps({**said, "CreationDate": "2022-01-04T10:00:00.000"})


def test_an_agent_is_answered_right_about_the_samples(house: House) -> None:
    """Over standard input and output, from a process as an agent starts it."""
    run(house, "warehouse", "samples", "--votes", "3000", "--students", "200", "--trips", "4000")
    assert run(house, "warehouse", "ingest").returncode == 0
    assert run(house, "warehouse", "label", "before").returncode == 0
    late = [_late(900_001, 1), _late(900_002, 1), '{"Id": "900003", "PostId": "1"}']
    house.deliver(_LATE, "\n".join(late) + "\n")
    assert run(house, "warehouse", "ingest").returncode == 0

    async def play(ask: Ask) -> dict[str, tuple[Any, Any]]:
        return {**await _of_forum(house, ask), **await _of_rest(house, ask)}

    answered = with_agent(process_of(house), play)
    assert len(answered) >= 20
    assert {question: got for question, (got, _) in answered.items()} == {
        question: wanted for question, (_, wanted) in answered.items()
    }


async def _of_forum(house: House, ask: Ask) -> dict[str, tuple[Any, Any]]:
    """What was answered and what is right, by question: of votes, then and now, and why."""
    files = sorted((house.settings.archive / "votes").iterdir())
    before = {vote["id"]: vote for file in files[:-1] for vote in votes_of(file)}
    now = {**before, **{vote["id"]: vote for vote in votes_of(files[-1])}}
    of_weeks = [
        Counter(monday(vote["at"].date()) for vote in votes.values()) for votes in (before, now)
    ]
    (old, new), posts = (
        of_weeks,
        Counter(v["post"] for v in now.values() if monday(v["at"].date()) == _WEEK),
    )
    halves = Counter((v["at"].year, int(f"{v['at']:%W}")) for v in now.values())
    mean = sum(halves.values()) / len(halves)
    unusual = sorted(week for week, votes in halves.items() if abs(votes / mean - 1) > 0.2)
    unusable = sum(1 for file in files for line in lines_of(file) if line.strip()) - sum(
        len(votes_of(file)) for file in files
    )

    week = {"name": "mean_votes_per_post_per_week", "filters": {"week_start": _WEEK}}
    means = (await ask("ask", **week))["answer"]["items"][0]
    then = (await ask("ask", **week, as_of="before"))["answer"]["items"][0]
    weeks = await ask("ask", name="outlier_weeks")
    of_post = await ask("rows", table="votes", filters={"post_id": 7}, select="id")
    rejected = await ask("rows", table="rejected_records", filters={"source": "votes"})
    late = await ask("rows", table="rejected_records", filters={"unit.like": f"*{_LATE}"})
    changed = await ask("changes", name="mean_votes_per_post_per_week", since="before")
    ((change,),) = ([c for c in changed["answer"]["items"] if c["after"]["week_start"] == _WEEK],)
    key = {"week_start": _WEEK}
    why = await ask("why", name="mean_votes_per_post_per_week", key=key, since="before")
    step = next(one for one in why["answer"]["steps"] if one["table"] == "votes")
    made = await ask("why", name="mean_votes_per_post_per_week", key=key)
    votes = next(one for one in made["answer"]["steps"] if one["table"] == "votes")
    receipt = await ask("trace", file=_LATE)
    line = await ask("trace", file=_LATE, line=2)
    listed = await ask("list_questions")
    versions = weeks["versions"]
    log = house.settings.home / "lake" / "outlier_weeks" / "_delta_log"
    commits = [int(file.stem) for file in log.glob("[0-9]*.json")]
    return {
        "How many votes were there in the week?": (means["votes"], new[_WEEK]),
        "How many were there before the late file?": (then["votes"], old[_WEEK]),
        "What was the mean over the posts voted on?": (
            means["mean_votes_per_post_voted_on"],
            new[_WEEK] / len(posts),
        ),
        "Which weeks are unusual?": (
            [(one["year"], one["week_number"]) for one in weeks["answer"]["items"]],
            unusual,
        ),
        "Which votes has post 7?": (
            [one["id"] for one in of_post["answer"]["items"]],
            sorted(vote["id"] for vote in now.values() if vote["post"] == 7),
        ),
        "How many votes were unusable?": (len(rejected["answer"]["items"]), unusable),
        "Which of the late file, and why?": (
            [(one["position"], one["reason"]) for one in late["answer"]["items"]],
            [(3, "CreationDate is missing")],
        ),
        "How did the week change?": (
            (change["before"]["votes"], change["after"]["votes"]),
            (old[_WEEK], old[_WEEK] + 2),
        ),
        "Why did it?": (
            ([one["after"]["id"] for one in step["rows"]], step["places"]),
            (
                [900_001, 900_002],
                [f"{files[-1].name}, line 1", f"{files[-1].name}, line 2"],
            ),
        ),
        "Which file is to blame?": (step["files"], {files[-1].name: 2}),
        "Of how many votes is it made?": (votes["added"], new[_WEEK]),
        "What became of the late file?": (receipt["answer"]["fates"], {"taken": 2, "rejected": 1}),
        "What became of its second line?": (
            [(one["fate"], one["row"]["id"]) for one in line["answer"]["items"]],
            [("taken", 900_002)],
        ),
        "What does the answer mean?": (
            weeks["definition"],
            next(one for one in listed["questions"] if one["name"] == "outlier_weeks"),
        ),
        "What was it made of, and when was that published?": (
            [(one["table"], one["version"], one["published_at"][:10]) for one in versions],
            [("outlier_weeks", max(commits), str(datetime.now(timezone.utc).date()))],
        ),
    }


async def _of_rest(house: House, ask: Ask) -> dict[str, tuple[Any, Any]]:
    """The same of the school, trips, reviews and deliveries."""
    sources = house.settings.home / "sources"
    best = students_with_lessons(sources, 3)
    ranked = (await ask("ask", name="batch_completions", order="batch_id"))["answer"]["items"]

    trips = Trip.all_of(sorted((house.settings.archive / "trips").iterdir()))
    days = sorted(trip.at.date() for trip in trips if trip.region == "Prague")
    weeks = (date.fromisoformat(monday(days[-1])) - date.fromisoformat(monday(days[0]))).days // 7
    box = [14.38, 50.05, 14.46, 50.12]
    inside = [
        t for t in trips if box[0] <= t.origin[0] <= box[2] and box[1] <= t.origin[1] <= box[3]
    ]
    of_region = await ask("weekly_trips", region="Prague")
    of_box = await ask("weekly_trips", box=box)
    of_days = await ask("weekly_trips", region="Prague", from_day="2018-05-01", to_day="2018-05-31")
    alike = await ask("similar_trips", zoom=8, hours=24, limit=1)
    groups = Counter((trip.region, *trip.tiles(8)) for trip in trips)
    common = [region for region, _ in Counter(trip.region for trip in trips).most_common(2)]
    latest = await ask("ask", name="latest_datasource_of_the_two_most_common_regions")
    cheap = await ask("ask", name="regions_with_cheap_mobile")

    with closing(sqlite3.connect(sources / "reviews.db")) as database:
        ((product, count, stars),) = database.execute(
            "SELECT productID, count(*), avg(overall) FROM reviews "
            "WHERE unixReviewTime IS NOT NULL OR reviewTime IS NOT NULL "
            "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
        ).fetchall()
        ((user, newest),) = database.execute(
            "SELECT reviewerID, max(unixReviewTime) FROM reviews GROUP BY 1 "
            "ORDER BY count(*) DESC, 1 LIMIT 1"
        ).fetchall()
    of_product = (await ask("reviews", of="product", identifier=product))["answer"]
    of_user = await ask("reviews", of="user", identifier=user, texts=True, limit=1)

    took = durations(sources / "deliveries.jsonl")
    average = (await ask("average_delivery"))["answer"]
    asked = (await ask("ask", name="average_duration_of_deliveries"))["answer"]["items"]
    return {
        "How many students of each batch completed three lessons?": (
            {r["batch_id"]: r["students_completed"] for r in ranked if r["students_completed"]},
            dict(best),
        ),
        "How many trips a week has Prague?": (
            of_region["answer"]["average_trips_per_week"],
            len(days) / (weeks + 1),
        ),
        "And the middle of Prague?": (of_box["answer"]["trips"], len(inside)),
        "And in May?": (of_days["answer"]["trips"], sum(f"{d:%Y-%m}" == "2018-05" for d in days)),
        "Which trips are alike?": (
            (alike["answer"]["items"][0]["trips"], alike["answer"]["all_groups"]),
            (groups.most_common(1)[0][1], len(groups)),
        ),
        "What came last in the two most common regions?": (
            sorted(row["datasource"] for row in latest["answer"]["items"][:1]),
            [max((t.at, t.datasource) for t in trips if t.region in common)[1]],
        ),
        "Where was cheap_mobile?": (
            sorted(row["region"] for row in cheap["answer"]["items"]),
            sorted({trip.region for trip in trips if trip.datasource == "cheap_mobile"}),
        ),
        "What do people say of the product?": (
            (of_product["reviews"], round(of_product["average_rating"], 9)),
            (count, round(stars, 9)),
        ),
        "When did the user write last?": (
            of_user["answer"]["items"][0]["reviewed_at"],
            datetime.fromtimestamp(newest, timezone.utc).replace(tzinfo=None).isoformat(),
        ),
        "How long do deliveries take?": (
            (average["successes"], round(average["average_seconds"], 3)),
            (len(took), round(sum(took) / len(took), 3)),
        ),
        "And by the table?": (
            round(next(v for k, v in asked[0].items() if "seconds" in k), 3),
            round(sum(took) / len(took), 3),
        ),
    }
