"""Copies in cookies are those of the wire, and nobody else can make one."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe, jws
from joserfc.jwk import OctKey

from watchword.crypto.cookie_cache import form_of, milliseconds
from watchword.crypto.signing import sign

# Made with Node's crypto and with the npm package jose, from one payload and these secrets.
VECTORS = json.loads((Path(__file__).parent / "cookie_cache_vectors.json").read_text("utf-8"))
SECRET, OTHER = (it["secret"] for it in VECTORS)
FORMS = ["compact", "jwt", "jwe"]
INFO = b"BetterAuth.js Generated Encryption Key"
MADE_AT = datetime(2026, 5, 17, 12, 0, 0, 123456, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)
PAYLOAD = {
    "session": {
        "expiresAt": "2026-11-28T10:20:10.169Z",
        "token": "XXLD360TqYQokdVND7TufrhGmedl6j9P",
        "userId": "u1",
        "id": "s1",
    },
    "user": {
        "name": 'Ada "Ü" \u2028 \u0007 \n 😀 </script>',
        "email": "ada@example.org",
        "image": None,
        "emailVerified": False,
        "id": "u1",
        "settings": {"b": [1, -2.5, 1e21, 1e-7, True, None], "2": "two", "10": {}, "1": "one"},
    },
    "updatedAt": milliseconds(MADE_AT),
    "version": "1",
}
ENDS = {"compact": 1779019500123, "jwt": 1779019500000, "jwe": 1779019500000}
TIMES = {"iat": 1779019200, "exp": 1779019500}

every_form = pytest.mark.parametrize("form", FORMS)
every_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda it: it["secret"][:6])


def written(form: str, secret: str = SECRET) -> str:
    """Write the payload."""
    return form_of(form, [secret]).write(PAYLOAD, made_at=MADE_AT, lives=FIVE_MINUTES)


def encoded(text: str) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decoded(text: str) -> str:
    """Undo that."""
    return urlsafe_b64decode(text + "==").decode()


@every_vector
@pytest.mark.parametrize("form", ["compact", "jwt"])
def test_a_copy_is_the_wires_to_the_byte(vector, form) -> None:
    """Keys in their order, no blanks, raw letters, JavaScript's numbers."""
    assert written(form, vector["secret"]) == vector[form]


@every_vector
@every_form
def test_a_copy_that_was_made_elsewhere_is_read(vector, form) -> None:
    """It holds what was put in, and its end."""
    opened = form_of(form, [vector["secret"]]).read(vector[form])

    assert opened.expires_at == ENDS[form]
    claims = {} if form == "compact" else TIMES if form == "jwt" else {**TIMES, "jti": "1b2c"}
    assert json.loads(opened.payload) == {**PAYLOAD, **claims}


@every_vector
def test_a_sealed_copy_has_the_wires_header(vector) -> None:
    """It names its key by the thumbprint, which tells nothing of it; each is unlike the other."""
    first, second = written("jwe", vector["secret"]), written("jwe", vector["secret"])

    header, key, *parts = first.split(".")
    kid = vector["kid"]
    assert decoded(header) == f'{{"alg":"dir","enc":"A256CBC-HS512","kid":"{kid}"}}'
    assert key == ""
    assert len(set(parts) & set(second.split("."))) == 0
    assert len({first, second}) == 2


@every_form
def test_an_older_secret_is_still_accepted_while_it_is_listed(form) -> None:
    """A rotation costs nobody anything; the current one makes new copies."""
    old = written(form, OTHER)
    both = form_of(form, [SECRET, OTHER])

    assert both.read(old).expires_at == ENDS[form]
    assert form_of(form, [SECRET]).read(old) is None
    new = both.write(PAYLOAD, made_at=MADE_AT, lives=FIVE_MINUTES)
    assert form_of(form, [SECRET]).read(new) is not None
    assert form_of(form, [OTHER]).read(new) is None


@every_form
def test_a_copy_of_one_form_is_nothing_in_another(form) -> None:
    """The strategy says what is read, not the copy."""
    copy = written(form)

    assert [it for it in FORMS if form_of(it, [SECRET]).read(copy) is not None] == [form]


@every_form
def test_a_form_shows_no_secret(form) -> None:
    """Logs are read by many."""
    assert SECRET not in repr(form_of(form, [SECRET]))
    assert "ada" not in repr(form_of(form, [SECRET]).read(written(form)))


# --- attacks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_a_changed_character_makes_a_copy_worthless(form, data) -> None:
    """Whatever is changed in it, it is refused or says the same."""
    copy = VECTORS[0][form]
    at = data.draw(st.integers(0, len(copy) - 1))
    other = data.draw(st.sampled_from("AQgw_-.9"))
    reads = form_of(form, [SECRET]).read

    opened = reads(copy[:at] + other + copy[at + 1 :])

    # The last character of base64 has bits that nothing reads.
    assert opened is None or opened == reads(copy)


def test_attack_another_payload_under_a_signature() -> None:
    """Another user, a later end, a key more: the signature is over all of it."""
    copy = decoded(VECTORS[0]["compact"])
    forged = [
        copy.replace("ada@example.org", "eve@example.org"),
        copy.replace("1779019500123", "1879019500123"),
        copy.replace('"version":"1"', '"version":"2"'),
        copy.replace(',"signature"', ',"expiresAt":1879019500123,"signature"'),
        copy.replace('{"session":{"session"', '{"session":{"x":1,"session"'),
        copy.replace('"signature":', '"signature": '),
        copy[:-1] + ',"signature":"x"}',
        copy[:-3] + '"}',
    ]

    assert [it for it in forged if form_of("compact", [SECRET]).read(encoded(it))] == []


def test_attack_a_signed_cookie_for_a_copy() -> None:
    """What signs the session's cookie signs no copy, though it is the same secret."""
    signature = sign("XXLD360TqYQokdVND7TufrhGmedl6j9P", SECRET).rpartition(".")[2]
    forged = f'{{"session":{json.dumps(PAYLOAD)},"expiresAt":1,"signature":"{signature[:43]}"}}'

    assert form_of("compact", [SECRET]).read(encoded(forged)) is None


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512", "hs256", "RS256", ""])
def test_attack_the_token_chooses_its_algorithm(algorithm) -> None:
    """A signature of another algorithm, by the right secret too, and none at all are refused."""
    claims = encoded(json.dumps({**PAYLOAD, **TIMES}))
    header = {"alg": algorithm}
    tokens = [
        f"{encoded(json.dumps(header, separators=(',', ':')))}.{claims}.{end}" for end in "x "
    ]
    if algorithm in {"HS384", "HS512"}:
        key = OctKey.import_key(SECRET.encode())
        tokens.append(jws.serialize_compact(header, decoded(claims), key, algorithms=[algorithm]))

    assert [it for it in tokens if form_of("jwt", [SECRET]).read(it.strip())] == []


@pytest.mark.parametrize("extra", [{"kid": "1"}, {"jku": "https://evil.example"}, {"typ": "JWT"}])
def test_attack_a_header_that_leads_elsewhere(extra) -> None:
    """Only the header that we write is one, whoever signed it."""
    key = OctKey.import_key(SECRET.encode())
    claims = json.dumps({**PAYLOAD, **TIMES})

    token = jws.serialize_compact({"alg": "HS256", **extra}, claims, key, algorithms=["HS256"])

    assert form_of("jwt", [SECRET]).read(token) is None


@pytest.mark.parametrize(
    "header", [{"enc": "A128GCM"}, {"enc": "A256GCM"}, {"zip": "DEF"}, {"kid": "other"}]
)
def test_attack_another_encryption(header) -> None:
    """Another cipher, or a text that unpacks to a thousand times its length."""
    algorithms = ["dir", "A256CBC-HS512", "A128GCM", "A256GCM", "DEF"]
    size = {"A128GCM": 128, "A256GCM": 256}.get(header.get("enc", ""), 512)
    given = {"alg": "dir", "enc": "A256CBC-HS512", "kid": VECTORS[0]["kid"], **header}
    token = jwe.encrypt_compact(
        given, json.dumps(PAYLOAD), OctKey.generate_key(size), algorithms=algorithms
    )

    assert form_of("jwe", [SECRET]).read(token) is None


@pytest.mark.parametrize("header", [{"zip": "DEF"}, {"kid": "other"}, {"typ": "JWT"}])
def test_attack_another_header_under_the_right_key(header) -> None:
    """Only the header that we write is one, whoever has the key."""
    secret = HKDF(SHA256(), 64, b"better-auth-session", INFO).derive(SECRET.encode())
    given = {"alg": "dir", "enc": "A256CBC-HS512", "kid": VECTORS[0]["kid"]}
    claims = json.dumps({**PAYLOAD, **TIMES})
    right, wrong = (
        jwe.encrypt_compact(
            it, claims, OctKey.import_key(secret), algorithms=["dir", "A256CBC-HS512", "DEF"]
        )
        for it in (given, {**given, **header})
    )

    assert form_of("jwe", [SECRET]).read(right) is not None
    assert form_of("jwe", [SECRET]).read(wrong) is None


@pytest.mark.parametrize(
    "claims", ["", "null", "[]", "{}", '{"exp":"soon"}', '{"exp":1e400}', "{"]
)
def test_attack_a_token_of_another_purpose(claims) -> None:
    """Signed with the secret, but no copy: refused, and no exception."""
    key = OctKey.import_key(SECRET.encode())
    token = jws.serialize_compact({"alg": "HS256"}, claims, key, algorithms=["HS256"])

    assert form_of("jwt", [SECRET]).read(token) is None


@every_form
@pytest.mark.parametrize(
    "garbage",
    [
        *("", ".", "..", "....", "=", "é", "\ud800", "\0", "null", "e30", "W10", "e30.e30.e30"),
        *("a" * 400_000, "." * 400_000, encoded("[" * 100_000), encoded("{" * 100_000)),
        encoded('{"session":{},"expiresAt":1,"signature":"' + "A" * 43 + '"}'),
        encoded('{"session":{},"expiresAt":' + "9" * 17 + ',"signature":"' + "A" * 43 + '"}'),
        "eyJhbGciOiJIUzI1NiJ9." + "A" * 400_000 + ".x",
        "eyJhbGciOiJIUzI1NiJ9..",
    ],
    ids=lambda it: f"{it[:8]!r}-{len(it)}",
)
def test_attack_garbage(form, garbage) -> None:
    """Of any kind and length, it is answered like a missing copy."""
    for text in (garbage, VECTORS[0][form][:-60] + garbage[:64], VECTORS[0][form] + garbage[:64]):
        opened = form_of(form, [SECRET]).read(text)

        assert opened is None or text == VECTORS[0][form]


@pytest.mark.parametrize("form", FORMS)
@given(text=st.text(st.characters()))
def test_any_text_can_be_read(form, text) -> None:
    """No cookie value makes the reader fail."""
    assert form_of(form, [SECRET, OTHER]).read(text) is None
