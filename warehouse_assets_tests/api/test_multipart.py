import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.api.multipart import Content, Field, FileBegins, Piece, pieces
from warehouse_assets.api.problems import Refusal

TYPE = b"multipart/form-data; boundary=b0undary"


def part(disposition: str, content: bytes) -> bytes:
    return f"--b0undary\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"


def read(body: bytes, size: int = 1 << 16, content_type: bytes = TYPE) -> list[Piece]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    async def collected() -> list[Piece]:
        return [piece async for piece in pieces(content_type, chunks())]

    return asyncio.run(collected())


@settings(max_examples=60, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.lists(st.sampled_from([b"\r\n", b"--", b"b0undar", b"\r\n--b0undar", b"\0"])).map(
            b"".join
        ),
    ),
    size=st.integers(min_value=1, max_value=40),
)
def test_a_file_is_what_was_sent_however_the_body_is_cut(content: bytes, size: int) -> None:
    body = part('form-data; name="webhook"', b"http://localhost/")
    body += part('form-data; name="file"; filename="x.csv"', content) + b"--b0undary--\r\n"

    found = read(body, size)

    assert b"".join(piece.data for piece in found if isinstance(piece, Content)) == content
    assert [piece for piece in found if not isinstance(piece, Content)] == [
        Field("webhook", "http://localhost/"),
        FileBegins("x.csv"),
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (part('form-data; name="file"; filename="x"', b"1"), "ends in the middle"),
        (b"", "ends in the middle"),
        (b"no form at all", "not a form"),
        (2 * part('form-data; name="file"; filename="x"', b"1"), "more than one file"),
        (part('form-data; name="name"', b"x" * 5000), "longer than"),
        (30 * part('form-data; name="name"', b"x"), "more than 20 parts"),
        (b"--b0undary\r\nX: " + b"y" * 100_000, "not a form"),
    ],
)
def test_what_is_no_form_with_one_file_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(body)

    assert refused.value.status_code == 422
    assert reason in refused.value.detail


@pytest.mark.parametrize("boundary", [b"", b"; boundary=", b"; boundary=" + b"x" * 5000])
def test_a_boundary_that_cannot_be_one_is_refused(boundary: bytes) -> None:
    with pytest.raises(Refusal, match="boundary"):
        read(b"", content_type=b"multipart/form-data" + boundary)
