"""A sign-in on Django and SQLite, with the whole project in one file.

Run it in a checkout:

    pip install ".[cli,django,sqlite]"
    export WATCHWORD_SECRET=$(watchword secret)
    python examples/django_app.py runserver 8000

Then sign up, and ask who is signed in:

    curl -c jar -H 'content-type: application/json' http://localhost:8000/api/auth/sign-up/email \
        -d '{"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}'
    curl -b jar http://localhost:8000/me

And sign out. Who brings cookies has to say of which origin's page, as browsers do:

    curl -b jar -c jar -H 'origin: http://localhost:8000' \
        -X POST http://localhost:8000/api/auth/sign-out
"""

import sys

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import execute_from_command_line
from django.http import HttpRequest, JsonResponse
from django.urls import path

from watchword import BlockingWatchword, EmailPassword
from watchword.integrations.django import arequire_user, mount, require_user

# --- settings.py ---------------------------------------------------------------------------

settings.configure(
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    MIDDLEWARE=[
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "watchword.integrations.django.WatchwordMiddleware",
    ],
    ROOT_URLCONF=__name__,
    WATCHWORD=f"{__name__}.auth",  # the dotted path of the instance below
)

# --- auth.py -------------------------------------------------------------------------------

auth = BlockingWatchword(
    database="sqlite:///auth.db",
    base_url="http://localhost:8000",
    email_password=EmailPassword(),
)
auth.create_tables()  # safe on every start

# --- views.py ------------------------------------------------------------------------------


def me(request: HttpRequest) -> JsonResponse:
    """Greet who is signed in; others get a 401."""
    return JsonResponse({"hello": require_user(request).email})


async def me_too(request: HttpRequest) -> JsonResponse:
    """Do the same in a coroutine."""
    user = await arequire_user(request)
    return JsonResponse({"hello": user.email})


# --- urls.py and wsgi.py -------------------------------------------------------------------

urlpatterns = [*mount(auth), path("me", me), path("me-too", me_too)]  # /api/auth/*

application = WSGIHandler()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
