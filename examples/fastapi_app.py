"""Ten lines to a working sign-in, on FastAPI and SQLite.

Run it from a checkout (or from anywhere, with `pip install "watchword[fastapi,sqlite]" uvicorn`):

    export WATCHWORD_SECRET=$(watchword secret)
    uvicorn --app-dir examples fastapi_app:app

Then sign up, and ask who is signed in:

    curl -c jar -H 'content-type: application/json' http://localhost:8000/api/auth/sign-up/email \
        -d '{"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}'
    curl -b jar http://localhost:8000/me
"""

from fastapi import FastAPI

from watchword import EmailPassword, Watchword
from watchword.integrations.fastapi import CurrentUser, mount

auth = Watchword(
    database="sqlite+aiosqlite:///auth.db",
    base_url="http://localhost:8000",
    email_password=EmailPassword(),
)
app = FastAPI(lifespan=auth.lifespan)  # creates or checks tables, closes the engine
mount(app, auth)  # /api/auth/*


@app.get("/me")
async def me(user: CurrentUser) -> dict[str, str]:
    """Greet who is signed in; others get a 401."""
    return {"hello": user.email}
