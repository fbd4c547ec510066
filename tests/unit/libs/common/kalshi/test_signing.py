import base64
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from libs.common.kalshi.signing import KEY_HEADER, SIGNATURE_HEADER, STAMP_HEADER, KeyUnusable, Signer

# kalshi-api 2.1: seed of bytes 0x00..0x1f. A published vector, not a credential.
ED25519_PEM = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
"""
STAMP = 1_700_000_000_000


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize(
    ("method", "path", "signature"),
    [
        (
            "GET",
            "/trade-api/v2/portfolio/balance",
            "SgsupgnHWiFyyF54OWuAPWQMJ1dZi4VXB3zW9JRFpE3oDzi4u+S59snvmWUvo/p+uGhS2gRNsbIzetJZZLfxCQ==",
        ),
        (
            "POST",
            "/trade-api/v2/portfolio/events/orders",
            "hoY3uQgx80Fc8YdP2GLUpNOG5Ig1cbWxzvhV2/GcSepJxptXybHTtzsEyf0azq021sdHTmMzTvBPt6i1S8DnAA==",
        ),
        (
            "GET",
            "/trade-api/ws/v2",
            "mEX39ZDAG0lHqY8vwK41t5ovOboMchtv9qt0ITZE2H5IZSqyTRDpfHYrXKe3jpPQWQUrkwT/pgAmmR8ghTUGBQ==",
        ),
    ],
)
def test_ed25519_signatures_are_those_of_the_published_vector(method: str, path: str, signature: str) -> None:
    headers = Signer.from_pem("key-1", ED25519_PEM).headers(method, path, STAMP)

    assert headers == {KEY_HEADER: "key-1", STAMP_HEADER: str(STAMP), SIGNATURE_HEADER: signature}


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8]
)
def test_rsa_signatures_verify_with_a_salt_of_digest_length_whatever_the_pem_header(
    rsa_key: rsa.RSAPrivateKey, form: serialization.PrivateFormat
) -> None:
    signer = Signer.from_pem("key-1", pem_of(rsa_key, form))

    headers = signer.headers("GET", "/trade-api/v2/portfolio/balance", STAMP)

    message = f"{STAMP}GET/trade-api/v2/portfolio/balance".encode()
    signature = base64.b64decode(headers[SIGNATURE_HEADER])
    exact = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    rsa_key.public_key().verify(signature, message, exact, hashes.SHA256())
    longest = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=256 - 32 - 2)
    with pytest.raises(InvalidSignature):
        rsa_key.public_key().verify(signature, message, longest, hashes.SHA256())


def test_the_kind_of_key_is_read_from_the_key_and_shown_without_it(rsa_key: rsa.RSAPrivateKey) -> None:
    signers = [
        Signer.from_pem("0123456789abcdef", pem_of(rsa_key, serialization.PrivateFormat.PKCS8)),
        Signer.from_pem("0123456789abcdef", ED25519_PEM),
    ]

    assert [s.algorithm for s in signers] == ["rsa", "ed25519"]
    for signer in signers:
        assert "redacted" in repr(signer)
        assert "0123456789" not in repr(signer)


def test_unusable_keys_are_refused_without_quoting_them(rsa_key: rsa.RSAPrivateKey) -> None:
    encrypted = rsa_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pass"),
    )
    curve = pem_of(ec.generate_private_key(ec.SECP256R1()), serialization.PrivateFormat.PKCS8)
    for key_id, pem in [
        ("k", b"SECRET"),
        ("k", encrypted),
        ("k", curve),
        ("", ED25519_PEM),
        ("a\r\nb", ED25519_PEM),
    ]:
        with pytest.raises(KeyUnusable) as refused:
            Signer.from_pem(key_id, pem)
        assert "SECRET" not in str(refused.value)


def test_a_key_file_that_others_may_read_is_refused_when_privacy_is_required(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(ED25519_PEM)
    path.chmod(0o640)

    assert Signer.from_file("k", path).algorithm == "ed25519"
    with pytest.raises(KeyUnusable, match="0640"):
        Signer.from_file("k", path, require_private=True)

    path.chmod(0o600)
    assert Signer.from_file("k", path, require_private=True).algorithm == "ed25519"
    with pytest.raises(KeyUnusable, match="readable"):
        Signer.from_file("k", tmp_path / "absent.pem")


def test_signer_is_the_same_from_text_and_bytes() -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()

    assert Signer.from_pem("k", text).sign(b"m") == Signer.from_pem("k", ED25519_PEM).sign(b"m")
