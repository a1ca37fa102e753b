"""Flask: the endpoints beside the application's own views, and its users inside them."""

import io
import json

import flask
import pytest
from flask import Flask
from flask.cli import routes_command

from watchword import APIError, BlockingWatchword, ConfigurationError
from watchword.integrations.flask import (
    current_session,
    mount,
    require_session,
    require_user,
)
from watchword.testing import IntegrationSuite
from watchword.testing.integration_suite import WSGIClient

GOOD = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}
ORIGIN = {"Origin": "http://localhost:8000"}


def application(auth) -> Flask:
    """Return an application with a view for each way to ask."""
    app = Flask("shop")
    mount(app, auth)

    @app.get("/me")
    def me():
        return {"email": require_user().email}

    @app.get("/maybe")
    def maybe():
        identity = current_session()
        return {"email": identity.user.email if identity else None}

    @app.get("/session")
    def session():
        current_session()
        identity, user = require_session(), require_user()
        return {"id": identity.session.id, "email": user.email}

    return app


class TestFlask(IntegrationSuite):
    """A Flask application keeps the meaning of an integration."""

    never_loop = True

    @pytest.fixture
    def client(self, settings):
        """Return what calls it."""
        return WSGIClient(application(BlockingWatchword(**settings)))


def look_at_it():
    """Read the whole body, as one that writes a log does."""
    flask.request.get_data()


class TestAHookThatReadsFirst(TestFlask):
    """So does one where a function before every view has read the body, and kept it."""

    spools_bodies = True

    @pytest.fixture
    def client(self, settings):
        """Return what calls it."""
        app = application(BlockingWatchword(**settings))
        app.before_request(look_at_it)
        return WSGIClient(app)


def test_elsewhere_nothing_is_ours(new_blocking):
    """The application keeps its own 404."""
    answer = application(new_blocking()).test_client().get("/api/authentic")

    assert answer.status_code == 404
    assert b"requested URL was not found" in answer.data


def test_an_instance_that_needs_a_loop_is_refused(auth):
    """There is none."""
    app = Flask("shop")

    with pytest.raises(ConfigurationError, match="cannot answer without an event loop"):
        mount(app, auth)

    assert "watchword" not in app.extensions


def test_an_application_has_one_instance(new_blocking):
    """A second one would answer with the first one's cookies."""
    app = application(new_blocking())

    with pytest.raises(ConfigurationError, match="already"):
        mount(app, new_blocking())


def test_a_forgotten_mount_is_told():
    """Not as a 401 of which nobody finds the reason."""
    app = Flask("shop")
    app.add_url_rule("/me", view_func=lambda: require_user().email)
    app.testing = True

    with pytest.raises(ConfigurationError, match="no Watchword") as error:
        app.test_client().get("/me")
    assert "mount(app, auth)" in error.value.hint


def test_attack_identity_of_the_request_before(new_blocking):
    """Nobody is taken for who came before, in a context that outlives requests either."""
    app = application(new_blocking())
    ada, nobody = app.test_client(), app.test_client()

    with app.app_context():
        ada.post("/api/auth/sign-up/email", json=GOOD, headers=ORIGIN)
        known = ada.get("/maybe").json
        unknown = nobody.get("/maybe").json

    assert (known, unknown) == ({"email": "ada@example.org"}, {"email": None})


def test_a_server_may_put_a_path_before_the_application(new_blocking):
    """As an application that mounts this one."""
    app = application(new_blocking())

    answer = app.test_client().get(
        "/api/auth/get-session", environ_overrides={"SCRIPT_NAME": "/v1"}
    )

    assert (answer.status_code, answer.json) == (200, None)


def test_the_base_path_may_be_the_root(new_blocking):
    """The application's own views come first."""
    client = application(new_blocking(base_path="/")).test_client()

    assert client.get("/get-session").json is None
    assert client.get("/maybe").json == {"email": None}
    assert (client.get("/unknown").status_code, client.get("/unknown").data) == (404, b"")


def test_the_applications_own_limit_holds(new_blocking):
    """Where it is lower than ours, it is Flask that refuses."""
    app = application(new_blocking())
    app.config["MAX_CONTENT_LENGTH"] = 10

    answer = app.test_client().post("/api/auth/sign-up/email", json=GOOD, headers=ORIGIN)

    assert answer.status_code == 413


def test_a_body_in_chunks_is_read(new_blocking):
    """Where the server says that it ends: it announces no length."""
    answer = (
        application(new_blocking())
        .test_client()
        .post(
            "/api/auth/sign-up/email",
            input_stream=io.BytesIO(json.dumps(GOOD).encode()),
            content_type="application/json",
            headers=ORIGIN,
            environ_overrides={"wsgi.input_terminated": True},
        )
    )

    assert answer.status_code == 200


def test_attack_half_a_form(new_blocking):
    """Whose client went before the end is not acted on, and the answer is ours."""
    answer = (
        application(new_blocking())
        .test_client()
        .post(
            "/api/auth/sign-up/email",
            input_stream=io.BytesIO(b"name=&email=ada@example.org&password=difference"),
            content_type="application/x-www-form-urlencoded",
            environ_overrides={"CONTENT_LENGTH": "1000"},
        )
    )

    assert (answer.status_code, answer.json["code"]) == (400, "VALIDATION_ERROR")


def test_functions_after_each_view_run_after_ours(new_blocking):
    """As those that add headers for other origins' pages."""
    app = application(new_blocking())

    @app.after_request
    def allow(response):
        response.headers["Access-Control-Allow-Origin"] = "https://app.example.com"
        return response

    answer = app.test_client().get("/api/auth/get-session")

    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"


def test_a_refusal_can_be_dressed_by_the_application(new_blocking):
    """Whoever registers a handler after `mount` answers in its own way."""
    app = application(new_blocking())
    app.register_error_handler(APIError, lambda error: ("who are you?", error.status))

    answer = app.test_client().get("/me")

    assert (answer.status_code, answer.text) == (401, "who are you?")


def test_a_coroutine_view_can_ask(new_blocking):
    """Flask runs one on a loop of its own, in the request's thread."""
    app = application(new_blocking())

    @app.get("/async")
    async def asynchronous():
        return {"email": require_user().email}

    client = app.test_client()
    client.post("/api/auth/sign-up/email", json=GOOD, headers=ORIGIN)

    assert client.get("/async").json == {"email": "ada@example.org"}


def test_the_endpoints_are_among_the_routes(new_blocking):
    """`flask routes` lists them."""
    result = application(new_blocking()).test_cli_runner().invoke(routes_command)

    assert "/api/auth/<watchword:rest>" in result.output


def test_the_view_has_a_name(new_blocking):
    """Extensions that exempt or limit views know them by it."""
    view = application(new_blocking()).view_functions["watchword"]

    assert f"{view.__module__}.{view.__name__}" == "watchword.integrations.flask.watchword"
