"""Names of assets, made and read."""

import pytest

from mediasvc.core.formats import Format
from mediasvc.core.records.asset_name import asset_name, parse_asset_name

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize("form", Format)
def test_the_name_of_an_asset_is_read_as_it_was_made(form: Format) -> None:
    assert parse_asset_name(asset_name(DIGEST, form)) == (DIGEST, form)


@pytest.mark.parametrize(
    "name",
    [
        "",
        DIGEST,
        f"{DIGEST}.",
        f"{DIGEST}.jpeg",
        f"{DIGEST}.exe",
        f"{DIGEST}.JPG",
        f"{DIGEST}.jpg\n",
        f"{DIGEST}.jpg.png",
        f"{DIGEST[1:]}.jpg",
        f"{DIGEST}0.jpg",
        f"{DIGEST.upper()}.jpg",
        f"{'g' * 64}.jpg",
        f"{'٣' * 64}.jpg",
        f"../{DIGEST}.jpg",
    ],
)
def test_any_other_name_is_none_of_an_asset(name: str) -> None:
    assert parse_asset_name(name) is None
