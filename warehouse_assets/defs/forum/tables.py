"""The tables of the forum family: columns, keys and what each number means."""

from typing import Any

from sqlalchemy import BigInteger, Column, Date, DateTime, Double, Table, Text

from warehouse_assets.charts import WEEKS, weeks
from warehouse_assets.questions import Cause
from warehouse_assets.settings import Settings
from warehouse_assets.tables import METADATA, LongText, WholeNumber


def _arrival() -> Column[Any]:
    return Column(
        "arrival",
        BigInteger,
        nullable=False,
        comment="Number of the inbox file with which the row's present values first came.",
    )


def _field(name: str, kind: Any, field: str, comment: str, **options: Any) -> Column[Any]:
    return Column(name, kind, info={"field": field}, comment=comment, **options)


def _id(comment: str) -> Column[Any]:
    return _field(
        "id", WholeNumber, "Id", comment, primary_key=True, autoincrement=False, nullable=False
    )


_UTC = "; in UTC if it came with a zone, else as it was written"

POSTS = Table(
    "posts",
    METADATA,
    _id("Number of the post."),
    _field("post_type_id", BigInteger, "PostTypeId", "Kind of post: 1 is a question, 2 an answer."),
    _field(
        "creation_date",
        DateTime,
        "CreationDate",
        f"When the post was written{_UTC}.",
        nullable=False,
    ),
    _field("score", BigInteger, "Score", "Up-votes less down-votes, as the supplier counts."),
    _field("view_count", BigInteger, "ViewCount", "How often the post was viewed."),
    _field("parent_id", BigInteger, "ParentId", "Of an answer, the question it answers."),
    _field(
        "accepted_answer_id", BigInteger, "AcceptedAnswerId", "Of a question, the accepted answer."
    ),
    _field("answer_count", BigInteger, "AnswerCount", "Of a question, how many answers it has."),
    _field("comment_count", BigInteger, "CommentCount", "How many comments the post has."),
    _field("favorite_count", BigInteger, "FavoriteCount", "How many users marked it."),
    _field("owner_user_id", BigInteger, "OwnerUserId", "User who wrote the post."),
    _field("owner_display_name", Text, "OwnerDisplayName", "Name of a writer without an account."),
    _field("last_editor_user_id", BigInteger, "LastEditorUserId", "User who edited it last."),
    _field(
        "last_editor_display_name",
        Text,
        "LastEditorDisplayName",
        "Name of a last editor without an account.",
    ),
    _field("last_edit_date", DateTime, "LastEditDate", f"When it was edited last{_UTC}."),
    _field(
        "last_activity_date",
        DateTime,
        "LastActivityDate",
        f"When something last happened to it{_UTC}.",
    ),
    _field("closed_date", DateTime, "ClosedDate", f"When it was closed{_UTC}."),
    _field("deletion_date", DateTime, "DeletionDate", f"When it was deleted{_UTC}."),
    _field(
        "community_owned_date",
        DateTime,
        "CommunityOwnedDate",
        f"When it was given to the community{_UTC}.",
    ),
    _field("title", Text, "Title", "Of a question, its title."),
    _field("tags", Text, "Tags", "Of a question, its tags as the supplier writes them."),
    _field("body", LongText, "Body", "Text of the post, as HTML."),
    _field("content_license", Text, "ContentLicense", "Licence of the text."),
    _arrival(),
    info={"made_from": "archive", "files": "json"},
    comment="Posts of the forum; of each the newest version delivered.",
)

VOTES = Table(
    "votes",
    METADATA,
    _id("Number of the vote."),
    _field(
        "post_id",
        BigInteger,
        "PostId",
        "Post that was voted on; it may not have been delivered yet.",
        nullable=False,
    ),
    _field(
        "vote_type_id", BigInteger, "VoteTypeId", "Kind of vote: 2 is an up-vote, 3 a down-vote."
    ),
    _field("user_id", BigInteger, "UserId", "User who voted, where the supplier tells."),
    _field("bounty_amount", BigInteger, "BountyAmount", "Of a bounty, its reputation points."),
    _field(
        "creation_date",
        DateTime,
        "CreationDate",
        f"When the vote was cast{_UTC}.",
        nullable=False,
    ),
    _arrival(),
    info={
        "made_from": "archive",
        "files": "json",
        "week_of": "creation_date",
        "is_kept_by_week": True,
    },
    comment="Votes on posts, of every kind; of each the newest version delivered.",
)

_WEEK = "Monday with which the week begins."

VOTES_PER_POST_PER_WEEK = Table(
    "votes_per_post_per_week",
    METADATA,
    Column("post_id", BigInteger, primary_key=True, autoincrement=False, comment="Post."),
    Column("week_start", Date, primary_key=True, comment=_WEEK),
    Column(
        "votes", BigInteger, nullable=False, comment="Votes of any kind cast on it in that week."
    ),
    comment="How many votes each post got in each week; only weeks in which it got any.",
    info={"week_of": "week_start", "is_kept_by_week": True},
    sqlite_with_rowid=False,
)

_CHART_OF_MEANS = {
    "transform": [
        {
            "fold": ["mean_votes_per_post_voted_on", "mean_votes_per_post_existing"],
            "as": ["over", "mean"],
        },
        {
            "calculate": "datum.over == 'mean_votes_per_post_existing' "
            "? 'all posts there were' : 'posts that got votes'",
            "as": "over",
        },
    ],
    "mark": {"type": "line", "point": {"size": 12}},
    "encoding": {
        "x": {**WEEKS["x"], "bin": None},
        "y": {"field": "mean", "type": "quantitative", "title": "Mean votes per post"},
        "color": {"field": "over", "title": "Mean over"},
    },
}

MEAN_VOTES_PER_POST_PER_WEEK = Table(
    "mean_votes_per_post_per_week",
    METADATA,
    Column("week_start", Date, primary_key=True, comment=_WEEK),
    Column("votes", BigInteger, nullable=False, comment="Votes cast in that week, on any post."),
    Column(
        "posts_voted_on",
        BigInteger,
        nullable=False,
        comment="Posts that got at least one vote in that week.",
    ),
    Column(
        "mean_votes_per_post_voted_on",
        Double,
        comment="votes / posts_voted_on: the mean over the posts that got votes in that week; "
        "null if none did.",
    ),
    Column(
        "posts_existing",
        BigInteger,
        nullable=False,
        comment="Posts delivered so far that were written before the end of that week.",
    ),
    Column(
        "mean_votes_per_post_existing",
        Double,
        comment="votes / posts_existing: the mean over all posts there were by the end of that "
        "week, with or without votes; null if there were none.",
    ),
    comment="The mean votes per post of every week from the first vote to the last, weeks "
    "without votes included.",
    info={
        "answers": "What is the mean votes per post per week?",
        "chart": _CHART_OF_MEANS,
        "week_of": "week_start",
        "causes": [
            Cause("votes_per_post_per_week", "row.week_start = wanted.week_start"),
            Cause(
                "posts",
                "date_trunc('week', row.creation_date) <= wanted.week_start",
                decides=["posts_existing", "mean_votes_per_post_existing"],
            ),
            # There is a row for every week from the first vote to the last.
            Cause(
                "votes_per_post_per_week",
                """row.week_start IN (SELECT min(week_start) FROM votes_per_post_per_week
                UNION ALL SELECT max(week_start) FROM votes_per_post_per_week)""",
                context="whether the week is between the first and the last",
            ),
        ],
    },
    sqlite_with_rowid=False,
)


def _threshold(settings: Settings) -> dict[str, int]:
    """The threshold as a fraction: in floating point 20 % exactly can be above 0.2."""
    numerator, denominator = settings.outlier_threshold.as_integer_ratio()
    return {"numerator": numerator, "denominator": denominator}


_VOTES_OF_WEEKS = weeks("datum.votes + ' votes'")
_OF_ALL_WEEKS = {"name": "mean_votes_per_post_per_week"}
_CHART_OF_WEEKS = {
    "transform": _VOTES_OF_WEEKS,
    "encoding": {
        **WEEKS,
        "y": {"field": "votes", "type": "quantitative", "title": "Votes per week"},
        "color": {
            "scale": {"domain": ["other weeks", "unusual weeks", "mean"]},
            "title": None,
        },
    },
    "layer": [
        {
            "data": _OF_ALL_WEEKS,
            "transform": _VOTES_OF_WEEKS,
            "mark": "bar",
            "encoding": {"color": {"datum": "other weeks"}},
        },
        {"mark": "bar", "encoding": {"color": {"datum": "unusual weeks"}}},
        {
            "data": _OF_ALL_WEEKS,
            "transform": [{"filter": "datum.votes > 0"}],
            "mark": {"type": "rule", "strokeDash": [6, 3], "strokeWidth": 2},
            "encoding": {
                **dict.fromkeys(WEEKS),
                "y": {"field": "votes", "aggregate": "mean"},
                "color": {"datum": "mean"},
            },
        },
    ],
}

OUTLIER_WEEKS = Table(
    "outlier_weeks",
    METADATA,
    Column("year", BigInteger, primary_key=True, autoincrement=False, comment="Calendar year."),
    Column(
        "week_number",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="Week of the year as strftime's %W: 1 begins with the year's first Monday, 0 is "
        "what comes before it. A week over New Year is two.",
    ),
    Column("votes", BigInteger, nullable=False, comment="Votes cast in that week."),
    Column(
        "week_start",
        Date,
        comment="Monday with which the week begins; both halves of a week over New Year have it.",
    ),
    comment="Weeks whose votes differ from the mean per week, over all weeks with votes, by more "
    "than a share of it: abs(1 - votes / mean) > OUTLIER_THRESHOLD, 0.2 by default. Earliest "
    "first.",
    info={
        "answers": "Which weeks had unusually many or few votes (over {outlier_threshold:%} off "
        "the mean)?",
        "chart": _CHART_OF_WEEKS,
        "causes": [
            Cause(
                "votes",
                """year(row.creation_date) = wanted.year AND wanted.week_number =
                CASE WHEN year(date_trunc('week', row.creation_date)) = year(row.creation_date)
                THEN (dayofyear(date_trunc('week', row.creation_date)) + 6) // 7 ELSE 0 END""",
            ),
            Cause("votes", "true", context="whether the week is unusual"),
        ],
        "constants": _threshold,
    },
    sqlite_with_rowid=False,
)

TABLES = (POSTS, VOTES, VOTES_PER_POST_PER_WEEK, MEAN_VOTES_PER_POST_PER_WEEK, OUTLIER_WEEKS)
