"""A link that is used twice at the same time, where a store of the application's own is beside."""

from datetime import timedelta

import pytest

HOUR = timedelta(hours=1)


class Directory:
    """Users of nobody; only that it is there matters."""

    create = get = get_by_email = get_by_field = update = print
    delete = list_users = page = all = print


@pytest.mark.parametrize("settings", [{}, {"users": Directory()}], ids=["ours", "beside"])
async def test_one_of_two_redeems(app_auth, sql_database, race, settings):
    """The other is told so, in a transaction that has looked before, too."""
    auth = await app_auth(sql_database, **settings)
    token = await auth.verifications.issue("reset", "ada", expires_in=HOUR)

    async def look_and_redeem():
        await auth.verifications.find("reset", token)
        return await auth.verifications.redeem("reset", token)

    redeemed = await race(2, lambda: auth.run_in_transaction(look_and_redeem))

    assert sorted(map(str, redeemed)) == ["None", "ada"]
