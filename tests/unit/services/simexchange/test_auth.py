"""Signatures as the venue checks them (kalshi-api section 2)."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from services.simexchange.core.requests import Rejection
from services.simexchange.shell.auth import Key, KeyRing, generate_key

PUBLIC_PEM = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=
-----END PUBLIC KEY-----
"""
VECTOR = {
    ("GET", "/trade-api/v2/portfolio/balance"): (
        "SgsupgnHWiFyyF54OWuAPWQMJ1dZi4VXB3zW9JRFpE3oDzi4u+S59snvmWUvo/p+uGhS2gRNsbIzetJZZLfxCQ=="
    ),
    ("POST", "/trade-api/v2/portfolio/events/orders"): (
        "hoY3uQgx80Fc8YdP2GLUpNOG5Ig1cbWxzvhV2/GcSepJxptXybHTtzsEyf0azq021sdHTmMzTvBPt6i1S8DnAA=="
    ),
    ("GET", "/trade-api/ws/v2"): (
        "mEX39ZDAG0lHqY8vwK41t5ovOboMchtv9qt0ITZE2H5IZSqyTRDpfHYrXKe3jpPQWQUrkwT/pgAmmR8ghTUGBQ=="
    ),
}
STAMP = "1700000000000"
NOW_NS = 1_700_000_000_000_000_000


@pytest.fixture
def ring() -> KeyRing:
    ring = KeyRing()
    ring.add("k", "alice", PUBLIC_PEM)
    return ring


@pytest.mark.parametrize(("request_line", "signature"), VECTOR.items())
def test_the_documented_vector_is_accepted(
    ring: KeyRing, request_line: tuple[str, str], signature: str
) -> None:
    key = ring.check("k", STAMP, signature, *request_line, NOW_NS)

    assert isinstance(key, Key)
    assert key.account == "alice"


def test_a_signature_of_another_method_path_or_time_is_refused(ring: KeyRing) -> None:
    (line, signature), *_ = VECTOR.items()

    for stamp, method, path in (
        (STAMP, "POST", line[1]),
        (STAMP, line[0], "/trade-api/v2/portfolio/fills"),
        ("1700000000001", *line),
    ):
        refusal = ring.check("k", stamp, signature, method, path, NOW_NS)
        assert isinstance(refusal, Rejection)
        assert refusal.details == "INCORRECT_API_KEY_SIGNATURE"


@pytest.mark.parametrize("signature", ["?", "AAAA", "ä", "A" * 88])
def test_what_is_no_signature_is_refused(ring: KeyRing, signature: str) -> None:
    refusal = ring.check("k", STAMP, signature, "GET", "/x", NOW_NS)

    assert isinstance(refusal, Rejection)
    assert refusal.details == "INCORRECT_API_KEY_SIGNATURE"


@pytest.mark.parametrize(
    "stamp", ["0", "-1", "1e12", "\u0661\u0667", "9" * 30, "1700000011000", "1699999989000"]
)
def test_a_stamp_that_is_no_time_or_too_far_off_has_expired(ring: KeyRing, stamp: str) -> None:
    refusal = ring.check("k", stamp, "AAAA", "GET", "/x", NOW_NS)

    assert isinstance(refusal, Rejection)
    assert refusal.code == "header_timestamp_expired"


def test_rsa_wants_a_salt_as_long_as_the_digest() -> None:
    """Some libraries take the longest salt by default, and the venue refuses it."""
    pair = generate_key("r", "rsa")
    ring = KeyRing()
    ring.add("r", "bob", pair.public_pem)
    private = serialization.load_pem_private_key(pair.private_pem, None)
    assert isinstance(private, rsa.RSAPrivateKey)

    longest = 2048 // 8 - 32 - 2

    def sign(salt: int) -> str:
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=salt)
        return base64.b64encode(private.sign(f"{STAMP}GET/x".encode(), pss, hashes.SHA256())).decode()

    assert isinstance(ring.check("r", STAMP, sign(32), "GET", "/x", NOW_NS), Key)
    assert isinstance(ring.check("r", STAMP, sign(longest), "GET", "/x", NOW_NS), Rejection)


@pytest.mark.parametrize(
    ("scopes", "reads", "writes"),
    [
        (["read"], True, False),
        (["read", "write"], True, True),
        (["read", "write::trade"], True, True),
        (["read::portfolio_balance"], False, False),
        (["read", "write::transfer"], True, False),
    ],
)
def test_a_key_may_do_what_its_scopes_say(scopes: list[str], reads: bool, writes: bool) -> None:
    ring = KeyRing()
    ring.add("k", "alice", PUBLIC_PEM, scopes)

    key = ring.keys["k"]

    assert (key.may("GET"), key.may("POST"), key.may("DELETE"), key.may("PUT")) == (reads, *[writes] * 3)


def test_only_the_two_key_types_exist() -> None:
    with pytest.raises(ValueError, match="rsa or ed25519"):
        generate_key("k", "dsa")
