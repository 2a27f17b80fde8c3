"""The rows of sample reviews, as a query of DuckDB: who says what of which product, and when.

Each row follows from its number, the number of all rows and the seed alone, by hashes of them.
Products and users are drawn as Zipf found words to be: the most common one twice as often as the
second, three times as often as the third.
"""

from collections.abc import Sequence

COLUMNS = (
    "level_0",
    "index",
    "overall",
    "verified",
    "reviewTime",
    "reviewerID",
    "productID",
    "reviewerName",
    "reviewText",
    "summary",
    "unixReviewTime",
    "vote",
)
"""The columns of the table, in the order of the dataset."""

TIMELESS_EVERY, TWICE_EVERY, DISAGREEING_EVERY = 1000, 500, 250
IMPOSSIBLE_EVERY, NAMELESS_EVERY = 1250, 2000
"""Of so many rows one is without a time, is the one before once more, has two dates that do not
agree, has a rating that cannot be, has no productID."""

_ROWS_OF_A_PRODUCT, _ROWS_OF_A_USER = 15, 3
_FIRST_DAY, _DAYS = 11_323, 6_484  # 2001-01-01, days until 2018-10-02
_NAMES: tuple[str, ...] = (
    "Amazon Customer",
    "Ann",
    "J. Doe",
    "María José",
    "Zoë",
    "李雷",
    "Jürgen",
    "Нина",
    "R&D",
)
_NAMES += ("O'Brien", "Kindle Customer", "DJ \N{HEADPHONE}", "mike", "T. B.", "Şule", "Bob B")
_SUMMARIES: tuple[str, ...] = (
    "Five Stars",
    "Great!",
    "Works as described",
    "Not worth it",
    "Très bien",
    "Meh",
)
_SUMMARIES += ("One Star", "Good value for the money", "Broke after a week", "素晴らしい", "OK")
_SUMMARIES += ("Love it \N{HEAVY BLACK HEART}", "Don't buy", "Better than expected", "Perfect", "")
_SENTENCES = (
    "I bought this for my daughter and she uses it every day.",
    "It arrived on time and was packed well.",
    "The quality is better than I expected for the price.",
    "After two weeks it stopped working, and nobody answers my mails.",
    "Would buy again!",
    "The colour is not the one in the picture.",
    'My husband calls it "the best thing in the house".',
    "It's a bit smaller than it looks; measure first.",
    "Ça marche très bien, je recommande.",
    "The manual is only in German: gehört so, vermutlich.",
    "Setup took five minutes,\nno tools needed.",
    "I have had three of these over the years and this one is the worst.",
    "The battery lasts about 10 hours, which is 100% fine with me.",
    "Shipping was slow, but the seller was kind and refunded the difference.",
    "Great sound, comfortable, and it folds flat.",
    "とても良い。 \N{GRINNING FACE}",
)
_RATINGS = (5,) * 19 + (4,) * 6 + (3,) * 3 + (2, 1, 1, 1)  # of 32
_VOTES = ("2", "3", "5", "8", "14", "27", "102", "1,234")


def query() -> str:
    """SQL of the rows with the numbers from `$first` to below `$next`, of `$rows` in all."""
    return f"""
    WITH numbered AS (
        SELECT n, hash((hash($seed) >> 2) + CAST(
            CASE WHEN n % {TWICE_EVERY} = {TWICE_EVERY - 1} THEN n - 1 ELSE n END
            AS UBIGINT)) AS number,
            CASE WHEN n % {TWICE_EVERY} = {TWICE_EVERY - 1} THEN n - 1 ELSE n END AS i
        FROM range($first, $next) AS r(n)
    ), drawn AS (
        SELECT n, i, {_HASHES} FROM numbered
    ), chosen AS (
        SELECT *,
            {_zipf("a", _ROWS_OF_A_PRODUCT)} AS product, {_zipf("b", _ROWS_OF_A_USER)} AS customer,
            CAST({_FIRST_DAY} + floor({_DAYS} * sqrt({_share("c")})) AS BIGINT) AS day
        FROM drawn
    )
    SELECT i AS level_0, i % 100000 AS "index",
        CASE WHEN i % {IMPOSSIBLE_EVERY} = 7 THEN 0.0
            ELSE CAST({_choice(_RATINGS, "d", 0)} AS DOUBLE) END AS overall,
        CAST({_bits("d", 8, 4)} < 13 AS BIGINT) AS verified,
        CASE WHEN i % {TIMELESS_EVERY} <> 500 THEN strftime(
            make_timestamp((day + CAST(i % {DISAGREEING_EVERY} = 3 AS BIGINT)) * 86400000000),
            '%m %-d, %Y') END AS "reviewTime",
        'A' || upper(left(md5('user ' || customer), 13)) AS "reviewerID",
        CASE WHEN i % {NAMELESS_EVERY} = 11 THEN ''
            ELSE 'B' || upper(left(md5('product ' || product), 9)) END AS "productID",
        {_choice(_NAMES, "d", 12)} AS "reviewerName",
        array_to_string(list_transform(
            range({_bits("e", 0, 4)} + {_bits("e", 4, 3)}),
            lambda k: {_choice(_SENTENCES, "e", "(8 + 3 * (k % 16))")}
        ), ' ') AS "reviewText",
        {_choice(_SUMMARIES, "d", 20)} AS summary,
        CASE WHEN i % {TIMELESS_EVERY} <> 500 THEN day * 86400 END AS "unixReviewTime",
        CASE WHEN {_bits("d", 30, 3)} = 0 THEN {_choice(_VOTES, "d", 34)} END AS vote
    FROM chosen ORDER BY n"""


def _bits(draw: str, first: int | str, count: int) -> str:
    """SQL of a number from 0 to below 2 to the power of `count`, of these bits of a hash."""
    return f"CAST(({draw} >> {first}) & {2**count - 1} AS BIGINT)"


def _share(draw: str) -> str:
    """SQL of a number from 0 to below 1."""
    return f"({_bits(draw, 0, 30)} / {2.0**30})"


def _zipf(draw: str, rows_of_each: int) -> str:
    """SQL of a number from 1 on, each as likely as its reciprocal tells."""
    return f"CAST(floor(pow(greatest($rows / {rows_of_each}, 1), {_share(draw)})) AS BIGINT)"


def _choice(values: Sequence[object], draw: str, first: int | str) -> str:
    """SQL of one of `values`, of which there are a power of 2."""
    literals = ", ".join("'" + str(value).replace("'", "''") + "'" for value in values)
    return f"([{literals}])[1 + {_bits(draw, first, len(values).bit_length() - 1)}]"


# Not hash(i, n): DuckDB makes hashes of several values that differ in the same bits.
_HASHES = ", ".join(
    f"hash(xor(number, CAST({n} AS UBIGINT))) AS {draw}" for n, draw in enumerate("abcde")
)
