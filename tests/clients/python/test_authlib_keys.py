"""Authlib with keys instead of secrets: private_key_jwt (RFC 7523) and DPoP (RFC 9449)."""

import base64
import hashlib
import json
import pathlib
import tempfile
import time
import unittest
import uuid

import requests
from authlib.integrations.base_client import UnsupportedTokenTypeError
from authlib.integrations.requests_client import OAuthError
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from latchkey import CLIENT_ID, TODO, create_client
from test_authlib import metadata, session


class PrivateKeyJwt(unittest.TestCase):
    """Authlib's assertions name no key, expire after an hour and have the token endpoint as audience."""

    def create(self, client_id, key):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "jwks.json")
            file.write_text(json.dumps(KeySet([key]).as_dict(private=False)))
            created = create_client(client_id, "--scope", "todo:read", "--public-key", str(file))
        self.assertNotIn("client_secret", created)

    def session(self, client_id, key, algorithm):
        endpoint = metadata()["token_endpoint"]
        client = session(PrivateKeyJWT.name, client_id=client_id, client_secret=key)
        client.register_client_auth_method(PrivateKeyJWT(endpoint, alg=algorithm))
        return client

    def test_a_client_authenticates_with_an_assertion(self):
        for algorithm, key in (("ES256", ECKey.generate_key("P-256")), ("RS256", RSAKey.generate_key(2048))):
            with self.subTest(algorithm):
                client_id = f"authlib-{algorithm}"
                self.create(client_id, key)
                client = self.session(client_id, key, algorithm)
                token = client.fetch_token()["access_token"]
                self.assertEqual(client.get(TODO).json()["sub"], client_id)
                introspected = client.introspect_token(metadata()["introspection_endpoint"], token=token)
                self.assertIs(introspected.json()["active"], True)

    def test_another_key_is_invalid_client(self):
        self.create("authlib-other", ECKey.generate_key("P-256"))
        with self.assertRaises(OAuthError) as caught:
            self.session("authlib-other", ECKey.generate_key("P-256"), "ES256").fetch_token()
        self.assertEqual(caught.exception.error, "invalid_client")


class Dpop(unittest.TestCase):
    """Authlib has no DPoP. It fetches the token, and the test builds the proofs."""

    def proof(self, key, method, url, **claims):
        header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
        claims = {"jti": str(uuid.uuid4()), "htm": method, "htu": url, "iat": int(time.time()), **claims}
        return {"DPoP": jwt.encode(header, claims, key)}

    def test_a_bound_token_requires_its_proof(self):
        key = ECKey.generate_key("P-256")
        client = session()
        token = client.fetch_token(headers=self.proof(key, "POST", metadata()["token_endpoint"]))
        self.assertEqual(token["token_type"], "DPoP")
        with self.assertRaises(UnsupportedTokenTypeError):
            client.get(TODO)
        introspected = client.introspect_token(metadata()["introspection_endpoint"], token=token["access_token"])
        self.assertEqual(introspected.json()["cnf"], {"jkt": key.thumbprint()})

        digest = hashlib.sha256(token["access_token"].encode()).digest()
        ath = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

        def call(scheme, key):
            authorization = {"Authorization": f"{scheme} {token['access_token']}"}
            return requests.get(TODO, headers=authorization | self.proof(key, "GET", TODO, ath=ath))

        self.assertEqual(call("DPoP", key).json()["sub"], CLIENT_ID)
        self.assertEqual(call("Bearer", key).status_code, 403)
        self.assertEqual(call("DPoP", ECKey.generate_key("P-256")).status_code, 403)
