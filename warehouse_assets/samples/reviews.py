"""Sample reviews: a database such as a shop keeps, of any size, in SQLite or PostgreSQL.

The same size and seed give the same rows. The rows are made in parts, so that memory does not
grow with their number.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa
import xxhash

from warehouse_assets.errors import SourceError
from warehouse_assets.samples.reviews_rows import COLUMNS, query
from warehouse_assets.samples.school_files import writing

_ROWS_AT_ONCE = 20_000
_TYPES = {
    "level_0": "BIGINT",
    "index": "BIGINT",
    "overall": "DOUBLE PRECISION",
    "verified": "BIGINT",
    "unixReviewTime": "BIGINT",
}
_TABLE = ", ".join(f'"{name}" {_TYPES.get(name, "TEXT")}' for name in COLUMNS)
_NOTE = "reviews.json"  # in the folder that remembers what was made
_CHUNK_BYTES = 1 << 20


def write_reviews(url: str, reviews: int, seed: int) -> None:
    """Make the table `reviews`, with as many rows, in the database at an SQLAlchemy URL.

    One that is there already is replaced.

    Args:
        seed: another seed makes other reviews.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        _write_sqlite(Path(parsed.database or ""), reviews, seed)
    else:
        _write_postgres(parsed.set(drivername="postgresql+psycopg2"), reviews, seed)


def write_reviews_samples(path: Path, made: Path, reviews: int, seed: int) -> str | None:
    """Make a SQLite database of sample reviews at `path`, unless there is one already.

    Whatever is there stays as it is: then what it is, is returned in words.

    Args:
        made: the folder that remembers what was made.
    """
    size = f"{reviews} reviews and seed {seed}"
    if path.exists():
        known = _remembered(made)
        if known is None or Path(known["path"]) != path:
            return f"The database {path} was not made as a sample: it stays as it is."
        if known["size"] == size:
            return None
        return (
            f"There are sample reviews already, with {known['size']}: they stay as they are. To "
            "make others, remove them with 'warehouse samples --reset' first."
        )
    partial = path.with_name(f".{path.name}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        try:
            write_reviews(f"sqlite:///{partial}", reviews, seed)
        except sqlite3.Error as error:
            partial.unlink(missing_ok=True)
            raise SourceError(
                f"{path} cannot be written: {error}. Make room for it, or see to the permissions "
                "of its folder; then start again."
            ) from error
        note = {"path": str(path), "size": size, "content": _digest(partial)}
        (made / _NOTE).write_text(json.dumps(note), encoding="utf-8")
        partial.replace(path)
    return None


def made_reviews(made: Path) -> Path | None:
    """Where sample reviews were made; None if nowhere."""
    known = _remembered(made)
    return None if known is None else Path(known["path"])


def are_as_made(made: Path, path: Path) -> bool:
    """Whether the database at `path` holds what was made, and nothing else."""
    known = _remembered(made)
    return known is not None and known["content"] == _digest(path)


def forget_reviews(made: Path) -> None:
    """Remember no longer that there are sample reviews."""
    (made / _NOTE).unlink(missing_ok=True)


def _remembered(made: Path) -> dict[str, str] | None:
    try:
        note = json.loads((made / _NOTE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{made / _NOTE}, which says where sample reviews were made, cannot be read: {error}. "
            "Delete it, and the sample reviews by hand."
        ) from error
    return {name: str(note[name]) for name in ("path", "size", "content")}


def _digest(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _parts(reviews: int, seed: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """Consecutive rows, as results of DuckDB."""
    with closing(duckdb.connect()) as connection:
        for first in range(0, reviews, _ROWS_AT_ONCE):
            following = min(first + _ROWS_AT_ONCE, reviews)
            drawn = {"first": first, "next": following, "rows": reviews, "seed": seed}
            yield connection.execute(query(), drawn)


def _write_sqlite(path: Path, reviews: int, seed: int) -> None:
    values = ", ".join("?" for _ in COLUMNS)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("DROP TABLE IF EXISTS reviews")
        connection.execute(f"CREATE TABLE reviews ({_TABLE})")
        for rows in _parts(reviews, seed):
            connection.executemany(f"INSERT INTO reviews VALUES ({values})", rows.fetchall())
        connection.commit()


def _write_postgres(url: sa.URL, reviews: int, seed: int) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with closing(engine.raw_connection()) as connection:
        cursor: Any = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS reviews")
        cursor.execute(f"CREATE TABLE reviews ({_TABLE})")
        for rows in _parts(reviews, seed):
            cursor.copy_expert("COPY reviews FROM STDIN", _lines(rows))
        connection.commit()
        cursor.execute("ANALYZE reviews")
        connection.commit()


def _lines(rows: duckdb.DuckDBPyConnection) -> StringIO:
    """Rows in the text format of COPY."""
    return StringIO(
        "".join(
            "\t".join("\\N" if value is None else _escaped(str(value)) for value in row) + "\n"
            for row in rows.fetchall()
        )
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
