"""Our own image paths are signed like imgproxy's, with keys that can be changed in flight."""

import pytest

from mediasvc.core.addresses.signing import sign, verify

KEY = bytes.fromhex("943b421c9eb07c830af81030552c86009268de4e532ba2ee2eab8247c6da0881")
OLD = bytes.fromhex("00" * 32)
PATH = "/600x400/aHR0cDovL2V4LmNvbS9hLmpwZw"


def test_the_signature_is_the_hmac_of_the_path_in_base64url() -> None:
    # openssl dgst -sha256 -mac HMAC -macopt hexkey:…, of the path above
    assert sign([KEY], PATH) == "rg-LBBJxzapPXdZ22iV8V8GBGC791lHNOkNnzgJcrEA"
    assert "=" not in sign([KEY], PATH)


def test_the_first_key_signs_and_every_key_verifies() -> None:
    new = sign([KEY, OLD], PATH)

    assert new == sign([KEY], PATH)
    assert verify([KEY, OLD], PATH, new)
    assert verify([OLD, KEY], PATH, new)
    assert not verify([OLD], PATH, new)


@pytest.mark.parametrize(
    "signature", ["", "unsafe", "é", "\udc80", "A" * 43, "rg-LBBJxzapPXdZ22iV8V8GBGC791lHNOkNnzgJcrEA="]
)
def test_a_wrong_signature_does_not_verify(signature: str) -> None:
    assert not verify([KEY], PATH, signature)


def test_a_signature_is_for_one_path_only() -> None:
    signature = sign([KEY], PATH)

    for other in (PATH + "x", PATH[1:], PATH.replace("600", "601"), PATH.upper()):
        assert not verify([KEY], other, signature)


def test_without_keys_nothing_is_signed_and_nothing_verifies() -> None:
    assert not verify([], PATH, sign([KEY], PATH))

    with pytest.raises(ValueError, match="no signing key"):
        sign([], PATH)
