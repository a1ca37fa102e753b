"""Values that prove something once: for one purpose, until they expire, to one caller."""

from datetime import timedelta

import pytest

from watchword.storage.stores import Found

HOUR = timedelta(hours=1)


@pytest.fixture
def verifications(auth):
    """Those of an instance in memory."""
    return auth.instance.verifications


async def test_a_token_is_redeemed_once(verifications, auth):
    """The value, and then nothing; no row is left."""
    token = await verifications.issue("purpose", "value", expires_in=HOUR)

    redeemed = [await verifications.redeem("purpose", token) for _ in range(2)]

    assert redeemed == ["value", None]
    assert await auth.store.count("verification") == 0


async def test_of_many_one_redeems(verifications, race):
    """Whoever comes second gets nothing."""
    token = await verifications.issue("purpose", "value", expires_in=HOUR)

    redeemed = await race(32, lambda: verifications.redeem("purpose", token))

    assert sorted(it for it in redeemed if it is not None) == ["value"]


async def test_what_is_undone_was_not_redeemed(verifications, auth):
    """In a transaction that is rolled back."""
    token = await verifications.issue("purpose", "value", expires_in=HOUR)

    async def undone():
        async with auth.store.transaction():
            await verifications.redeem("purpose", token)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await undone()

    assert await verifications.redeem("purpose", token) == "value"


async def test_finding_redeems_nothing(verifications, clock):
    """It tells of an expired value too, until that is purged."""
    token = await verifications.issue("purpose", "value", expires_in=HOUR)
    live = [await verifications.find("purpose", token) for _ in range(2)]
    clock.advance(hours=1)

    expired = await verifications.find("purpose", token)

    assert live == [Found("value", is_expired=False)] * 2
    assert expired == Found("value", is_expired=True)


@pytest.mark.parametrize(("seconds", "value"), [(3599, "value"), (3600, None), (10**7, None)])
async def test_an_expired_token_is_not_redeemed(verifications, clock, seconds, value):
    """To the second."""
    token = await verifications.issue("purpose", "value", expires_in=HOUR)
    clock.advance(seconds=seconds)

    assert await verifications.redeem("purpose", token) == value


async def test_attack_token_of_another_purpose(verifications):
    """It is nothing there, and still good for its own."""
    token = await verifications.issue("purpose", "value", expires_in=HOUR)

    elsewhere = [
        await verifications.redeem("other", token),
        await verifications.find("other", token),
        await verifications.redeem("", f"purpose:{token}"),
        await verifications.redeem("purpose:", token),
    ]

    assert elsewhere == [None] * 4
    assert await verifications.redeem("purpose", token) == "value"


async def test_one_token_stands_for_a_value_per_purpose(verifications):
    """A token that is known already may mark what became of it."""
    token = await verifications.issue("purpose", "value", expires_in=HOUR)

    same = await verifications.issue("spent", "other", expires_in=HOUR, token=token)

    assert same == token
    assert await verifications.redeem("purpose", token) == "value"
    assert await verifications.find("spent", token) == Found("other", is_expired=False)


async def test_attack_stolen_table(verifications, auth):
    """It holds no token, and what it holds redeems nothing."""
    token = await verifications.issue("purpose", "value", expires_in=HOUR)
    [row] = await auth.store.find_many("verification")

    tries = [row["identifier"], row["identifier"].partition(":")[2], row["id"]]

    assert token not in str(row)
    assert [await verifications.redeem("purpose", it) for it in tries] == [None] * 3


@pytest.mark.parametrize("token", ["", "\0", "x" * 10_000, "é", "\ud800", "%", "' OR 1=1 --"])
async def test_attack_texts_that_are_no_token(verifications, token):
    """They are unknown, whatever a client sends."""
    await verifications.issue("purpose", "value", expires_in=HOUR)

    assert await verifications.find("purpose", token) is None
    assert await verifications.redeem("purpose", token) is None
