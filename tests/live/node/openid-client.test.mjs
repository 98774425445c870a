// openid-client against a real server: everything it knows to ask an authorization server.

import assert from "node:assert/strict";
import test from "node:test";

import * as client from "openid-client";

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

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

/** Return a client that found tokensrv by its metadata. */
function discovered(authentication, id = CLIENT_ID, metadata = undefined) {
  return client.discovery(new URL(issuer), id, metadata, authentication, {
    algorithm: "oauth2",
    execute: [client.allowInsecureRequests],
  });
}

const basic = () => discovered(client.ClientSecretBasic(CLIENT_SECRET));

test("the metadata is found and says where everything is", async () => {
  const server = (await basic()).serverMetadata();
  assert.equal(server.issuer, issuer);
  assert.equal(server.introspection_endpoint, `${issuer}/oauth/introspect`);
  assert.deepEqual(server.grant_types_supported, [EXCHANGE]);
});

test("a token is introspected with each way to send a secret", async () => {
  const user = await makeUser();
  const token = await makeToken(user, "read_api");
  for (const way of [client.ClientSecretBasic, client.ClientSecretPost]) {
    const told = await client.tokenIntrospection(await discovered(way(CLIENT_SECRET)), token);
    assert.deepEqual(
      [told.active, told.username, told.scope, told.client_id, told.sub],
      [true, user.username, "read_api", CLIENT_ID, String(user.id)],
    );
  }
});

test("a client without a secret signs who it is", async () => {
  const token = await makeToken(await makeUser(), "read_api");
  for (const algorithm of KEY_ALGORITHMS) {
    const [made, key] = await makeClientWithKey(algorithm);
    const config = await discovered(client.PrivateKeyJwt(key), made.client_id);
    const told = await client.tokenIntrospection(config, token);
    assert.deepEqual([told.active, told.client_id], [true, made.client_id], algorithm);
  }
});

test("a signed answer is asked for and verified", async () => {
  const token = await makeToken(await makeUser(), "read_api");
  for (const algorithm of ["RS256", "ES256", "Ed25519"]) {
    const made = await makeClient({ introspection_signed_response_alg: algorithm });
    const config = await discovered(client.ClientSecretBasic(made.client_secret), made.client_id, {
      introspection_signed_response_alg: algorithm,
    });
    client.enableNonRepudiationChecks(config);
    assert.equal((await client.tokenIntrospection(config, token)).active, true, algorithm);
    assert.deepEqual(await client.tokenIntrospection(config, "nothing"), { active: false });
  }
});

test("sudo is asked with a parameter and answered with the actor", async () => {
  const user = await makeUser();
  const config = await basic();
  const told = await client.tokenIntrospection(config, adminToken, { sudo: user.username });
  assert.deepEqual([told.username, told.act.username], [user.username, "root"]);
  const refused = await client.tokenIntrospection(config, adminToken, { sudo: "" });
  assert.deepEqual(refused, { active: false });
});

test("a revoked token is inactive at once", async () => {
  const token = await makeToken(await makeUser(), "read_api");
  const config = await basic();
  await client.tokenRevocation(config, token);
  // Whichever of the workers answers.
  for (let i = 0; i < 10; i += 1) {
    assert.deepEqual(await client.tokenIntrospection(config, token), { active: false });
  }
  await client.tokenRevocation(config, "nothing");
});

test("an admin's token is exchanged for one that acts as a user", async () => {
  const user = await makeUser();
  const config = await basic();
  const exchanged = await client.genericGrantRequest(config, EXCHANGE, {
    subject_token: adminToken,
    subject_token_type: ACCESS_TOKEN,
    requested_subject: user.username,
    scope: "read_api",
  });
  assert.equal(exchanged.issued_token_type, ACCESS_TOKEN);
  assert.equal(exchanged.expiresIn() > 0, true);
  const told = await client.tokenIntrospection(config, exchanged.access_token);
  assert.deepEqual(
    [told.active, told.username, told.scope, told.act.username],
    [true, user.username, "read_api", "root"],
  );
});

test("a wrong secret is a 401 that says invalid_client", async () => {
  const config = await discovered(client.ClientSecretBasic("wrong"));
  await assert.rejects(client.tokenIntrospection(config, "x"), (error) => {
    assert.deepEqual([error.status, error.cause[0].scheme], [401, "basic"]);
    return true;
  });
});
