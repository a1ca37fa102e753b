"""What a database refuses: it is told in a sentence, nothing is lost, and it can be mended."""

import pytest
from sqlalchemy.exc import IntegrityError

from watchword.errors import ConfigurationError, MigrationFailed, UniqueViolation
from watchword.plugins.username import Username
from watchword.schema import Field

FREE = {"badge": Field("string", required=False, max_length=200)}
UNIQUE = {"badge": Field("string", required=False, max_length=200, unique=True)}
SHORT = {"badge": Field("string", required=False, max_length=20)}
REQUIRED = {"badge": Field("string", max_length=200)}
POINTING = {"mentor_id": Field.reference("user", required=False, on_delete="set null")}
NOT_POINTING = {"mentor_id": Field("uuid", required=False)}
NOBODY = "0190a6c4-7b1e-7000-8000-000000000000"


async def _people(auth, **values):
    """Write a person for each value of a field."""
    [(name, given)] = values.items()
    for number, value in enumerate(given):
        person = {"name": "Ada", "email": f"ada{number}@example.org", name: value}
        await auth.store.create("user", person)


async def _refusal(auth):
    """Migrate in vain, twice, and return what was told: the next run is refused no better."""
    for _ in range(2):
        with pytest.raises((MigrationFailed, ConfigurationError)) as refusal:
            await auth.migrate()
    return refusal.value.message, refusal.value.hint


class TestRefused:
    """Rows that are there do not fit what is wanted."""

    async def test_values_that_two_share(self, emptied, application, execute):
        """A unique constraint waits until they differ; until then it refuses nothing."""
        old = application(emptied, FREE)
        new = application(emptied, UNIQUE)
        await old.migrate()
        await _people(old, badge=["x", "x", None])

        message, hint = await _refusal(new)

        assert "badge" in message
        assert message[0] not in "(<"
        assert "run it again" in hint
        third = {"name": "Eve", "email": "eve@example.org", "badge": "x"}
        assert (await old.store.create("user", third))["badge"] == "x"
        execute(emptied, "UPDATE watchword_users SET badge = email")
        assert (await new.migrate()).version == 2
        with pytest.raises(UniqueViolation):
            await old.store.create("user", {**third, "email": "x", "badge": "eve@example.org"})

    async def test_rows_that_point_nowhere(self, emptied, application, execute):
        """A reference waits until they point at somebody."""
        old = application(emptied, NOT_POINTING)
        new = application(emptied, POINTING)
        await old.migrate()
        await _people(old, mentor_id=[NOBODY, None])

        message, hint = await _refusal(new)

        assert "watchword_users" in message
        assert "hint" not in message
        assert hint
        assert await old.store.count("user") == 2
        execute(emptied, "UPDATE watchword_users SET mentor_id = NULL")
        assert (await new.migrate()).version == 2
        assert (await new.migrate()).changes == ()

    async def test_rows_without_a_value(self, emptied, application, execute):
        """What becomes required without a default waits until every row has a value."""
        old = application(emptied, FREE)
        new = application(emptied, REQUIRED)
        await old.migrate()
        await _people(old, badge=["x", None])

        message, hint = await _refusal(new)

        assert "nothing was done" in message
        assert hint.startswith("watchword_users.badge becomes required and has no default, but 1")
        execute(emptied, "UPDATE watchword_users SET badge = 'y' WHERE badge IS NULL")
        assert (await new.migrate()).version == 2

    # SQLite does not look at how long a text is.
    @pytest.mark.parametrize("emptied", ["postgresql", "mysql"], indirect=True)
    async def test_values_that_are_too_long(self, emptied, application, execute):
        """A column does not become shorter than what is in it."""
        old = application(emptied, FREE)
        new = application(emptied, SHORT)
        await old.migrate()
        await _people(old, badge=["x" * 21])

        message, _ = await _refusal(new)

        assert message.startswith("~ column watchword_users.badge: string(200) becomes string(20)")
        [ada] = await old.store.find_many("user")
        assert ada["badge"] == "x" * 21
        execute(emptied, "UPDATE watchword_users SET badge = 'short'")
        assert (await new.migrate()).version == 2

    async def test_what_comes_before_it_is_kept(self, emptied, application, new_browser, execute):
        """People sign up and in with the old code, and the next run does the rest."""
        old = application(emptied, FREE)
        new = application(emptied, UNIQUE, plugins=[Username()])
        await old.migrate()
        await _people(old, badge=["x", "x"])
        await _refusal(new)

        browser = new_browser(old)

        assert (await browser.sign_up()).status == 200
        assert (await browser.sign_in()).status == 200
        execute(emptied, "UPDATE watchword_users SET badge = NULL")
        assert (await new.migrate()).version == 2
        assert (await browser.session()).json["user"]["email"] == "ada@example.org"

    async def test_no_invalid_index_stays(self, emptied_postgresql, application, execute):
        """PostgreSQL leaves one behind, which would refuse rows though it counts for nothing."""
        old = application(emptied_postgresql, FREE)
        await old.migrate()
        await _people(old, badge=["x", "x"])

        await _refusal(application(emptied_postgresql, UNIQUE))

        invalid = "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid"
        assert execute(emptied_postgresql, invalid) == []

    async def test_what_a_dead_process_left_is_removed(
        self, emptied_postgresql, application, execute
    ):
        """An index that was never finished is made anew, not taken for the real one."""
        old, new = application(emptied_postgresql, FREE), application(emptied_postgresql, UNIQUE)
        await old.migrate()
        await _people(old, badge=["x", "x"])
        name = "uq_watchword_users_badge"
        with pytest.raises(IntegrityError):
            execute(
                emptied_postgresql,
                f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON watchword_users (badge)",
            )
        execute(emptied_postgresql, "UPDATE watchword_users SET badge = email")

        await new.migrate()

        valid = f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{name}'::regclass"
        assert execute(emptied_postgresql, valid) == [(True,)]

    async def test_no_invalid_reference_stays(self, emptied_postgresql, application):
        """Old code may go on to write what was allowed when it was written."""
        old = application(emptied_postgresql, NOT_POINTING)
        await old.migrate()
        await _people(old, mentor_id=[NOBODY])

        await _refusal(application(emptied_postgresql, POINTING))

        eve = {"name": "Eve", "email": "eve@example.org", "mentor_id": NOBODY}
        assert (await old.store.create("user", eve))["mentor_id"] == NOBODY
