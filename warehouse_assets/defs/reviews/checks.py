"""The asset checks of the reviews family."""

from sqlalchemy import Table

from warehouse_assets.defs.reviews.tables import (
    PRODUCT_REVIEWS_DAILY,
    REVIEWER_REVIEWS_DAILY,
    REVIEWS,
    STARS,
)
from warehouse_assets.orchestration.checks import Check
from warehouse_assets.orchestration.standard_checks import no_rows

_STARS = " + ".join(f"stars_{n}" for n in STARS)


def _values_are_plausible(table: Table) -> Check:
    return no_rows(
        "values_are_plausible",
        "reviews is 1 or more; none of its parts is greater or negative, nor the stars together.",
        f"""SELECT * FROM {table.name}
        WHERE reviews < 1 OR rated_reviews NOT BETWEEN 0 AND reviews
            OR verified_reviews NOT BETWEEN 0 AND reviews OR {_STARS} > rated_reviews""",
        blocks=True,
    )


def _reviews_add_up(table: Table) -> Check:
    return no_rows(
        "reviews_add_up",
        "The reviews add up to the rows of reviews: every one counts once.",
        f"""SELECT * FROM (SELECT coalesce(sum(reviews), 0) AS reviews_here FROM {table.name}),
            (SELECT count(*) AS reviews_there FROM reviews)
        WHERE reviews_here <> reviews_there""",
        reads=[REVIEWS],
        is_warning=True,
    )


CHECKS: dict[Table, list[Check]] = {
    REVIEWS: [
        no_rows(
            "ratings_are_possible",
            "overall is from 1 to 5, and verified is 0 or 1.",
            """SELECT overall, verified, "reviewerID", "productID", reviewed_at FROM reviews
            WHERE overall NOT BETWEEN 1 AND 5 OR verified NOT IN (0, 1)""",
            is_warning=True,
        ),
        no_rows(
            "dates_agree",
            "reviewTime, where it is given, is the day of unixReviewTime in UTC.",
            """SELECT "reviewTime", "unixReviewTime", "reviewerID", "productID" FROM reviews
            WHERE "unixReviewTime" IS NOT NULL AND trim("reviewTime") <> ''
                AND CAST(try_strptime("reviewTime", '%m %d, %Y') AS DATE)
                    IS DISTINCT FROM CAST(reviewed_at AS DATE)""",
            is_warning=True,
        ),
        no_rows(
            "times_are_plausible",
            "reviewed_at is from 1990 on and not in the future.",
            """SELECT reviewed_at, "reviewerID", "productID" FROM reviews
            WHERE reviewed_at < TIMESTAMP '1990-01-01'
                OR reviewed_at > now() AT TIME ZONE 'UTC' + INTERVAL 1 DAY""",
            depends_on_time=True,
            is_warning=True,
        ),
        no_rows(
            "reviews_are_different",
            "No review is there twice, the same in all that the source says of it.",
            """SELECT "reviewerID", "productID", reviewed_at, summary, occurrence FROM reviews
            WHERE occurrence > 1""",
            is_warning=True,
        ),
        no_rows(
            "ids_are_given",
            "Every review has a reviewerID and a productID.",
            """SELECT "reviewerID", "productID", overall, reviewed_at FROM reviews
            WHERE coalesce("reviewerID", '') = '' OR coalesce("productID", '') = ''""",
            is_warning=True,
        ),
    ],
    PRODUCT_REVIEWS_DAILY: [
        _values_are_plausible(PRODUCT_REVIEWS_DAILY),
        _reviews_add_up(PRODUCT_REVIEWS_DAILY),
    ],
    REVIEWER_REVIEWS_DAILY: [
        _values_are_plausible(REVIEWER_REVIEWS_DAILY),
        _reviews_add_up(REVIEWER_REVIEWS_DAILY),
    ],
}
