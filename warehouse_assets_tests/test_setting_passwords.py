"""Passwords in addresses: which may be given, and that no part of one is ever shown."""

import pytest
import sqlalchemy as sa

from warehouse_assets.errors import SettingError
from warehouse_assets.settings import SETTINGS, Settings
from warehouse_assets_tests.test_settings import read

DATABASES = ["WAREHOUSE_URL", "REVIEWS_URL", "STATE_URL"]
ODD = "se@c/r:e#t?%[x]"
ODD_ENCODED = "se%40c%2Fr%3Ae%23t%3F%25%5Bx%5D"


def value(settings: Settings, variable: str) -> str:
    (field,) = (setting.field for setting in SETTINGS if setting.variable == variable)
    return str(getattr(settings, field))


@pytest.mark.parametrize("variable", DATABASES)
@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg2"])
@pytest.mark.parametrize("rest", [f"u:{ODD_ENCODED}@h:5/d", f"u@h:5/d?password={ODD_ENCODED}"])
def test_a_password_may_have_any_characters(variable: str, scheme: str, rest: str) -> None:
    settings = read(**{variable: f"{scheme}://{rest}"})
    url = sa.make_url(value(settings, variable))
    assert url.get_backend_name() == "postgresql"
    assert (url.username, url.password, url.host, url.port) == ("u", ODD, "h", 5)
    assert (url.database, url.query) == ("d", {})
    assert not any(part in repr(settings) for part in ("se@", "se%40", "c%2F"))


@pytest.mark.parametrize("character", list("/:#?%[]"))
def test_a_password_as_it_is_works_and_is_not_shown(character: str) -> None:
    settings = read(WAREHOUSE_URL=f"postgresql://u:top{character}hush@h:5/d")
    url = sa.make_url(settings.warehouse_url)
    assert (url.password, url.host) == (f"top{character}hush", "h")
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:top@hush@h:5/d",
        "postgresql://u:top@hush/sly@h/d",
        "postgresql://u:top@hush:sly@h:5/d",
        "postgres://u:top@hush?sly@h/d",
        "postgresql://u:hush",
        "mysql://u:top@hush/sly@h/d",
        "mysql://u@h/d?password=hush",
    ],
)
@pytest.mark.parametrize("variable", DATABASES)
def test_no_part_of_a_password_is_shown(variable: str, text: str) -> None:
    with pytest.raises(SettingError) as raised:
        read(**{variable: text})
    for part in ("top", "hush", "sly"):
        assert part not in str(raised.value)


@pytest.mark.parametrize("character", list("@/:#?%["))
@pytest.mark.parametrize("start", ["top", "12"])
def test_a_password_of_the_server_of_batches_works_or_is_refused(
    start: str, character: str
) -> None:
    text = f"http://u:{start}{character}hush@h/x"
    if character in "@:%":
        assert read(BATCHES_URL=text).batches_url == text
        return
    with pytest.raises(SettingError, match="@ as %40") as raised:
        read(BATCHES_URL=text)
    assert "hush" not in str(raised.value)
    assert "top" not in str(raised.value)


def test_an_address_without_password_may_have_an_at_sign() -> None:
    text = "http://h/x?mail=a@b"
    assert read(BATCHES_URL=text).batches_url == text
    assert "me@x" in read(WAREHOUSE_URL="sqlite:////tmp/me@x/w.db").warehouse_url
    url = sa.make_url(read(WAREHOUSE_URL="postgresql://me@x:pw@h/d").warehouse_url)
    assert (url.username, url.password, url.host) == ("me@x", "pw", "h")
