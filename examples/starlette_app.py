"""A sign-in on Starlette and SQLite.

Run it in a checkout:

    pip install ".[starlette,sqlite]" uvicorn
    export WATCHWORD_SECRET=$(watchword secret)
    uvicorn --app-dir examples starlette_app:app

Then sign up, and ask who is signed in:

    curl -c jar -H 'content-type: application/json' http://localhost:8000/api/auth/sign-up/email \
        -d '{"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}'
    curl -b jar http://localhost:8000/me

And sign out. Who brings cookies has to say of which origin's page, as browsers do:

    curl -b jar -c jar -H 'origin: http://localhost:8000' \
        -X POST http://localhost:8000/api/auth/sign-out
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from watchword import EmailPassword, Watchword
from watchword.integrations.starlette import mount, require_user


async def me(request: Request) -> JSONResponse:
    """Greet who is signed in; others get a 401."""
    user = await require_user(request)
    return JSONResponse({"hello": user.email})


auth = Watchword(
    database="sqlite+aiosqlite:///auth.db",
    base_url="http://localhost:8000",
    email_password=EmailPassword(),
)
app = Starlette(routes=[Route("/me", me)], lifespan=auth.lifespan)
mount(app, auth)  # /api/auth/*
