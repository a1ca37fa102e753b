"""A sign-in on Litestar and SQLite.

Run it in a checkout:

    pip install ".[litestar,sqlite]" uvicorn
    export WATCHWORD_SECRET=$(watchword secret)
    uvicorn --app-dir examples litestar_app:app

Then sign up, and ask who is signed in:

    curl -c jar -H 'content-type: application/json' http://localhost:8000/api/auth/sign-up/email \
        -d '{"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}'
    curl -b jar http://localhost:8000/me

And sign out. Who brings cookies has to say of which origin's page, as browsers do:

    curl -b jar -c jar -H 'origin: http://localhost:8000' \
        -X POST http://localhost:8000/api/auth/sign-out
"""

from litestar import Litestar, get
from litestar.di import NamedDependency, Provide

from watchword import EmailPassword, User, Watchword
from watchword.integrations.litestar import mount, require_user


@get("/me", dependencies={"user": Provide(require_user)})
async def me(user: NamedDependency[User]) -> dict[str, str]:
    """Greet who is signed in; others get a 401."""
    return {"hello": user.email}


auth = Watchword(
    database="sqlite+aiosqlite:///auth.db",
    base_url="http://localhost:8000",
    email_password=EmailPassword(),
)
app = Litestar([me], plugins=[mount(auth)], lifespan=[auth.lifespan])  # /api/auth/*
