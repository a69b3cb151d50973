// An authorizer with AWS's verifier and built-in keys.
import { JwtVerifier } from "aws-jwt-verify";
import { answer, audience, bearer, issuer, keys } from "./route.js";

const verifier = JwtVerifier.create({ issuer, audience, jwksUri: `${issuer}/.well-known/jwks.json` });
verifier.cacheJwks(keys);

export const handler = async (event) => answer(event, await verifier.verify(bearer(event)));
