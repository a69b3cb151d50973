"""An authorizer with PyJWT and built-in keys."""

import json
import os

import jwt

ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]
ROUTES = json.loads(os.environ["ROUTE_SCOPES"])
KEYS = {key.key_id: key for key in jwt.PyJWKSet.from_json(os.environ["JWKS"]).keys}


def handler(event, _context):
    token = event["headers"]["authorization"].removeprefix("Bearer ")
    key = KEYS[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=[key.algorithm_name], audience=AUDIENCE, issuer=ISSUER)
    granted = claims["scope"].split(" ")
    allowed = all(needed in granted for needed in ROUTES.get(event["routeKey"], []))
    context = {name: claims[name] for name in ("sub", "client_id", "jti", "scope")}
    return {"isAuthorized": allowed, "context": context}
