// An authorizer with jose and built-in keys.
import { createLocalJWKSet, jwtVerify } from "jose";
import { answer, audience, bearer, issuer, keys } from "./route.js";

const key = createLocalJWKSet(keys);
const algorithms = keys.keys.map(({ alg }) => alg);

export const handler = async (event) => {
  const { payload } = await jwtVerify(bearer(event), key, { issuer, audience, algorithms, typ: "at+jwt" });
  return answer(event, payload);
};
