"""Sample posts and votes in the shape of Stack Exchange's, quirks included.

The same size and seed give the same bytes, so that delivering them again changes nothing.
"""

import gzip
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from warehouse_assets.samples.files import Made, make_files

_FIRST_DAY = datetime.fromisoformat("2022-01-03")  # the supplier writes times without a zone
_WEEKS = 52
_VOTES_PER_POST = 20
_QUESTION_SHARE = 0.4
_UNKNOWN_POST_SHARE = 0.002
_QUIET_WEEK = 30  # no vote at all
_BUSY_WEEKS = {7: 3.0, 8: 2.0, 41: 0.4}  # week -> how many times the usual votes

Record = dict[str, Any]


def write_forum_samples(folder: Path, votes: int, seed: int) -> Made:
    """Write a file of posts and two of votes into `folder`.

    Args:
        folder: it is made if it is not there.
        votes: how many votes there are; there is a post for every 20 of them.
        seed: another seed makes other files.
    """
    source = random.Random(seed)
    name = f"sample-{votes}-{seed}"
    posts = list(_posts(source, max(votes // _VOTES_PER_POST, 1)))
    cast = list(_votes(source, votes, len(posts)))
    half = len(cast) // 2
    # The second file brings some votes of the first again, one of them changed since.
    again = [*cast[max(half - 10, 0) : half], *({**vote, "VoteTypeId": "4"} for vote in cast[:1])]
    contents = {
        folder / f"posts-{name}.json": _array(posts),
        folder / f"votes-{name}-1.jsonl": _lines(cast[:half]),
        folder / f"votes-{name}-2.jsonl.gz": _lines([*again, *cast[half:]], damage=_DAMAGE),
    }

    def write(*parts: Path) -> None:
        for part, (path, content) in zip(parts, contents.items(), strict=True):
            data = content.encode()
            # Without a time in its header the compressed file depends on its content only.
            part.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)

    return make_files(list(contents), write)


_DAMAGE = (
    '{"Id":"-","PostId":"1","VoteTypeId":"2","CreationDate":"2022-02-01T00:00:00.000"}',
    '{"Id":"900000001","VoteTypeId":"2","CreationDate":"2022-02-30T00:00:00.000"}',
    '{"Id":"900000002","PostId":"1","VoteTy',
)


def _posts(source: random.Random, count: int) -> Iterator[Record]:
    for number in range(1, count + 1):
        # A third of the posts is older than the first vote, the rest is spread over the year.
        day = -source.random() * 100 if number <= count / 3 else _day_of(number, count)
        is_question = number == 1 or source.random() < _QUESTION_SHARE
        record = {
            "Id": str(number),
            "PostTypeId": "1" if is_question else "2",
            "CreationDate": _text(_FIRST_DAY + timedelta(days=day)),
            "Score": str(source.randint(-3, 40)),
            "OwnerUserId": str(source.randint(1, count)),
            "Body": f"<p>Text of post {number}.</p>",
        }
        if is_question:
            record |= {"Title": f"Question {number}?", "Tags": "<sql><python>", "ViewCount": "17"}
        else:
            record["ParentId"] = str(source.randint(1, number - 1))
        yield record


def _day_of(number: int, count: int) -> float:
    return (number - count / 3) / (count * 2 / 3) * _WEEKS * 7 * 0.95


def _votes(source: random.Random, count: int, posts: int) -> Iterator[Record]:
    weights = [
        0.0 if week == _QUIET_WEEK else _BUSY_WEEKS.get(week, source.uniform(0.85, 1.15))
        for week in range(_WEEKS)
    ]
    days = sorted(
        7 * week + source.random() * 7 for week in source.choices(range(_WEEKS), weights, k=count)
    )
    for number, day in enumerate(days, start=1):
        # Few posts get most of the votes.
        post = 1 + int(posts * source.random() ** 3)
        record = {
            "Id": str(number),
            "PostId": str(post if source.random() > _UNKNOWN_POST_SHARE else posts + post),
            "VoteTypeId": source.choices("2315", (80, 10, 6, 4))[0],
            # The supplier gives only the day of a vote.
            "CreationDate": _text(
                (_FIRST_DAY + timedelta(days=day)).replace(
                    hour=0, minute=0, second=0, microsecond=0
                )
            ),
        }
        if record["VoteTypeId"] == "5":
            record["UserId"] = str(source.randint(1, posts))
        yield record


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _array(records: Sequence[Record]) -> str:
    return "[\n" + ",\n".join(json.dumps(record) for record in records) + "\n]\n"


def _lines(records: Iterable[Record], damage: Sequence[str] = ()) -> str:
    return "\n".join([*(json.dumps(record) for record in records), *damage]) + "\n"
