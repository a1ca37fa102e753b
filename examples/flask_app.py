"""A sign-in on Flask and SQLite.

Run it in a checkout:

    pip install ".[flask,sqlite]"
    export WATCHWORD_SECRET=$(watchword secret)
    flask --app examples/flask_app.py run --port 8000

Then sign up, and ask who is signed in:

    curl -c jar -H 'content-type: application/json' http://localhost:8000/api/auth/sign-up/email \
        -d '{"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}'
    curl -b jar http://localhost:8000/me

And sign out. Who brings cookies has to say of which origin's page, as browsers do:

    curl -b jar -c jar -H 'origin: http://localhost:8000' \
        -X POST http://localhost:8000/api/auth/sign-out
"""

from flask import Flask

from watchword import BlockingWatchword, EmailPassword
from watchword.integrations.flask import mount, require_user

auth = BlockingWatchword(
    database="sqlite:///auth.db",
    base_url="http://localhost:8000",
    email_password=EmailPassword(),
)
auth.create_tables()  # safe on every start
app = Flask(__name__)
mount(app, auth)  # /api/auth/*


@app.get("/me")
def me() -> dict[str, str]:
    """Greet who is signed in; others get a 401."""
    return {"hello": require_user().email}
