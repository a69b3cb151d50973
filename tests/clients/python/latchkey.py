"""The `latchkey dev` that the tests run against."""

import os

URL = os.environ["LATCHKEY_URL"]
TODO = f"{URL}/todo"
# The template's default.
AUDIENCE = "latchkey"

CLIENT_ID = os.environ["DEMO_CLIENT_ID"]
CLIENT_SECRET = os.environ["DEMO_CLIENT_SECRET"]
USERNAME = os.environ["DEMO_USERNAME"]
PASSWORD = os.environ["DEMO_PASSWORD"]
