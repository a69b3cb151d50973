"""A token endpoint with FastAPI, PyJWT and a client in memory. mangum adapts Lambda's events."""

import hmac
import json
import os
import time
import uuid
from hashlib import sha256
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, Form, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from mangum import Mangum

ALLOWED = {"todo:read", "todo:write"}
CLIENT_ID = os.environ["DEMO_CLIENT_ID"]
SECRET_DIGEST = sha256(os.environ["DEMO_CLIENT_SECRET"].encode()).digest()
KEY = jwt.PyJWK.from_json(os.environ["SIGNING_KEY"])
LIFETIME = 900

app = FastAPI(openapi_url=None)


@app.post("/oauth2/token")
async def token(
    client: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())],
    grant_type: Annotated[str, Form()],
    scope: Annotated[str, Form()] = "todo:read todo:write",
):
    digest = sha256(client.password.encode()).digest()
    if client.username != CLIENT_ID or not hmac.compare_digest(digest, SECRET_DIGEST):
        raise HTTPException(401, "invalid_client")
    if grant_type != "client_credentials" or not ALLOWED.issuperset(scope.split(" ")):
        raise HTTPException(400, "invalid_request")
    now = int(time.time())
    claims = {
        "iss": "https://peer.example",
        "aud": os.environ["AUDIENCE"],
        "sub": CLIENT_ID,
        "client_id": CLIENT_ID,
        "scope": scope,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + LIFETIME,
    }
    headers = {"typ": "at+jwt", "kid": KEY.key_id}
    signed = jwt.encode(claims, KEY.key, algorithm=KEY.algorithm_name, headers=headers)
    return {"access_token": signed, "token_type": "Bearer", "expires_in": LIFETIME}


handler = Mangum(app, lifespan="off")
