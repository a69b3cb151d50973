"""Authlib and tokens after they were issued: RFC 6749 §6, RFC 7009 and RFC 7662."""

import unittest

import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc7662 import IntrospectTokenValidator

from latchkey import CLIENT_ID, PASSWORD, TODO, URL, USERNAME, create_client, within_trust_interval
from test_authlib import metadata, session


def sign_in():
    """Whoever signs in with a password has no client of their own, and no secret."""
    client = OAuth2Session(
        "latchkey", token_endpoint=metadata()["token_endpoint"], token_endpoint_auth_method="none"
    )
    client.fetch_token(f"{URL}/token", username=USERNAME, password=PASSWORD)
    return client


class Refresh(unittest.TestCase):
    def test_a_sign_in_goes_on_without_a_client_secret(self):
        client = sign_in()
        before = client.token
        after = client.refresh_token()
        self.assertNotEqual(after["refresh_token"], before["refresh_token"])
        self.assertNotEqual(after["access_token"], before["access_token"])
        self.assertEqual(client.get(TODO).json()["preferred_username"], USERNAME)

    def test_the_client_renews_an_expired_token_by_itself(self):
        client = sign_in()
        before = client.token["refresh_token"]
        client.token = {**client.token, "expires_at": 1}
        self.assertEqual(client.get(TODO).json()["preferred_username"], USERNAME)
        self.assertNotEqual(client.token["refresh_token"], before)

    def test_a_token_that_is_used_again_at_once_yields_the_same_successor(self):
        client = sign_in()
        first = client.token["refresh_token"]
        second = client.refresh_token()["refresh_token"]
        self.assertEqual(client.refresh_token(refresh_token=first)["refresh_token"], second)

    def test_what_is_no_refresh_token_is_invalid_grant(self):
        with self.assertRaises(OAuthError) as caught:
            sign_in().refresh_token(refresh_token="garbage")
        self.assertEqual(caught.exception.error, "invalid_grant")


class Revocation(unittest.TestCase):
    def test_what_was_revoked_is_refused_within_the_trust_interval(self):
        machine, person = session(), sign_in()
        machine.fetch_token()
        for client in (machine, person):
            self.assertEqual(client.get(TODO).status_code, 200)
            # Authlib revokes the refresh token if there is one, and with it goes the session.
            self.assertEqual(client.revoke_token(metadata()["revocation_endpoint"]).status_code, 200)
        with self.assertRaises(OAuthError) as caught:
            person.refresh_token()
        self.assertEqual(caught.exception.error, "invalid_grant")
        for client in (machine, person):
            within_trust_interval(lambda: client.get(TODO).status_code == 403)

    def test_a_token_that_nobody_knows_is_as_good_as_revoked(self):
        answer = session().revoke_token(metadata()["revocation_endpoint"], token="garbage")
        self.assertEqual(answer.status_code, 200)

    def test_the_token_of_another_client_is_refused_and_lives_on(self):
        person = sign_in()
        for token in (person.token["access_token"], person.token["refresh_token"]):
            answer = session().revoke_token(metadata()["revocation_endpoint"], token=token)
            self.assertEqual((answer.status_code, answer.json()["error"]), (400, "unauthorized_client"))
        self.assertEqual(person.get(TODO).status_code, 200)
        person.refresh_token()


class Introspection(unittest.TestCase):
    def introspect(self, client, token):
        return client.introspect_token(metadata()["introspection_endpoint"], token=token)

    def test_a_client_learns_about_its_own_token_by_basic_and_post(self):
        for method in ("client_secret_basic", "client_secret_post"):
            with self.subTest(method):
                client = session(method)
                told = self.introspect(client, client.fetch_token()["access_token"]).json()
                self.assertIs(told["active"], True)
                self.assertEqual(told["client_id"], CLIENT_ID)
                self.assertEqual(told["scope"], "todo:read todo:write")

    def test_of_the_token_of_another_client_and_of_garbage_it_learns_nothing(self):
        person = sign_in().token
        for token in (person["access_token"], person["refresh_token"], "garbage"):
            self.assertEqual(self.introspect(session(), token).json(), {"active": False})

    def test_without_authentication_nobody_learns_anything(self):
        person = sign_in()
        answer = self.introspect(person, person.token["access_token"])
        self.assertEqual((answer.status_code, answer.json()["error"]), (401, "invalid_client"))


class ResourceServer(unittest.TestCase):
    """An API that asks, in place of checking the signature by itself."""

    class Validator(IntrospectTokenValidator):
        """As Authlib's documentation tells to write it."""

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

    def test_with_the_scope_for_it_learns_about_every_token(self):
        made = create_client("authlib-api", "--scope", "latchkey:introspect")
        validator = self.Validator(auth=(made["client_id"], made["client_secret"]))
        token = sign_in().token["access_token"]
        self.assertEqual(validator.accept(token, ["todo:read"])["username"], USERNAME)
        with self.assertRaises(InsufficientScopeError):
            validator.accept(token, ["admin"])
        with self.assertRaises(InvalidTokenError):
            validator.accept("garbage", ["todo:read"])
