"""Ten lines to a working sign-in, on FastAPI and SQLite.

Run it in a checkout:

    pip install ".[fastapi,sqlite]" uvicorn
    export WATCHWORD_SECRET=$(watchword secret)
    uvicorn --app-dir examples fastapi_app:app

Then sign up, and ask who is signed in:

    curl -c jar -H 'content-type: application/json' http://localhost:8000/api/auth/sign-up/email \
        -d '{"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}'
    curl -b jar http://localhost:8000/me

And sign out. Who brings cookies has to say of which origin's page, as browsers do:

    curl -b jar -c jar -H 'origin: http://localhost:8000' \
        -X POST http://localhost:8000/api/auth/sign-out
"""

from fastapi import FastAPI

from watchword import EmailPassword, Watchword
from watchword.integrations.fastapi import CurrentUser, mount

auth = Watchword(
    database="sqlite+aiosqlite:///auth.db",
    base_url="http://localhost:8000",
    email_password=EmailPassword(),
)
app = FastAPI(lifespan=auth.lifespan)  # makes the tables, closes the connections
mount(app, auth)  # /api/auth/*


@app.get("/me")
async def me(user: CurrentUser) -> dict[str, str]:
    """Greet who is signed in; others get a 401."""
    return {"hello": user.email}
