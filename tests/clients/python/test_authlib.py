"""Authlib: the client, and its validation of server metadata and of RFC 9068 tokens."""

import base64
import unittest

import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc8414 import get_well_known_url as oauth2_url
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from authlib.oidc.discovery import get_well_known_url as oidc_url
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from latchkey import AUDIENCE, CLIENT_ID, CLIENT_SECRET, PASSWORD, TODO, URL, USERNAME


def metadata(well_known_url=oauth2_url):
    answer = requests.get(well_known_url(URL, external=True))
    answer.raise_for_status()
    return AuthorizationServerMetadata(answer.json())


def session(method="client_secret_basic", **changes):
    options = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **changes}
    return OAuth2Session(
        token_endpoint=metadata()["token_endpoint"],
        token_endpoint_auth_method=method,
        grant_type="client_credentials",
        **options,
    )


class Validator(JWTBearerTokenValidator):
    """Written as in Authlib's documentation."""

    def get_jwks(self):
        return KeySet.import_key_set(requests.get(metadata()["jwks_uri"]).json())

    def accept(self, token_string, scopes):
        token = self.authenticate_token(token_string)
        self.validate_token(token, scopes, None)
        return token


class Discovery(unittest.TestCase):
    def test_both_metadata_documents_name_the_token_endpoint(self):
        for well_known_url in (oauth2_url, oidc_url):
            with self.subTest(well_known_url.__module__):
                document = metadata(well_known_url)
                self.assertEqual(document["issuer"], URL)
                self.assertEqual(document["token_endpoint"], f"{URL}/oauth2/token")

    def test_the_metadata_passes_rfc_8414_validation(self):
        for well_known_url in (oauth2_url, oidc_url):
            with self.subTest(well_known_url.__module__):
                metadata(well_known_url).validate()


class ClientCredentials(unittest.TestCase):
    def test_basic_and_post_yield_a_token(self):
        for method in ("client_secret_basic", "client_secret_post"):
            with self.subTest(method):
                token = session(method).fetch_token()
                self.assertEqual(token["token_type"], "Bearer")
                self.assertEqual(token["scope"], "todo:read todo:write")
                self.assertFalse(token.is_expired())
                self.assertNotIn("refresh_token", token)

    def test_raw_basic_credentials_yield_a_token(self):
        sent = []
        client = session()
        client.hooks["response"] = lambda answer, **_: sent.append(answer.request.headers["Authorization"])
        client.fetch_token()
        # If Authlib began to encode, no client here would test the raw form.
        self.assertEqual(base64.b64decode(sent[0].removeprefix("Basic ")).decode(), f"{CLIENT_ID}:{CLIENT_SECRET}")

    def test_a_narrower_scope_is_granted_as_requested(self):
        token = session(scope="todo:read").fetch_token()
        self.assertEqual(token["scope"], "todo:read")

    def test_the_token_is_allowed_on_a_route_with_its_scope_alone(self):
        for scope, status in (("todo:read", 200), ("todo:write", 403)):
            with self.subTest(scope):
                client = session(scope=scope)
                client.fetch_token()
                self.assertEqual(client.get(TODO).status_code, status)

    def refused(self, code, *arguments, **changes):
        with self.assertRaises(OAuthError) as caught:
            session(*arguments, **changes).fetch_token()
        self.assertEqual(caught.exception.error, code)

    def test_a_wrong_secret_or_id_is_invalid_client(self):
        for method in ("client_secret_basic", "client_secret_post"):
            for changes in ({"client_secret": "wrong"}, {"client_id": "missing"}):
                with self.subTest(method, **changes):
                    self.refused("invalid_client", method, **changes)

    def test_a_scope_beyond_the_granted_scope_is_invalid_scope(self):
        self.refused("invalid_scope", scope="todo:read admin")


class AccessToken(unittest.TestCase):
    def setUp(self):
        self.token = session(scope="todo:read").fetch_token()["access_token"]

    def test_it_passes_rfc_9068_validation(self):
        claims = Validator(URL, AUDIENCE).accept(self.token, ["todo:read"])
        self.assertEqual(claims["iss"], URL)
        self.assertEqual(claims["sub"], CLIENT_ID)
        self.assertEqual(claims["client_id"], CLIENT_ID)
        self.assertEqual(claims.header["typ"], "at+jwt")

    def test_another_audience_issuer_or_scope_is_rejected(self):
        for validator in (Validator(URL, "another-audience"), Validator("https://example.com", AUDIENCE)):
            with self.assertRaises(InvalidTokenError):
                validator.accept(self.token, [])
        with self.assertRaises(InsufficientScopeError):
            Validator(URL, AUDIENCE).accept(self.token, ["todo:write"])

    def test_another_signature_is_rejected_by_the_client_and_the_route(self):
        signed, _, signature = self.token.rpartition(".")
        # Changes the first character, because the last one has spare bits.
        forged = f"{signed}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
        with self.assertRaises(InvalidTokenError) as caught:
            Validator(URL, AUDIENCE).accept(forged, [])
        # Every flaw raises the same error, and its cause names this one.
        self.assertIsInstance(caught.exception.__cause__, BadSignatureError)
        self.assertEqual(requests.get(TODO, headers={"Authorization": f"Bearer {forged}"}).status_code, 403)


class LoginForm(unittest.TestCase):
    """`POST /token` as FastAPI's clients use it: a password form without a client."""

    def sign_in(self, password):
        client = OAuth2Session(token_endpoint_auth_method="none")
        client.fetch_token(f"{URL}/token", username=USERNAME, password=password)
        return client

    def test_the_token_of_the_right_password_is_allowed(self):
        answer = self.sign_in(PASSWORD).get(TODO)
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(answer.json()["preferred_username"], USERNAME)

    def test_a_wrong_password_is_invalid_grant(self):
        with self.assertRaises(OAuthError) as caught:
            self.sign_in("wrong")
        self.assertEqual(caught.exception.error, "invalid_grant")
