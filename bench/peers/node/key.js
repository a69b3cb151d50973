// Prints a new private key of the given algorithm as a JWK.
import { exportJWK, generateKeyPair } from "jose";

const alg = process.argv[2];
const { privateKey } = await generateKeyPair(alg, { extractable: true });
console.log(JSON.stringify({ ...(await exportJWK(privateKey)), alg, use: "sig", kid: "peer" }));
