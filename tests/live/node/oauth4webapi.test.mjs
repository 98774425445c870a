// oauth4webapi against a real server: it checks every answer against the standards, strictly.

import assert from "node:assert/strict";
import test from "node:test";

import * as oauth from "oauth4webapi";

import {
  CLIENT_ID,
  CLIENT_SECRET,
  KEY_ALGORITHMS,
  adminToken,
  issuer,
  makeClient,
  makeClientWithKey,
  makeToken,
  makeUser,
} from "./instance.mjs";

const insecure = { [oauth.allowInsecureRequests]: true };
const basic = oauth.ClientSecretBasic(CLIENT_SECRET);
const us = { client_id: CLIENT_ID };

/** Return the metadata of the server. */
async function server() {
  const response = await oauth.discoveryRequest(new URL(issuer), { algorithm: "oauth2", ...insecure });
  return oauth.processDiscoveryResponse(new URL(issuer), response);
}

/** Return what a client is told about a token, after the library's own checks. */
async function introspected(client, authentication, token, options = {}) {
  const as = await server();
  const asked = { ...insecure, ...options };
  const response = await oauth.introspectionRequest(as, client, authentication, token, asked);
  const told = await oauth.processIntrospectionResponse(as, client, response);
  if (options.requestJwtResponse) {
    assert.equal(response.headers.get("content-type"), "application/token-introspection+jwt");
    await oauth.validateApplicationLevelSignature(as, response, insecure);
  }
  return told;
}

test("a token is introspected with each way to send a secret", async () => {
  const token = await makeToken(await makeUser(), "read_api");
  for (const way of [oauth.ClientSecretBasic, oauth.ClientSecretPost]) {
    const told = await introspected(us, way(CLIENT_SECRET), token);
    assert.deepEqual([told.active, told.scope, told.iss], [true, "read_api", issuer]);
  }
});

test("a client without a secret signs who it is, in every algorithm", async () => {
  const token = await makeToken(await makeUser(), "read_api");
  for (const algorithm of KEY_ALGORITHMS) {
    const [made, key] = await makeClientWithKey(algorithm);
    const told = await introspected(made, oauth.PrivateKeyJwt(key), token);
    assert.deepEqual([told.active, told.client_id], [true, made.client_id], algorithm);
  }
});

test("an assertion of another key, or sent twice, is refused", async () => {
  const [made, key] = await makeClientWithKey("ES256");
  const [, other] = await makeClientWithKey("ES256");
  const as = await server();
  const status = async (authentication) => {
    const response = await oauth.introspectionRequest(as, made, authentication, "x", insecure);
    return response.status;
  };
  assert.equal(await status(oauth.PrivateKeyJwt(other)), 401);
  const sent = [];
  /** Sign once, and send the same again. */
  const once = async (as, client, body, headers) => {
    if (sent.length === 0) {
      await oauth.PrivateKeyJwt(key)(as, client, body, headers);
      sent.push([...body]);
    } else {
      sent[0].forEach(([name, value]) => body.set(name, value));
    }
  };
  assert.equal(await status(once), 200);
  // Whichever of the workers answers.
  for (let i = 0; i < 6; i += 1) assert.equal(await status(once), 401);
});

test("a signed answer has everything that the standard asks for", async () => {
  const token = await makeToken(await makeUser(), "read_api");
  for (const algorithm of ["RS256", "ES256", "Ed25519"]) {
    const made = await makeClient({ introspection_signed_response_alg: algorithm });
    const client = { client_id: made.client_id, introspection_signed_response_alg: algorithm };
    const secret = oauth.ClientSecretBasic(made.client_secret);
    const signed = { requestJwtResponse: true };
    assert.equal((await introspected(client, secret, token, signed)).active, true, algorithm);
    assert.deepEqual(await introspected(client, secret, "nothing", signed), { active: false });
  }
});

test("an answer that was signed for another client is not taken", async () => {
  const as = await server();
  const response = await oauth.introspectionRequest(as, us, basic, "x", {
    ...insecure,
    requestJwtResponse: true,
  });
  const other = await makeClient({});
  await assert.rejects(oauth.processIntrospectionResponse(as, other, response), /"aud"/);
});

test("a revoked token is inactive at once", async () => {
  const as = await server();
  const token = await makeToken(await makeUser(), "read_api");
  const revoked = await oauth.revocationRequest(as, us, basic, token, insecure);
  await oauth.processRevocationResponse(revoked);
  assert.deepEqual(await introspected(us, basic, token), { active: false });
});

test("sudo is asked with a header as well", async () => {
  const user = await makeUser();
  const told = await introspected(us, basic, adminToken, { headers: { Sudo: user.username } });
  assert.deepEqual([told.username, told.act.username], [user.username, "root"]);
});

test("a challenge leads to the metadata of the resource, and that to the server", async () => {
  const refused = await fetch(`${issuer}/api/v4/user`);
  const [, found] = /resource_metadata="([^"]+)"/.exec(refused.headers.get("www-authenticate"));
  const response = await oauth.resourceDiscoveryRequest(new URL(issuer), insecure);
  assert.equal(response.url, found);
  const resource = await oauth.processResourceDiscoveryResponse(new URL(issuer), response);
  assert.deepEqual(resource.authorization_servers, [issuer]);
});
