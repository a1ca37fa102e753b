"""Django: the endpoints beside a project's own views, sync and async, under WSGI and ASGI."""

import sys
from types import ModuleType

import django
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings as django_settings
from django.core.exceptions import SynchronousOnlyOperation
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.http import HttpResponse, JsonResponse
from django.template import Context, Engine
from django.test import AsyncClient, Client, override_settings
from django.urls import include, path
from sqlalchemy.ext.asyncio import create_async_engine

from watchword import BlockingWatchword, ConfigurationError, Watchword
from watchword.adapters.sqlalchemy import engines
from watchword.integrations.django import (
    acurrent_session,
    arequire_session,
    arequire_user,
    current_session,
    mount,
    require_session,
    require_user,
)
from watchword.testing import IntegrationSuite
from watchword.testing.integration_suite import ASGIClient, WSGIClient

if not django_settings.configured:
    django_settings.configure(
        SECRET_KEY="difference-engine",
        ALLOWED_HOSTS=["localhost", "testserver"],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "watchword.integrations.django.WatchwordMiddleware",
        ],
    )
    django.setup()

GOOD = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}
ORIGIN = {"origin": "http://localhost:8000"}
SIGN_UP = "/api/auth/sign-up/email"
SESSION = "/api/auth/get-session"


def me(request):
    """Answer who must be signed in."""
    return JsonResponse({"email": require_user(request).email})


def maybe(request):
    """Answer who may be signed in."""
    identity = current_session(request)
    return JsonResponse({"email": identity.user.email if identity else None})


def session(request):
    """Ask in every way."""
    current_session(request)
    identity, user = require_session(request), require_user(request)
    return JsonResponse({"id": identity.session.id, "email": user.email})


async def ame(request):
    """Answer who must be signed in, as a coroutine."""
    return JsonResponse({"email": (await arequire_user(request)).email})


async def amaybe(request):
    """Answer who may be signed in, as a coroutine."""
    identity = await acurrent_session(request)
    return JsonResponse({"email": identity.user.email if identity else None})


async def asession(request):
    """Ask in every way, as a coroutine."""
    await acurrent_session(request)
    identity, user = await arequire_session(request), await arequire_user(request)
    return JsonResponse({"id": identity.session.id, "email": user.email})


SYNC = {"me": me, "maybe": maybe, "session": session}
ASYNC = {"me": ame, "maybe": amaybe, "session": asession}


@pytest.fixture
def project(monkeypatch):
    """Make a project of an instance and views; it is the current one until the test's end."""
    overrides = []

    def project(auth, views=SYNC, **settings):
        shop, urls = ModuleType("shop_of_the_tests"), ModuleType("urls_of_the_tests")
        shop.auth = auth
        monkeypatch.setitem(sys.modules, shop.__name__, shop)
        urls.urlpatterns = [*mount(auth), *(path(name, view) for name, view in views.items())]
        given = {"ROOT_URLCONF": urls, "WATCHWORD": f"{shop.__name__}.auth", **settings}
        overrides.append(override_settings(**given))
        overrides[-1].enable()

    yield project
    for override in overrides:
        override.disable()


class DjangoSuite(IntegrationSuite):
    """A Django project keeps the meaning of an integration."""

    instance = BlockingWatchword
    views = SYNC

    @pytest.fixture
    def client(self, settings, project):
        """Return what calls it."""
        project(self.instance(**settings), self.views)
        return ASGIClient(ASGIHandler()) if self.needs_loop else WSGIClient(WSGIHandler())


class TestWSGI(DjangoSuite):
    """With plain views, under WSGI."""

    needs_loop = False
    never_loop = True
    takes_chunks = False


class TestWSGIWithCoroutines(TestWSGI):
    """With views that are coroutines, each on a loop of its own."""

    views = ASYNC


class TestASGI(DjangoSuite):
    """With views that are coroutines, under ASGI."""

    instance = Watchword
    views = ASYNC
    needs_loop = True
    spools_bodies = True


class TestASGIWithPlainViews(TestASGI):
    """With plain views, each in a thread, which ask by the server's loop."""

    views = SYNC


class TestASGIWithABlockingInstance(TestASGI):
    """With an instance that blocks, so it is asked in threads."""

    instance = BlockingWatchword


class TestASGIWithBoth(TestASGI):
    """With such an instance and plain views."""

    instance = BlockingWatchword
    views = SYNC


@pytest.fixture
def page():
    """Talk to the project as a page of it does; forms are asked for CSRF tokens."""
    return Client(enforce_csrf_checks=True, headers=ORIGIN)


# --- beside a project's own ----------------------------------------------------------------


def test_elsewhere_nothing_is_ours(project, page, new_blocking):
    """The project keeps its own 404."""
    project(new_blocking())

    answer = page.get("/api/authentic")

    assert answer.status_code == 404
    assert b"Not Found" in answer.content


def test_tokens_against_forgery_are_asked_of_the_projects_own_views(project, page, new_blocking):
    """Our endpoints are exempt, for they check the origin; nothing else is."""
    project(new_blocking())

    ours = page.post(SIGN_UP, GOOD, content_type="application/json")
    theirs = page.post("/maybe")

    assert (ours.status_code, theirs.status_code) == (200, 403)


def test_endpoints_may_be_included_below_a_path(project, page, new_blocking):
    """As other patterns; the address of links in mails is that of `base_url` all the same."""
    auth = new_blocking()
    project(auth)
    django_settings.ROOT_URLCONF.urlpatterns.append(path("v1/", include(mount(auth))))

    assert page.get(f"/v1{SESSION}").json() is None


def test_a_server_may_put_a_path_before_the_project(project, page, new_blocking):
    """As with `SCRIPT_NAME`."""
    project(new_blocking())

    assert page.get(SESSION, SCRIPT_NAME="/v1").json() is None


def test_the_base_path_may_be_the_root(project, page, new_blocking):
    """Views that stand before it come first."""
    auth = new_blocking(base_path="/")
    project(auth)
    django_settings.ROOT_URLCONF.urlpatterns.reverse()

    assert page.get("/get-session").json() is None
    assert page.get("/maybe").json() == {"email": None}


def test_other_errors_of_views_stay_what_they_are(project, page, new_blocking):
    """Only refusals become answers."""

    def broken(request):
        raise LookupError

    project(new_blocking(), {"broken": broken})

    with pytest.raises(LookupError):
        page.get("/broken")


def test_a_template_can_ask(project, page, new_blocking):
    """It asks when it is rendered, and nobody has a name too."""
    template = Engine().from_string("Hello {{ request.watchword.identity.user.name }}!")

    def hello(request):
        return HttpResponse(template.render(Context({"request": request})))

    project(new_blocking(), {"hello": hello})

    nobody = page.get("/hello").content
    page.post(SIGN_UP, GOOD, content_type="application/json")

    assert (nobody, page.get("/hello").content) == (b"Hello !", b"Hello Ada!")


@pytest.mark.needs_loop
async def test_transactions_for_each_request_leave_the_endpoints_alone(
    project, new_auth, monkeypatch
):
    """They touch nothing of Django's databases, and a coroutine could not be wrapped."""
    monkeypatch.setattr(connections, "settings", {"default": {"ATOMIC_REQUESTS": True}})
    project(new_auth())

    assert (await AsyncClient().get(SESSION)).json() is None


# --- settings ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        (None, "name no Watchword"),
        ("shop", "no shop:"),
        ("nowhere.auth", "no nowhere.auth:"),
        ("sys.path", "A list is no Watchword"),
    ],
)
def test_a_wrong_setting_is_told_at_the_start(project, new_blocking, named, reason):
    """Before the first request comes."""
    project(new_blocking(), WATCHWORD=named)

    with pytest.raises(ConfigurationError, match=reason) as error:
        WSGIHandler()
    assert '"shop.auth.auth"' in error.value.hint


def test_a_forgotten_middleware_is_told(project, page, new_blocking):
    """Not as a 401 of which nobody finds the reason."""
    project(new_blocking(), MIDDLEWARE=[])

    with pytest.raises(ConfigurationError, match="middleware") as error:
        page.get("/me")
    assert "watchword.integrations.django.WatchwordMiddleware" in error.value.hint


def test_what_is_no_instance_cannot_be_mounted():
    """Not found out by the first request."""
    with pytest.raises(ConfigurationError, match="A str is no Watchword"):
        mount("shop.auth.auth")


# --- event loops ---------------------------------------------------------------------------


@pytest.mark.parametrize("address", [SESSION, "/maybe", "/amaybe"])
def test_an_instance_that_needs_a_loop_is_refused_without_one(project, page, new_auth, address):
    """Each request would leave connections and unsent mail in a loop that ended with it."""
    auth = new_auth()
    project(auth, {**SYNC, "amaybe": amaybe})

    with pytest.raises(ConfigurationError, match="Under WSGI") as error:
        page.get(address)
    assert "BlockingWatchword" in error.value.hint


def test_plain_questions_in_coroutines_are_refused(project, page, new_blocking):
    """They would stop the loop; what is known already may be asked again."""
    asked = []

    async def hasty(request):
        with pytest.raises(SynchronousOnlyOperation, match="await acurrent_session"):
            current_session(request)
        await acurrent_session(request)
        asked.append(current_session(request))
        return HttpResponse()

    project(new_blocking(), {"hasty": hasty})

    page.get("/hasty")

    assert asked == [None]


def noting(function, results):
    """Call a function, and keep what it returned."""

    def called(*args, **kwargs):
        results.append(function(*args, **kwargs))
        return results[-1]

    return called


@pytest.mark.needs_loop
async def test_a_database_on_a_loop_serves_views_of_both_kinds(
    project, new_auth, sqlite_database, monkeypatch
):
    """And those that go from one kind to the other: all use the server's loop and its pool."""

    def down(request):
        return JsonResponse({"email": async_to_sync(arequire_user)(request).email})

    async def up(request):
        return JsonResponse({"email": (await sync_to_async(require_user)(request)).email})

    pools = []
    monkeypatch.setattr(engines, "create_async_engine", noting(create_async_engine, pools))
    auth = new_auth(sqlite_database.replace("sqlite:", "sqlite+aiosqlite:"))
    views = {"me": me, "ame": ame, "down": down, "up": up}
    project(auth, views)
    page = AsyncClient()

    async with auth.lifespan():
        await page.post(SIGN_UP, GOOD, content_type="application/json", headers=ORIGIN)
        answers = [await page.get(f"/{name}") for name in views]

    assert [answer.json() for answer in answers] == [{"email": "ada@example.org"}] * 4
    assert len(pools) == 1


@pytest.mark.needs_loop
async def test_a_blocking_database_serves_coroutines(project, new_blocking, sqlite_database):
    """It is asked in threads."""
    auth = new_blocking(sqlite_database)
    project(auth, {"me": me, "ame": ame})
    page = AsyncClient()

    auth.create_tables()
    await page.post(SIGN_UP, GOOD, content_type="application/json", headers=ORIGIN)
    answers = [await page.get(name) for name in ("/me", "/ame")]
    auth.close()

    assert [answer.json() for answer in answers] == [{"email": "ada@example.org"}] * 2
