import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.api.uploads import Upload, remove_broken_off
from warehouse_assets.defs.trips.tables import TRIPS
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.ingestions import Ingestion, Ingestions
from warehouse_assets_tests.api.serving import (
    COLUMNS,
    ROW,
    Served,
    assert_is_problem,
    begin_upload,
    client,
    eventually,
    file_of,
    served_by_a_process,
    serving,
    settings_of,
)

FILE = (COLUMNS + ROW).encode()


def names_told(ingestion: Ingestion) -> list[str]:
    return [event.name for event in ingestion.events()]


def test_a_body_becomes_a_file_of_the_inbox_that_is_complete_at_once(served: Served) -> None:
    response = served.send(FILE, params={"name": "May 2018.csv"})

    ingestion = served.ingestion(response)
    assert response.headers["Location"] == response.json()["status_url"]
    assert response.json()["events_url"] == response.json()["status_url"] + "/events"
    assert served.inbox == [f"trips-May-2018-{ingestion.id}.csv"] == [file_of(ingestion)]
    (file,) = served.service.inbox.look().complete
    assert file.path.read_bytes() == FILE
    assert [(event.name, dict(event.data)) for event in ingestion.events()] == [
        ("received", {"name": "May 2018.csv", "bytes": len(FILE), "kind": "trips"}),
        ("queued", {"bytes": len(FILE)}),
    ]
    assert served.runs.requested == 1


def test_posts_and_votes_are_sent_like_trips_and_are_apart(served: Served) -> None:
    lines = b'{"Id": 1, "CreationDate": "2022-01-02T00:00:00.000"}\n'
    for kind, name, ending in (
        ("posts", "posts-May.jsonl", "-May-{}.jsonl"),
        ("votes", "of May", "-of-May-{}.json"),
        ("votes", "x.csv", "-x-{}.json"),
    ):
        url = f"{served.address}/v1/{kind}/ingestions"
        sent = served.client.post(
            url, lines, params={"name": name}, headers={"Content-Type": "application/x-ndjson"}
        )
        ingestion = served.ingestion(sent)
        assert sent.json()["status_url"] == f"{url}/{ingestion.id}"
        assert file_of(ingestion) == f"{kind}{ending.format(ingestion.id)}"
        assert file_of(ingestion) in served.inbox
        assert served.runs.assets[-1] == kind
        status = served.client.get(f"{url}/{ingestion.id}").json()
        assert (status["status"], status["name"]) == ("queued", name)
        rejected = f"/v1/tables/rejected_records?source={kind}&unit.like="
        assert rejected in status["rejected_url"]
        elsewhere = f"{served.address}/v1/trips/ingestions/{ingestion.id}"
        assert_is_problem(served.client.get(elsewhere), 404)
        assert_is_problem(served.client.get(f"{elsewhere}/events"), 404)
    for kind, number in (("posts", 1), ("votes", 2), ("trips", 0)):
        found = served.client.get(f"{served.address}/v1/{kind}/ingestions").json()["items"]
        assert len(found) == number
        wrong = {"posts": "text/csv", "votes": "text/csv", "trips": "application/json"}[kind]
        refused = served.client.post(
            f"{served.address}/{kind}/ingestions", b"x", headers={"Content-Type": wrong}
        )
        assert_is_problem(refused, 415, wrong)


def test_whether_a_file_is_packed_is_seen_by_its_content(served: Served) -> None:
    found = []
    for name in ("trips.csv", "trips.csv.gz", ""):
        plain = served.ingestion(served.send(FILE, params={"name": name}))
        packed = served.ingestion(served.send(gzip.compress(FILE), params={"name": name}))
        assert file_of(plain).endswith(f"{plain.id}.csv")
        assert file_of(packed).endswith(f"{packed.id}.csv.gz")
        found += [file_of(plain), file_of(packed)]
    assert served.inbox == sorted(found)


_FORM = "multipart/form-data; boundary=b0undary"
_FILE_PART = 'form-data; name="file"; filename="x"'
_END = b"--b0undary--\r\n"


def part(disposition: str, content: bytes) -> bytes:
    return f"--b0undary\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"


def test_no_name_in_a_form_leads_out_of_the_inbox(served: Served) -> None:
    for name, stem in [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\trips.csv", "upload"),
        ("a\0b.csv", "ab"),
        ("n" * 300 + ".csv", "n" * 60),
        ("", "upload"),
        (".hidden", "hidden"),
        ("x.part", "x-part"),
        ("日本.csv", "upload"),
        ("a; rm -rf ~ #.csv", "a-rm-rf"),
    ]:
        escaped = name.replace("\\", "\\\\")
        form = part(f'form-data; name="file"; filename="{escaped}"', FILE) + _END

        ingestion = served.ingestion(served.send(form, headers={"Content-Type": _FORM}))

        assert served.inbox == [f"trips-{stem}-{ingestion.id}.csv"]
        (path,) = served.service.settings.inbox.iterdir()
        assert path.read_bytes() == FILE
        path.unlink()
    # A form may tell the name before the file or after it.
    before = served.send_form(name=(None, "other"), file=("x.csv", FILE))
    after = served.send_form(file=("x.csv", FILE), name=(None, "other"))
    assert [
        served.ingestion(response).events()[0].data["name"] for response in (before, after)
    ] == ["other"] * 2


def megabytes(number: int, before: bytes = b"") -> Iterator[bytes]:
    """Content whose size nobody says beforehand."""
    yield before
    for _ in range(number):
        yield b"x" * 1_000_000


_TOO_LARGE = part(_FILE_PART, b"").removesuffix(b"\r\n")


_REFUSED: list[tuple[str, Any, int, str]] = [
    (_FORM, part(_FILE_PART, FILE), 422, "form"),  # its end is missing
    (_FORM, b"no form at all", 422, "form"),
    (_FORM, 2 * part(_FILE_PART, FILE) + _END, 422, "form"),
    (_FORM, part('form-data; name="name"', b"x" * 5000) + _END, 422, "form"),
    (_FORM, 30 * part('form-data; name="name"', b"x") + _END, 422, "form"),
    (_FORM, part('form-data; name="nmae"', b"x") + _END, 422, "there are: file, name"),
    (_FORM, b"--b0undary\r\nX: " + b"y" * 100_000, 422, "form"),
    ("multipart/form-data", b"", 422, "form"),
    ("multipart/form-data; boundary=", b"", 422, "form"),
    (f"multipart/form-data; boundary={'x' * 5000}", b"", 422, "form"),
    (_FORM, lambda: megabytes(11, _TOO_LARGE), 413, "UPLOAD_LIMIT"),
    (_FORM, part(_FILE_PART, b"") + _END, 422, "the file is empty"),
    ("text/csv", b"", 422, "the file is empty"),
    ("text/csv", lambda: iter([]), 422, "the file is empty"),
    ("text/csv", b"x" * 10_000_001, 413, "UPLOAD_LIMIT"),
    ("application/json", FILE, 415, "text/csv"),
    ("application/x-zip", FILE, 415, "text/csv"),
]


# Starlette leaves the file of a part that has no end to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_cannot_be_taken_is_refused_before_anything_of_it_is_stored(served: Served) -> None:
    for content_type, body, status, word in _REFUSED:
        content = body() if callable(body) else body
        response = served.send(content, headers={"Content-Type": content_type})

        assert_is_problem(response, status, word)
        assert ("text/csv" in response.headers.get("Accept-Post", "")) is (status == 415)
    assert served.inbox == []
    assert served.service.ingestions.all() == []
    assert served.runs.requested == 0


def test_a_file_of_just_the_limit_is_taken_and_one_that_turns_out_too_large_removed(
    served: Served,
) -> None:
    ingestion = served.ingestion(served.send(iter([b"x" * 9_999_999, b"y"])))
    assert (served.service.settings.inbox / file_of(ingestion)).stat().st_size == 10_000_000

    assert_is_problem(served.send(megabytes(11)), 413, "UPLOAD_LIMIT")

    assert served.inbox == [file_of(ingestion)]
    refused = served.service.ingestions.all()[0]
    assert names_told(refused) == ["received", "failed"]
    assert "UPLOAD_LIMIT" in refused.events()[-1].data["reason"]


def memory(process_id: int | None) -> int:
    """The most bytes of memory that a process had."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs to see the memory")
def test_uploads_take_little_memory_and_one_that_dies_with_the_service_does_not_count(
    tmp_path: Path,
) -> None:
    ingestions, size, piece = Ingestions(tmp_path / "ingestions"), 40_000_000, b"x" * 500_000
    with served_by_a_process(tmp_path) as service, client() as session:
        url, headers = f"{service.address}/trips/ingestions", {"Content-Type": "text/csv"}
        session.post(url, data=FILE, headers=headers)
        before = memory(service.process.pid)
        content = (piece for _ in range(size // len(piece)))
        assert session.post(url, data=content, headers=headers).status_code == 202
        assert memory(service.process.pid) - before < size // 2
        assert max(path.stat().st_size for path in (tmp_path / "inbox").iterdir()) == size
        with begin_upload(service.address, FILE):
            eventually(lambda: len(ingestions.all()) == 3)
            service.process.kill()
            service.process.join()
    ingestion = ingestions.all()[0]
    assert len(list((tmp_path / "inbox").iterdir())) == 3
    assert len(Inbox(tmp_path / "inbox", tmp_path / "archive", 0).look().complete) == 2

    with serving(settings_of(tmp_path)) as served:
        assert len(served.inbox) == 2
        assert names_told(ingestion) == ["received", "failed"]
        assert "Upload the file again" in ingestion.events()[-1].data["reason"]
        assert served.runs.requested == 1  # for the files that the former service received


def test_only_what_nobody_writes_any_more_is_removed(tmp_path: Path) -> None:
    inbox, ingestions = Inbox(tmp_path, tmp_path / "archive", 2), Ingestions(tmp_path / "i")
    upload = Upload(inbox, ingestions, TRIPS, "x.csv", b"re", None, None)
    other = tmp_path / ".trips.csv.upload.part"
    other.write_bytes(b"somebody's")

    remove_broken_off(inbox, ingestions)
    assert upload.finish() == upload.ingestion
    remove_broken_off(inbox, ingestions)
    assert (tmp_path / file_of(upload.ingestion)).exists()
    assert other.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_inbox_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir(mode=0o500)

    with pytest.raises(SourceError, match="setting INBOX"):
        Upload(Inbox(folder, tmp_path, 0), Ingestions(tmp_path), TRIPS, "x", b"re", None, None)


def test_journals_that_cannot_be_written_are_said_and_nothing_is_left(served: Served) -> None:
    served.service.ingestions.folder.write_text("a file")

    assert_is_problem(served.send(FILE), 503, "WAREHOUSE_HOME")
    assert served.inbox == []
