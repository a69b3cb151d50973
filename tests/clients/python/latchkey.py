"""The `latchkey dev` under test."""

import json
import os
import subprocess
import time

URL = os.environ["LATCHKEY_URL"]
TODO = f"{URL}/todo"
# The template's default.
AUDIENCE = "latchkey"

CLIENT_ID = os.environ["DEMO_CLIENT_ID"]
CLIENT_SECRET = os.environ["DEMO_CLIENT_SECRET"]
USERNAME = os.environ["DEMO_USERNAME"]
PASSWORD = os.environ["DEMO_PASSWORD"]


def create_client(*parameters):
    command = [os.environ["LATCHKEY"], "client", "create", *parameters, "--output", "json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def within_trust_interval(holds):
    """A revocation takes effect when the trust snapshot is reloaded, 15 s by default."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "not within the trust interval"
        time.sleep(0.25)
