"""Authlib and issued tokens: refresh (RFC 6749 §6), revocation (RFC 7009), introspection (RFC 7662)."""

import unittest

import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc7662 import IntrospectTokenValidator

from latchkey import CLIENT_ID, PASSWORD, TODO, URL, USERNAME, create_client, within_trust_interval
from test_authlib import metadata, session


def sign_in():
    """First-party sign-in uses the client `latchkey`, which has no secret."""
    client = OAuth2Session(
        "latchkey", token_endpoint=metadata()["token_endpoint"], token_endpoint_auth_method="none"
    )
    client.fetch_token(f"{URL}/token", username=USERNAME, password=PASSWORD)
    return client


class Refresh(unittest.TestCase):
    def test_a_public_client_refreshes_its_token(self):
        client = sign_in()
        before = client.token
        after = client.refresh_token()
        self.assertNotEqual(after["refresh_token"], before["refresh_token"])
        self.assertNotEqual(after["access_token"], before["access_token"])
        self.assertEqual(client.get(TODO).json()["preferred_username"], USERNAME)

    def test_the_client_refreshes_an_expired_token(self):
        client = sign_in()
        before = client.token["refresh_token"]
        client.token = {**client.token, "expires_at": 1}
        self.assertEqual(client.get(TODO).json()["preferred_username"], USERNAME)
        self.assertNotEqual(client.token["refresh_token"], before)

    def test_a_retry_yields_the_same_successor(self):
        client = sign_in()
        first = client.token["refresh_token"]
        second = client.refresh_token()["refresh_token"]
        self.assertEqual(client.refresh_token(refresh_token=first)["refresh_token"], second)

    def test_a_malformed_refresh_token_is_invalid_grant(self):
        with self.assertRaises(OAuthError) as caught:
            sign_in().refresh_token(refresh_token="garbage")
        self.assertEqual(caught.exception.error, "invalid_grant")


class Revocation(unittest.TestCase):
    def test_a_revoked_token_is_denied_within_the_trust_interval(self):
        machine, user = session(), sign_in()
        machine.fetch_token()
        for client in (machine, user):
            self.assertEqual(client.get(TODO).status_code, 200)
            # Authlib revokes the refresh token if there is one, which revokes the token family.
            self.assertEqual(client.revoke_token(metadata()["revocation_endpoint"]).status_code, 200)
        with self.assertRaises(OAuthError) as caught:
            user.refresh_token()
        self.assertEqual(caught.exception.error, "invalid_grant")
        for client in (machine, user):
            within_trust_interval(lambda: client.get(TODO).status_code == 403)

    def test_revoking_an_unknown_token_succeeds(self):
        answer = session().revoke_token(metadata()["revocation_endpoint"], token="garbage")
        self.assertEqual(answer.status_code, 200)

    def test_another_clients_token_cannot_be_revoked(self):
        user = sign_in()
        for token in (user.token["access_token"], user.token["refresh_token"]):
            answer = session().revoke_token(metadata()["revocation_endpoint"], token=token)
            self.assertEqual((answer.status_code, answer.json()["error"]), (400, "unauthorized_client"))
        self.assertEqual(user.get(TODO).status_code, 200)
        user.refresh_token()


class Introspection(unittest.TestCase):
    def introspect(self, client, token):
        return client.introspect_token(metadata()["introspection_endpoint"], token=token)

    def test_introspection_describes_a_token_to_its_client(self):
        for method in ("client_secret_basic", "client_secret_post"):
            with self.subTest(method):
                client = session(method)
                introspected = self.introspect(client, client.fetch_token()["access_token"]).json()
                self.assertIs(introspected["active"], True)
                self.assertEqual(introspected["client_id"], CLIENT_ID)
                self.assertEqual(introspected["scope"], "todo:read todo:write")

    def test_another_clients_token_and_an_unknown_one_are_inactive(self):
        tokens = sign_in().token
        for token in (tokens["access_token"], tokens["refresh_token"], "garbage"):
            self.assertEqual(self.introspect(session(), token).json(), {"active": False})

    def test_introspection_requires_client_authentication(self):
        user = sign_in()
        answer = self.introspect(user, user.token["access_token"])
        self.assertEqual((answer.status_code, answer.json()["error"]), (401, "invalid_client"))


class ResourceServer(unittest.TestCase):
    """An API that introspects tokens instead of verifying signatures."""

    class Validator(IntrospectTokenValidator):
        """Written as in Authlib's documentation."""

        def introspect_token(self, token_string):
            answer = requests.post(
                metadata()["introspection_endpoint"],
                data={"token": token_string},
                auth=self.extra_attributes["auth"],
            )
            answer.raise_for_status()
            return answer.json()

        def accept(self, token_string, scopes):
            token = self.authenticate_token(token_string)
            self.validate_token(token, scopes, None)
            return token

    def test_introspection_describes_every_token_with_the_scope(self):
        created = create_client("authlib-api", "--scope", "latchkey:introspect")
        validator = self.Validator(auth=(created["client_id"], created["client_secret"]))
        token = sign_in().token["access_token"]
        self.assertEqual(validator.accept(token, ["todo:read"])["username"], USERNAME)
        with self.assertRaises(InsufficientScopeError):
            validator.accept(token, ["admin"])
        with self.assertRaises(InvalidTokenError):
            validator.accept("garbage", ["todo:read"])
