"""Password hashes that a sign-in can verify: ours, and those that users bring along."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, TypeAlias

import argon2
from argon2.exceptions import VerificationError

from watchword.crypto.password_bytes import normalised_bytes, typed_bytes
from watchword.crypto.tokens import equal

__all__ = ["is_bearable_argon2", "is_hash_of", "refusal_of_hash"]

Parts: TypeAlias = re.Match[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HashFormat:
    """One way in which a system writes down password hashes.

    Args:
        pattern: What the whole text looks like; its groups are salt, key and figures.
        is_bearable: Tells whether its figures are possible, and none that would keep a
            worker of the pool for a minute or fill the machine's memory.
        is_of: Verifies a password; raises nothing for parts that are bearable.
        package: What has to be installed beside Watchword, named as its extra is.
    """

    pattern: re.Pattern[str]
    is_bearable: Callable[[Parts], bool]
    is_of: Callable[[str, Parts], bool]
    package: str | None = None


def refusal_of_hash(text: str) -> str | None:
    """Return None if a sign-in can verify this text, or what the matter is with it.

    The answer ends a sentence whose subject is the caller's, "The hash in line 7 …". It does
    not repeat the text. Nothing is hashed.
    """
    found = _found(text)
    if found is None:
        return "is no password hash known here"
    form, parts = found
    if not form.is_bearable(parts):
        return "names a cost that is impossible, or too high for a sign-in"
    if form.package is not None and not _is_installed(form.package):
        return f'needs the package {form.package}: pip install "watchword[{form.package}]"'
    return None


def is_hash_of(password: str, text: str) -> bool:
    """Tell whether the text was made of the password; blocks for as long as its figures ask.

    Only for texts that are not refused; the others would take no time, and tell by that.
    """
    if refusal_of_hash(text) is not None or (found := _found(text)) is None:
        return False
    form, parts = found
    return form.is_of(password, parts)


def is_bearable_argon2(*, memory_kib: int, iterations: int, parallelism: int) -> bool:
    """Tell whether Argon2 takes these figures, and a sign-in may cost what they ask.

    The most is what is recommended for secrets that are unlocked once a day, 1 GiB filled
    four times: some seconds. Each lane is a thread, started four times in each iteration,
    so little memory with many of both would take as long.
    """
    return (
        1 <= parallelism <= _MOST_LANES
        and 8 * parallelism <= memory_kib <= _MOST_MEMORY // 1024  # RFC 9106 (3.1)
        and 1 <= iterations <= _MOST_PASSES
        and memory_kib * iterations <= 4 * _MOST_MEMORY // 1024
    )


def _found(text: str) -> tuple[HashFormat, Parts] | None:
    if len(text) > _LONGEST:
        return None
    for form in _FORMATS:
        if parts := form.pattern.fullmatch(text):
            return form, parts
    return None


def _is_installed(package: str) -> bool:
    try:
        import_module(package)
    except ImportError:
        return False
    return True


# --- what a hash may cost ----------------------------------------------------------------

# The formats' own fill 60 to 200 characters; no column of a table holds longer ones.
_LONGEST: Final = 1024
# Several are verified at a time, on a server that has other things in its memory.
_MOST_MEMORY: Final = 1024**3
_MOST_LANES: Final = 256
_MOST_PASSES: Final = 100
# Of scrypt, which fills 128 bytes for each of them beside what n says; real ones have 8 to 80.
_MOST_BLOCKS: Final = 1024
# Ten times what OWASP asks for is about one second; nobody makes people wait for longer.
_MOST_ITERATIONS: Final = 10_000_000
# Each step doubles: 12 takes a quarter of a second, 16 four seconds, 31 a day and a half.
_HIGHEST_BCRYPT_COST: Final = 16


# --- Argon2 ------------------------------------------------------------------------------

# The bits that the last character has to spare are 0; Argon2 refuses other texts.
_BASE64: Final = (
    r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048])?"
)
_NUMBER: Final = r"[1-9][0-9]{0,18}"
# Salts have at least 8 bytes and keys 4, RFC 9106 (3.1). Without a version it is 1.0.
_ARGON2: Final = re.compile(
    rf"(?:argon2)?(?P<text>\$argon2(?:id|i|d)(?:\$v=(?:16|19))?"
    rf"\$m=(?P<memory>{_NUMBER}),t=(?P<passes>{_NUMBER}),p=(?P<lanes>{_NUMBER})"
    rf"\$(?=[^$]{{11}}){_BASE64}\$(?=.{{6}}){_BASE64})"
)
_VERIFIER: Final = argon2.PasswordHasher()


def _is_bearable_argon2(parts: Parts) -> bool:
    return is_bearable_argon2(
        memory_kib=int(parts["memory"]),
        iterations=int(parts["passes"]),
        parallelism=int(parts["lanes"]),
    )


def _is_argon2_of(password: str, parts: Parts) -> bool:
    """Try the password as we would hash it, and as it was typed if that is not the same.

    A text does not tell whether it is one of ours. An unknown user's stand-in is tried as
    often, so a password that is not normalised does not tell known addresses either.
    """
    secrets = dict.fromkeys((normalised_bytes(password), typed_bytes(password)))
    return any(_is_argon2(secret, parts["text"]) for secret in secrets)


def _is_argon2(secret: bytes, text: str) -> bool:
    try:
        return _VERIFIER.verify(text, secret)
    except VerificationError:
        return False


# --- bcrypt ------------------------------------------------------------------------------

_BCRYPT: Final = r"\$2[aby]\$(?P<cost>0[4-9]|[1-3][0-9])\$(?P<salt>[./A-Za-z0-9]{22})"
_BCRYPT_KEY: Final = r"(?P<key>[./A-Za-z0-9]{30}[.CGKOSWaeimquy26])"
_BCRYPT_ALPHABET: Final = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BCRYPT_LONGEST: Final = 72


def _is_bearable_bcrypt(parts: Parts) -> bool:
    return int(parts["cost"]) <= _HIGHEST_BCRYPT_COST


def _is_bcrypt_of(password: str, parts: Parts) -> bool:
    # What comes after 72 bytes never counted, even where that cuts a character in two.
    return _is_bcrypt(typed_bytes(password)[:_BCRYPT_LONGEST], parts)


def _is_bcrypt_of_digest(password: str, parts: Parts) -> bool:
    digest = hashlib.sha256(typed_bytes(password)).hexdigest()
    return _is_bcrypt(digest.encode(), parts)


def _is_bcrypt(secret: bytes, parts: Parts) -> bool:
    # Only two bits of the last character count; some systems left chance in the others.
    last = _BCRYPT_ALPHABET.index(parts["salt"][-1]) & 0b110000
    salt = f"$2b${parts['cost']}${parts['salt'][:-1]}{_BCRYPT_ALPHABET[last]}"
    made: bytes = import_module("bcrypt").hashpw(secret, salt.encode())
    return equal(made.decode()[len(salt) :], parts["key"])


# --- PBKDF2 and scrypt -------------------------------------------------------------------


def _is_bearable_pbkdf2(parts: Parts) -> bool:
    return int(parts["iterations"]) <= _MOST_ITERATIONS


def _is_pbkdf2_of(password: str, parts: Parts) -> bool:
    made = hashlib.pbkdf2_hmac(
        parts["digest"],
        typed_bytes(password),
        typed_bytes(parts["salt"]),
        int(parts["iterations"]),
    )
    return equal(b64encode(made).decode(), parts["key"])


def _is_bearable_scrypt(parts: Parts) -> bool:
    n, r, p = (int(parts[name]) for name in "nrp")
    is_possible = n > 1 and n.bit_count() == 1 and n.bit_length() <= 16 * r  # RFC 7914 (2)
    return is_possible and r * p <= _MOST_BLOCKS and 128 * n * r * p <= _MOST_MEMORY


def _is_scrypt_of(password: str, parts: Parts) -> bool:
    n, r, p = (int(parts[name]) for name in "nrp")
    made = _scrypt(typed_bytes(password), parts["salt"], n=n, r=r, p=p)
    return equal(b64encode(made).decode(), parts["key"])


def _is_wire_scrypt_of(password: str, parts: Parts) -> bool:
    """Verify a hash of the wire's own format, as found when a database is taken over.

    The salt is the hexadecimal text itself, not what it stands for.
    """
    made = _scrypt(normalised_bytes(password), parts["salt"], n=16_384, r=16, p=1)
    return equal(made.hex(), parts["key"])


def _scrypt(secret: bytes, salt: str, *, n: int, r: int, p: int) -> bytes:
    """Return the key, or nothing that equals one if the machine lacks the memory for it."""
    room = _MOST_MEMORY + 1024**2  # what is bearable, and the lanes beside it
    try:
        return hashlib.scrypt(secret, salt=typed_bytes(salt), n=n, r=r, p=p, dklen=64, maxmem=room)
    except (MemoryError, ValueError):
        return b""


# --- all of them -------------------------------------------------------------------------

_SALT: Final = r"(?P<salt>[^$]+)"


def _pbkdf2(digest: str, key: str) -> HashFormat:
    return HashFormat(
        pattern=re.compile(
            rf"pbkdf2_(?P<digest>{digest})\$(?P<iterations>{_NUMBER})\${_SALT}\$(?P<key>{key})"
        ),
        is_bearable=_is_bearable_pbkdf2,
        is_of=_is_pbkdf2_of,
    )


# Prefixes without a dollar before them are Django's.
_FORMATS: Final = (
    HashFormat(pattern=_ARGON2, is_bearable=_is_bearable_argon2, is_of=_is_argon2_of),
    HashFormat(
        pattern=re.compile(r"(?P<salt>[0-9a-f]{32}):(?P<key>[0-9a-f]{128})"),
        is_bearable=lambda _parts: True,
        is_of=_is_wire_scrypt_of,
    ),
    HashFormat(
        pattern=re.compile(rf"(?:bcrypt\$)?{_BCRYPT}{_BCRYPT_KEY}"),
        is_bearable=_is_bearable_bcrypt,
        is_of=_is_bcrypt_of,
        package="bcrypt",
    ),
    HashFormat(
        pattern=re.compile(rf"bcrypt_sha256\${_BCRYPT}{_BCRYPT_KEY}"),
        is_bearable=_is_bearable_bcrypt,
        is_of=_is_bcrypt_of_digest,
        package="bcrypt",
    ),
    _pbkdf2("sha256", r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="),
    _pbkdf2("sha1", r"[A-Za-z0-9+/]{26}[AEIMQUYcgkosw048]="),
    HashFormat(
        pattern=re.compile(
            rf"scrypt\$(?P<n>{_NUMBER})\${_SALT}\$(?P<r>{_NUMBER})\$(?P<p>{_NUMBER})"
            r"\$(?P<key>[A-Za-z0-9+/]{85}[AQgw]==)"
        ),
        is_bearable=_is_bearable_scrypt,
        is_of=_is_scrypt_of,
    ),
)
