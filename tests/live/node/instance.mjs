// The instance under test: what the suites need of its API, asked for with fetch alone.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

export const { URL: issuer, ADMIN_TOKEN: adminToken, CLIENT_ID, CLIENT_SECRET } = process.env;

/** Return a new thing of the API, made by the admin. */
async function made(path, values) {
  const response = await fetch(`${issuer}/api/v4${path}`, {
    method: "POST",
    headers: { "PRIVATE-TOKEN": adminToken, "Content-Type": "application/json" },
    body: JSON.stringify(values),
  });
  const answer = await response.json();
  assert.equal(response.status, 201, JSON.stringify(answer));
  return answer;
}

/** Return a new user. */
export function makeUser() {
  const username = `user-${randomBytes(4).toString("hex")}`;
  const email = `${username}@example.org`;
  return made("/users", { username, email, name: "User", force_random_password: true });
}

/** Return the secret of a new token of a user. */
export async function makeToken(user, ...scopes) {
  const path = `/users/${user.id}/personal_access_tokens`;
  return (await made(path, { name: "a token", scopes })).token;
}

/** Return a new client of tokensrv. */
export function makeClient(values) {
  return made("/tokensrv/clients", { name: "from Node.js", ...values });
}

/** Return a new client that has a key pair of this algorithm, and its private key. */
export async function makeClientWithKey(algorithm, values = {}) {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(
    KEY_PARAMETERS[algorithm],
    true,
    ["sign", "verify"],
  );
  const jwk = await crypto.subtle.exportKey("jwk", publicKey);
  const jwks = { keys: [{ ...jwk, kid: "first", alg: algorithm, use: "sig" }] };
  return [await makeClient({ jwks, ...values }), { key: privateKey, kid: "first" }];
}

const rsa = { modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" };

const KEY_PARAMETERS = {
  RS256: { name: "RSASSA-PKCS1-v1_5", ...rsa },
  PS256: { name: "RSA-PSS", ...rsa },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384" },
  Ed25519: { name: "Ed25519" },
};

export const KEY_ALGORITHMS = Object.keys(KEY_PARAMETERS);
