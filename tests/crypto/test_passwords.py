"""Passwords are hashed well, verified alike for everybody, and upgraded."""

import time
from typing import Any
from unicodedata import normalize

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.concurrency import WorkPool, run_blocking
from watchword.crypto.passwords import Passwords
from watchword.errors import APIError, ConfigurationError, CoreError, Overloaded

ANY_TEXT = st.text(st.characters())
# Recorded from a server of the wire: the password is "password123".
SCRYPT = (
    "fbb8f28594ff51dccd7cc2d88010c4dc:82a124b160a0d0a002df0a556a5c798194c7f6486c6a4f47d174ec7a"
    "d988908c170417585e83bb40453ac35725f770c683866782069904b1fd8953c58579c963"
)
CHEAP = Passwords(memory_kib=8, iterations=1)
FULL = WorkPool(workers=1, queue=-1)


async def test_a_password_verifies_against_its_own_hash_only() -> None:
    """The right one is accepted; another, or none at all, is not."""
    stored = await CHEAP.hash("correct horse")

    assert await CHEAP.verify("correct horse", stored)
    assert not await CHEAP.verify("correct horsf", stored)
    assert not await CHEAP.verify("", stored)


async def test_a_hash_of_what_was_typed_verifies_too() -> None:
    """Argon2 of another system looks like ours, and is not of normalised characters."""
    stored = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("ﬁsh")

    assert await CHEAP.verify("ﬁsh", stored)
    assert not await CHEAP.verify("fish", stored)


async def test_hashes_are_argon2id_with_owasp_figures() -> None:
    """19 MiB, two passes, one lane, with a salt that is never the same."""
    passwords = Passwords()

    first, second = await passwords.hash("password"), await passwords.hash("password")

    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert not passwords.needs_rehash(first)


async def test_a_password_typed_on_another_keyboard_is_the_same() -> None:
    """Composed and decomposed letters, and ligatures, are one password (NFKC)."""
    stored = await CHEAP.hash(normalize("NFD", "Ångström ﬁsh"))

    assert await CHEAP.verify(normalize("NFC", "Ångström fish"), stored)


async def test_the_wires_own_hash_verifies_and_wants_replacing() -> None:
    """Who comes from another server signs in with the old password, and is upgraded."""
    assert await CHEAP.verify("password123", SCRYPT)
    assert not await CHEAP.verify("password124", SCRYPT)
    assert CHEAP.needs_rehash(SCRYPT)


async def test_a_hash_of_other_figures_verifies_and_wants_replacing() -> None:
    """Raising the figures signs nobody out."""
    stored = await Passwords(memory_kib=16, iterations=2).hash("password")

    assert await CHEAP.verify("password", stored)
    assert CHEAP.needs_rehash(stored)


async def test_nobody_signs_in_without_a_hash() -> None:
    """An unknown user has no password that is right."""
    for password in ("", "password", "None"):
        assert not await CHEAP.verify(password, None)


@pytest.mark.parametrize("stored", [None, "", "garbage", "$argon2id$v=19$m=8,t=1,p=1$YQ$"])
def test_attack_time_tells_known_from_unknown_addresses(stored: str | None) -> None:
    """An unknown user, and one with a broken hash, cost as much as a wrong password."""
    passwords = Passwords(memory_kib=16_384, iterations=2)
    known = run_blocking(passwords.hash("password"))

    spent = {it: min(_seconds(passwords, it) for _ in range(3)) for it in (known, stored)}

    assert spent[stored] > spent[known] / 2


def test_attack_characters_that_are_not_normalised_tell_known_addresses() -> None:
    """Known and unknown users cost the same two hashes, normalised and as typed."""
    passwords = Passwords(memory_kib=16_384, iterations=2)
    known = run_blocking(passwords.hash("password"))

    spent = [min(_seconds(passwords, it, "ﬁsh") for _ in range(5)) for it in (known, None)]

    assert min(spent) > 0.75 * max(spent)


def _seconds(passwords: Passwords, stored: str | None, password: str = "wrong") -> float:
    """Measure the processor's time: other processes of the machine use up the wall clock's."""
    start = time.process_time()
    run_blocking(passwords.verify(password, stored))
    return time.process_time() - start


def test_the_work_for_unknown_users_has_the_figures_of_real_hashes() -> None:
    """Memory, passes, lanes and lengths are those of a hash made today."""
    passwords = Passwords(memory_kib=64, iterations=3, parallelism=2)

    assert not passwords.needs_rehash(passwords._unmatchable())


@given(ANY_TEXT, ANY_TEXT, st.sampled_from(["", "$argon2id$v=19$m=8,t=1,p=1$", SCRYPT[:33]]))
def test_attack_malformed_stored_hashes(password: str, text: str, start: str) -> None:
    """Whatever stands in the table, it is answered with no and not with an exception."""
    stored = start + text

    assert not run_blocking(CHEAP.verify(password, stored))
    assert CHEAP.needs_rehash(stored)


@pytest.mark.parametrize(
    "stored",
    [
        "$argon2id$v=19$m=99999999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAA",
        "$argon2id$v=19$m=1,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAA",
        "$argon2id$v=99$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAA",
        "$argon2id$v=19$m=8,t=1,p=1$A$A",
        SCRYPT + "\n",
        SCRYPT.upper(),
    ],
)
async def test_attack_hashes_with_impossible_figures(stored: str) -> None:
    """Figures that Argon2 refuses, and near misses of a format, are no hash."""
    assert not await CHEAP.verify("password123", stored)
    assert CHEAP.needs_rehash(stored)


async def test_attack_passwords_of_megabytes() -> None:
    """Over 4096 bytes nothing is hashed: the full pool is not even asked."""
    passwords = Passwords(memory_kib=8, iterations=1, pool=FULL)

    with pytest.raises(APIError) as refusal:
        await passwords.hash("é" * 2049)

    assert refusal.value.code is CoreError.PASSWORD_TOO_LONG
    assert not await passwords.verify("x" * 4097, None)


async def test_a_password_of_4096_bytes_is_hashed() -> None:
    """The limit itself is still a password."""
    stored = await CHEAP.hash("é" * 2048)

    assert await CHEAP.verify("é" * 2048, stored)


async def test_attack_hashing_as_denial_of_service() -> None:
    """A pool that is full refuses at once, for known and unknown users alike."""
    passwords = Passwords(memory_kib=8, iterations=1, pool=FULL)

    with pytest.raises(Overloaded):
        await passwords.hash("password")
    with pytest.raises(Overloaded):
        await passwords.verify("password", SCRYPT)
    with pytest.raises(Overloaded):
        await passwords.verify("password", None)


@pytest.mark.parametrize(
    "figures",
    [
        *({"memory_kib": 7}, {"iterations": 0}, {"parallelism": 0, "memory_kib": 64}),
        *({"memory_kib": 1024**2 + 1}, {"memory_kib": 1024**2, "iterations": 5}),
        *({"iterations": 101}, {"parallelism": 257}),
    ],
)
def test_figures_that_no_sign_in_can_bear_are_found_at_start_up(figures: dict[str, Any]) -> None:
    """The developer learns of them before the first user does."""
    with pytest.raises(ConfigurationError):
        Passwords(**figures)


def test_construction_hashes_nothing() -> None:
    """A hundred instances are made before one hash of theirs would be."""
    start = time.perf_counter()
    for _ in range(100):
        Passwords(memory_kib=1024 * 1024, iterations=4)

    assert time.perf_counter() - start < 1
