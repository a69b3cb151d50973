"""requests-oauthlib, the oldest of the Python clients."""

import unittest

from oauthlib.oauth2 import (
    BackendApplicationClient,
    InvalidClientError,
    InvalidGrantError,
    InvalidScopeError,
    LegacyApplicationClient,
)
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from latchkey import CLIENT_ID, CLIENT_SECRET, PASSWORD, TODO, URL, USERNAME


def by_basic(secret):
    return {"auth": HTTPBasicAuth(CLIENT_ID, secret)}


def by_post(secret):
    return {"client_secret": secret, "include_client_id": True}


def grant(authentication, scope=None):
    client = OAuth2Session(client=BackendApplicationClient(CLIENT_ID, scope=scope))
    client.fetch_token(f"{URL}/oauth2/token", **authentication)
    return client


class ClientCredentials(unittest.TestCase):
    def test_basic_and_post_yield_a_token(self):
        for method in (by_basic, by_post):
            with self.subTest(method.__name__):
                client = grant(method(CLIENT_SECRET))
                self.assertCountEqual(client.token.scopes, ["todo:read", "todo:write"])
                self.assertEqual(client.get(TODO).json()["sub"], CLIENT_ID)

    def test_a_narrower_scope_is_granted_as_requested(self):
        # oauthlib warns when the granted scope is not the requested one. Warnings are errors here.
        client = grant(by_basic(CLIENT_SECRET), ["todo:write"])
        self.assertCountEqual(client.token.scopes, ["todo:write"])
        self.assertEqual(client.get(TODO).status_code, 403)

    def test_a_wrong_secret_is_invalid_client(self):
        for method in (by_basic, by_post):
            with self.subTest(method.__name__), self.assertRaises(InvalidClientError):
                grant(method("wrong"))

    def test_a_scope_beyond_the_granted_scope_is_invalid_scope(self):
        with self.assertRaises(InvalidScopeError):
            grant(by_basic(CLIENT_SECRET), ["admin"])


def sign_in(password):
    client = OAuth2Session(client=LegacyApplicationClient("anything"))
    client.fetch_token(f"{URL}/token", username=USERNAME, password=password)
    return client


class LoginForm(unittest.TestCase):
    """`POST /token` as FastAPI's clients use it: a password form with a client id that is ignored."""

    def test_the_token_of_the_right_password_is_allowed(self):
        self.assertEqual(sign_in(PASSWORD).get(TODO).json()["preferred_username"], USERNAME)

    def test_a_wrong_password_is_invalid_grant(self):
        with self.assertRaises(InvalidGrantError):
            sign_in("wrong")

    def test_the_client_refreshes_an_expired_token(self):
        before, renewed = sign_in(PASSWORD).token, []
        client = OAuth2Session(
            token={**before, "expires_at": 1},
            auto_refresh_url=f"{URL}/oauth2/token",
            auto_refresh_kwargs={"client_id": "latchkey"},
            token_updater=renewed.append,
        )
        self.assertEqual(client.get(TODO).json()["preferred_username"], USERNAME)
        self.assertNotEqual(renewed[0]["refresh_token"], before["refresh_token"])
