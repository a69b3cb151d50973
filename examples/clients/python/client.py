"""Calls an API with tokens from the client credentials grant."""

import os

from authlib.integrations.requests_client import OAuth2Session

URL = os.environ["LATCHKEY_URL"]


def connect():
    """A session that requests a new token when the old one is about to expire."""
    session = OAuth2Session(
        os.environ["DEMO_CLIENT_ID"],
        os.environ["DEMO_CLIENT_SECRET"],
        scope="todo:read",
        token_endpoint=f"{URL}/oauth2/token",
        grant_type="client_credentials",
    )
    session.fetch_token()
    return session


def main():
    with connect() as session:
        response = session.get(f"{URL}/todo")
        response.raise_for_status()
        print(response.text)


if __name__ == "__main__":
    main()
