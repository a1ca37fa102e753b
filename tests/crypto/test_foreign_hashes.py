"""Hashes of other systems, made by these systems: verified at sign-in, and replaced by it."""

import hashlib
import sys
from collections.abc import Callable
from string import ascii_lowercase, ascii_uppercase
from typing import Final
from unicodedata import normalize

import argon2
import bcrypt
import pytest
from django.contrib.auth import hashers
from hypothesis import given
from hypothesis import strategies as st

from watchword.concurrency import run_blocking
from watchword.crypto.foreign_hashes import refusal_of_hash
from watchword.crypto.passwords import Passwords
from watchword.storage.query import F

CHEAP: Final = Passwords(memory_kib=8, iterations=1)
SALT: Final = "NaClNaClNaClNaCl"
PASSWORD: Final = "difference-engine"


def _bcrypt(password: str, variant: str) -> str:
    # The package refuses what comes after 72 bytes; the systems of old left it out.
    secret = password.encode()[:72]
    return bcrypt.hashpw(secret, bcrypt.gensalt(4)).decode().replace("$2b$", f"${variant}$")


def _argon2(password: str, variant: argon2.Type) -> str:
    hasher = argon2.PasswordHasher(time_cost=2, memory_cost=16, parallelism=2, type=variant)
    return hasher.hash(password)


def _django_argon2(password: str) -> str:
    hasher = hashers.Argon2PasswordHasher()
    hasher.memory_cost = 64
    return hasher.encode(password, SALT)


def _wire_scrypt(password: str) -> str:
    salt, secret = "0f" * 16, normalize("NFKC", password).encode()
    key = hashlib.scrypt(secret, salt=salt.encode(), n=16384, r=16, p=1, dklen=64, maxmem=2**26)
    return f"{salt}:{key.hex()}"


# Name of a format to what makes it of a password.
MAKERS: Final[dict[str, Callable[[str], str]]] = {
    "bcrypt-2a": lambda it: _bcrypt(it, "2a"),
    "bcrypt-2b": lambda it: _bcrypt(it, "2b"),
    "bcrypt-2y": lambda it: _bcrypt(it, "2y"),
    "argon2i": lambda it: _argon2(it, argon2.Type.I),
    "argon2d": lambda it: _argon2(it, argon2.Type.D),
    "argon2id": lambda it: _argon2(it, argon2.Type.ID),
    "wire-scrypt": _wire_scrypt,
    "django-pbkdf2-sha256": lambda it: hashers.PBKDF2PasswordHasher().encode(it, SALT, 10),
    "django-pbkdf2-sha1": lambda it: hashers.PBKDF2SHA1PasswordHasher().encode(it, SALT, 10),
    "django-argon2": _django_argon2,
    "django-scrypt": lambda it: hashers.ScryptPasswordHasher().encode(it, SALT, 16, 8, 2),
    "django-bcrypt": lambda it: f"bcrypt${_bcrypt(it, '2b')}",
    "django-bcrypt-sha256": lambda it: hashers.BCryptSHA256PasswordHasher().encode(
        it, bcrypt.gensalt(4)
    ),
}
TRUNCATING: Final = {"bcrypt-2a", "bcrypt-2b", "bcrypt-2y", "django-bcrypt"}
LONG: Final = "0123456789" * 8
AWKWARD: Final = {
    "empty": "",
    "umlauts": "Ångström-größer",
    "decomposed": normalize("NFD", "Ångström-größer"),
    "ligature": "ﬁsh-and-chips",
    "emoji": "🔐🐘🔋",
    "nul": "before\0after",
    "72-bytes": LONG[:72],
    "73-bytes": LONG[:73],
    "cut-in-a-character": "x" * 71 + "éé",
    "4096-bytes": "é" * 2048,
}

in_every_format = pytest.mark.parametrize("name", MAKERS)


@in_every_format
@pytest.mark.parametrize("kind", AWKWARD)
def test_a_hash_verifies_the_password_it_was_made_of(name, kind):
    """Whatever the password is made of, it is the other system's; a similar one is not."""
    password = AWKWARD[kind]
    stored = MAKERS[name](password)

    assert refusal_of_hash(stored) is None
    assert run_blocking(CHEAP.verify(password, stored))
    assert not run_blocking(CHEAP.verify(f"!{password[:2000]}", stored))


@in_every_format
async def test_only_bcrypt_ends_at_72_bytes(name):
    """Where the other system did not look further, a sign-in does not either."""
    stored = MAKERS[name](LONG)

    assert await CHEAP.verify(LONG[:72] + "another end", stored) is (name in TRUNCATING)
    assert not await CHEAP.verify(LONG[:71], stored)


@in_every_format
async def test_a_password_over_4096_bytes_is_refused(name):
    """Our limit holds, though other systems may have taken it."""
    assert not await CHEAP.verify("é" * 2048 + "x", MAKERS[name]("é" * 2048 + "x"))


@in_every_format
async def test_only_the_wires_hash_is_of_normalised_characters(name):
    """Other systems hash what was typed: a composed letter is another password there."""
    composed, decomposed = AWKWARD["umlauts"], AWKWARD["decomposed"]

    matched = await CHEAP.verify(decomposed, MAKERS[name](composed))

    # A plain or a prefixed Argon2 hash might be one of ours, so the normalised is tried too.
    assert matched is (name == "wire-scrypt" or "argon2" in name)
    assert await CHEAP.verify(composed, MAKERS[name](decomposed)) is (name == "wire-scrypt")


@in_every_format
async def test_the_first_sign_in_replaces_a_foreign_hash(work, new_auth, new_browser, name):
    """It verifies the old text and leaves an Argon2id hash, which is all the second one needs."""
    passwords, calls = work
    auth = new_auth(passwords=passwords)
    await new_browser(auth).sign_up()
    old = MAKERS[name](PASSWORD)
    await auth.store.update_many("account", None, {"password": old})
    calls.clear()

    first = await new_browser(auth).sign_in()
    second = await new_browser(auth).sign_in()

    new = (await auth.store.find_one("account", F.provider_id == "credential"))["password"]
    assert (first.status, second.status) == (200, 200)
    assert new.startswith("$argon2id$")
    assert not passwords.needs_rehash(new)
    assert calls == [
        ("_verify", (PASSWORD, old)),
        ("_hash", (PASSWORD,)),
        ("_verify", (PASSWORD, new)),
    ]


@in_every_format
async def test_a_wrong_password_leaves_the_foreign_hash(auth, new_browser, password_of, name):
    """It is refused as any other, and nothing is replaced."""
    await new_browser(auth).sign_up()
    old = MAKERS[name](PASSWORD)
    await auth.store.update_many("account", None, {"password": old})

    answer = await new_browser(auth).sign_in(password="analytical-engine")

    assert answer.refusal == (401, "INVALID_EMAIL_OR_PASSWORD")
    assert await password_of(auth) == old


async def test_after_the_upgrade_either_keyboard_signs_in(auth, new_browser):
    """Typed once as the other system hashed it, the password is then normalised."""
    composed, decomposed = AWKWARD["umlauts"], AWKWARD["decomposed"]
    await new_browser(auth).sign_up()
    stored = MAKERS["django-pbkdf2-sha256"](decomposed)
    await auth.store.update_many("account", None, {"password": stored})

    statuses = [
        (await new_browser(auth).sign_in(password=it)).status
        for it in (composed, decomposed, composed)
    ]

    assert statuses == [401, 200, 200]


@pytest.mark.parametrize(
    ("password", "stored"),
    [
        ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
        (
            f"0123456789{ascii_lowercase}{ascii_uppercase}0123456789chars after 72 are ignored",
            "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
        ),
        ("rasmuslerdorf", "$2a$07$usesomesillystringfore2uDLvp1Ii2e./U9C8sBjqp8I90dH6hi"),
        # The same, from systems that wrote down bits of the salt that do not count.
        ("rasmuslerdorf", "$2a$07$usesomesillystringfors2uDLvp1Ii2e./U9C8sBjqp8I90dH6hi"),
        ("rasmuslerdorf", "$2y$07$usesomesillystringfort2uDLvp1Ii2e./U9C8sBjqp8I90dH6hi"),
    ],
)
async def test_published_hashes_of_bcrypt_verify(password, stored):
    """Of crypt_blowfish, jBCrypt and PHP's manual, which no code here has made."""
    assert refusal_of_hash(stored) is None
    assert await CHEAP.verify(password, stored)
    assert not await CHEAP.verify(f"x{password}", stored)


async def test_hashes_of_the_first_argon2_verify():
    """Version 1.0, with and without its number."""
    raw = argon2.low_level.hash_secret(
        PASSWORD.encode(),
        SALT.encode(),
        time_cost=1,
        memory_cost=8,
        parallelism=1,
        hash_len=16,
        type=argon2.Type.I,
        version=16,
    ).decode()

    for stored in (raw, raw.replace("$v=16", "")):
        assert refusal_of_hash(stored) is None
        assert await CHEAP.verify(PASSWORD, stored)


@in_every_format
def test_hashes_of_other_systems_want_replacing(name):
    """No figures of theirs are today's."""
    assert CHEAP.needs_rehash(MAKERS[name](PASSWORD))


def test_our_own_hash_is_not_refused():
    """An export of one instance goes into another."""
    assert refusal_of_hash(run_blocking(CHEAP.hash(PASSWORD))) is None
    assert refusal_of_hash(Passwords()._unmatchable()) is None


# --- what is no hash ---------------------------------------------------------------------

BCRYPT: Final = "$2b$04$aaaaaaaaaaaaaaaaaaaaaeInxB4fZ0HfB.bziWB/MwKYoPsHuVcxO"


@pytest.mark.parametrize(
    "text",
    [
        *("", "!", "*", "password", "!8Zx0sWAq4mMRwtRsqYwtmXQvKHd0XVyLKqIpWBSr"),
        "md5$NaCl$5f4dcc3b5aa765d61d8327deb882cf99",
        *(BCRYPT[:-1], f"{BCRYPT}\n", f" {BCRYPT}", BCRYPT.replace("2b", "2x"), BCRYPT + "x"),
        *(BCRYPT.replace("$04", "$03"), BCRYPT.replace("$04", "$4"), f"sha1${BCRYPT}"),
        *(BCRYPT.replace("$04", "$٠٤"), BCRYPT[:-1] + "z"),
        "pbkdf2_sha256$10$NaCl$AAAA",
        f"pbkdf2_sha256$010${SALT}${'A' * 43}=",
        f"pbkdf2_sha256$0${SALT}${'A' * 43}=",
        f"pbkdf2_sha256$10$${'A' * 43}=",
        f"pbkdf2_sha512$10${SALT}${'A' * 43}=",
        f"pbkdf2_sha256$10${'x' * 2000}${'A' * 43}=",
        f"pbkdf2_sha256${'9' * 5000}${SALT}${'A' * 43}=",
        f"scrypt$16${SALT}$8${'A' * 86}==",
        "$argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYW$AAAAAA",  # a salt of 7 bytes
        "$argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYWE$AAAA",  # a key of 3
        "$argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYWF$AAAAAA",  # spare bits
        "$argon2id$v=18$m=8,t=1,p=1$YWFhYWFhYWE$AAAAAA",
        "argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYWE$AAAAAA",
    ],
)
async def test_what_is_no_hash_is_refused(text):
    """In a half sentence that does not repeat it, and at a sign-in with no."""
    assert refusal_of_hash(text) == "is no password hash known here"
    assert not await CHEAP.verify(PASSWORD, text)
    assert CHEAP.needs_rehash(text)


ARGON2: Final = "$YWFhYWFhYWE$AAAAAA"
IMPOSSIBLE: Final = (
    *(f"$argon2id$v=19$m=7,t=1,p=1{ARGON2}", f"$argon2id$v=19$m=15,t=1,p=2{ARGON2}"),
    f"scrypt$1${SALT}$8$1${'A' * 86}==",
    f"scrypt$17${SALT}$8$1${'A' * 86}==",
    f"scrypt$65536${SALT}$1$1${'A' * 86}==",
)
TOO_HIGH: Final = (
    *(BCRYPT.replace("$04", f"${cost}") for cost in (17, 31, 32, 39)),
    f"bcrypt_sha256${BCRYPT.replace('$04', '$17')}",
    f"pbkdf2_sha256$10000001${SALT}${'A' * 43}=",
    f"pbkdf2_sha1$9999999999999999999${SALT}${'A' * 27}=",
    f"$argon2id$v=19$m=1048577,t=1,p=1{ARGON2}",
    f"$argon2d$v=19$m=1048576,t=5,p=1{ARGON2}",
    f"argon2$argon2i$m=8,t=101,p=1{ARGON2}",
    f"$argon2id$v=19$m=4096,t=1,p=257{ARGON2}",
    f"scrypt$1048576${SALT}$8$2${'A' * 86}==",
    f"scrypt$2${SALT}$1025$1${'A' * 86}==",
    f"scrypt$2${SALT}$1$1025${'A' * 86}==",
)


@pytest.mark.parametrize("text", [*IMPOSSIBLE, *TOO_HIGH])
async def test_attack_a_row_burns_a_minute_or_a_gigabyte(text):
    """Such a text is refused for its figures alone, and a sign-in does not work on it."""
    assert refusal_of_hash(text) == "names a cost that is impossible, or too high for a sign-in"
    assert not await CHEAP.verify(PASSWORD, text)
    assert CHEAP.needs_rehash(text)


@pytest.mark.parametrize(
    "text",
    [
        BCRYPT.replace("$04", "$16"),
        f"pbkdf2_sha256$10000000${SALT}${'A' * 43}=",
        f"$argon2id$v=19$m=1048576,t=4,p=1{ARGON2}",
        f"$argon2id$v=19$m=8,t=100,p=1{ARGON2}",
        f"$argon2id$v=19$m=2048,t=1,p=256{ARGON2}",
        f"scrypt$1048576${SALT}$8$1${'A' * 86}==",
        f"scrypt$32768${SALT}$1$1${'A' * 86}==",
    ],
)
def test_the_highest_costs_are_not_refused(text):
    """Slow they are, but somebody chose them with care."""
    assert refusal_of_hash(text) is None


@pytest.mark.parametrize(("n", "r", "p"), [(2, 1, 1), (2, 1024, 1), (32768, 1, 1), (2, 1, 1024)])
async def test_the_edges_of_scrypt_are_possible(n, r, p):
    """Each figure that is let through is one that can be worked with."""
    stored = hashers.ScryptPasswordHasher().encode(PASSWORD, SALT, n, r, p)

    assert await CHEAP.verify(PASSWORD, stored)


# --- what is not installed ---------------------------------------------------------------


@pytest.fixture
def without_bcrypt(monkeypatch):
    """As if the package had not been installed."""
    monkeypatch.setitem(sys.modules, "bcrypt", None)


@pytest.mark.usefixtures("without_bcrypt")
@pytest.mark.parametrize("text", [BCRYPT, f"bcrypt${BCRYPT}", f"bcrypt_sha256${BCRYPT}"])
def test_an_import_learns_which_package_is_missing(text):
    """With the line that installs it; the other formats need none."""
    hint = 'needs the package bcrypt: pip install "watchword[bcrypt]"'

    assert refusal_of_hash(text) == hint
    assert refusal_of_hash(MAKERS["django-pbkdf2-sha256"](PASSWORD)) is None


async def test_a_sign_in_without_the_package_is_refused_and_logged_once(
    new_auth, new_browser, password_of, monkeypatch, caplog
):
    """No 500 and no silence; with the package the same hash signs in."""
    auth = new_auth(passwords=Passwords(memory_kib=8, iterations=1))
    await new_browser(auth).sign_up()
    old = MAKERS["bcrypt-2b"](PASSWORD)
    await auth.store.update_many("account", None, {"password": old})

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "bcrypt", None)
        answers = [await new_browser(auth).sign_in() for _ in range(3)]
        kept = await password_of(auth)

    assert [it.refusal for it in answers] == [(401, "INVALID_EMAIL_OR_PASSWORD")] * 3
    assert kept == old
    [line] = [it for it in caplog.messages if "password hash" in it]
    assert 'pip install "watchword[bcrypt]"' in line
    assert old not in line
    assert (await new_browser(auth).sign_in()).status == 200


# --- whatever stands in a row ------------------------------------------------------------

# Their figures are so low that no change of a character makes a hash that takes long.
QUICK: Final = [name for name in MAKERS if name != "wire-scrypt"]
SAMPLES: Final = [MAKERS[name]("x") for name in QUICK]
STRANGE: Final = st.sampled_from([*"$./=,:-+aZz~ \n\0é٣", "$$", "\ud800", ""])


@given(st.text(st.characters()), st.sampled_from(SAMPLES), st.integers(0, 200), STRANGE)
def test_attack_hashes_changed_in_one_place(password, text, place, strange):
    """No text raises, whatever the password; and what is refused is never right."""
    changed = text[:place] + strange + text[place + 1 :]

    refusal = refusal_of_hash(changed)

    assert not run_blocking(CHEAP.verify(f"{password}!", changed))
    assert refusal is None or "$" not in refusal


@given(st.sampled_from(QUICK), st.text(st.characters(codec="utf-8"), max_size=100))
def test_every_password_verifies_in_every_format(name, password):
    """What another system hashes is what we hash, for any text."""
    assert run_blocking(CHEAP.verify(password, MAKERS[name](password)))


@given(
    st.sampled_from(["$2b$", "pbkdf2_sha256$", "scrypt$", "argon2$argon2id$", "$argon2i$v=19$m="]),
    st.text(st.sampled_from("0123456789$,=ptm./A"), max_size=80),
)
def test_attack_figures_of_any_shape(start, end):
    """Asking what a text is costs nothing and raises nothing."""
    refusal = refusal_of_hash(start + end)

    assert refusal is None or refusal.startswith(("is no", "names a cost"))
