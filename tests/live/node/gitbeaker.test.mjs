// @gitbeaker/rest against a real server: what test_python_gitlab.py does, in JavaScript.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test from "node:test";

import { Gitlab } from "@gitbeaker/rest";

const { URL: host, ADMIN_TOKEN: adminToken } = process.env;
const admin = new Gitlab({ host, token: adminToken });

const asUser = (token) => new Gitlab({ host, token });
const ids = (records) => records.map((record) => record.id);
const inDays = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
const refusedWith = (status) => (error) => error.cause?.response.status === status;

/** Return a user of this test's own. */
function makeAlice() {
  const username = `alice-${randomBytes(4).toString("hex")}`;
  return admin.Users.create({
    username,
    email: `${username}@example.org`,
    name: "Alice",
    forceRandomPassword: true,
  });
}

test("the current user tells who I am", async () => {
  const me = await admin.Users.showCurrentUser();
  assert.equal(me.username, "root");
  assert.equal(me.is_admin, true);
});

test("every other way to present the token works", async () => {
  const bearer = new Gitlab({ host, oauthToken: adminToken });
  assert.equal((await bearer.Users.showCurrentUser()).username, "root");
});

test("a client that wants camel case gets it", async () => {
  const camel = new Gitlab({ host, token: adminToken, camelize: true });
  assert.equal((await camel.Users.showCurrentUser()).isAdmin, true);
});

test("a wrong token is refused with 401", async () => {
  await assert.rejects(asUser("tsp_nothing").Users.showCurrentUser(), refusedWith(401));
});

test("users are created, listed, found, changed and deleted", async () => {
  const alice = await makeAlice();
  assert.equal((await admin.Users.show(alice.id)).username, alice.username);
  const named = await admin.Users.all({ username: alice.username.toUpperCase() });
  assert.deepEqual(ids(named), [alice.id]);
  assert.ok(ids(await admin.Users.all({ search: "alice" })).includes(alice.id));
  // It sends changes as multipart/form-data.
  await admin.Users.edit(alice.id, { name: "Alice Liddell" });
  assert.equal((await admin.Users.show(alice.id)).name, "Alice Liddell");
  await admin.Users.remove(alice.id);
  await assert.rejects(admin.Users.show(alice.id), refusedWith(404));
});

test("block and unblock follow the state", async () => {
  const alice = await makeAlice();
  assert.equal(await admin.Users.block(alice.id), true);
  assert.equal((await admin.Users.show(alice.id)).state, "blocked");
  assert.equal(await admin.Users.unblock(alice.id), true);
  assert.equal((await admin.Users.show(alice.id)).state, "active");
});

test("a blocked user cannot use his token", async () => {
  const alice = await makeAlice();
  const made = await admin.Users.createPersonalAccessToken(alice.id, "mine", ["api"]);
  await admin.Users.block(alice.id);
  await assert.rejects(asUser(made.token).Users.showCurrentUser(), refusedWith(403));
  await admin.Users.unblock(alice.id);
  assert.equal((await asUser(made.token).Users.showCurrentUser()).id, alice.id);
});

test("personal access tokens live and die", async () => {
  const alice = await makeAlice();
  const tokens = admin.PersonalAccessTokens;
  const made = await tokens.create(alice.id, "deploy", ["read_api"], { expiresAt: inDays(30) });
  assert.match(made.token, /^tsp_/);
  assert.deepEqual(made.scopes, ["read_api"]);
  assert.equal(made.expires_at, inDays(30));
  const mine = asUser(made.token).PersonalAccessTokens;
  assert.equal((await mine.show()).id, made.id);
  assert.deepEqual(ids(await mine.all()), [made.id]);

  const listed = await tokens.all({ userId: alice.id, state: "active", search: "DEPL" });
  assert.deepEqual(ids(listed), [made.id]);
  assert.deepEqual(await tokens.all({ userId: alice.id, revoked: true }), []);

  const rotated = await tokens.rotate(made.id);
  assert.notEqual(rotated.token, made.token);
  await assert.rejects(mine.show(), refusedWith(401));

  await tokens.remove({ tokenId: rotated.id });
  await assert.rejects(asUser(rotated.token).PersonalAccessTokens.show(), refusedWith(401));
  assert.equal((await tokens.show({ tokenId: rotated.id })).revoked, true);
});

test("a token rotates itself", async () => {
  const alice = await makeAlice();
  const made = await admin.PersonalAccessTokens.create(alice.id, "robot", ["self_rotate"]);
  const robot = asUser(made.token).PersonalAccessTokens;
  const renewed = await robot.rotate("self", { expiresAt: inDays(10) });
  assert.equal((await asUser(renewed.token).PersonalAccessTokens.show()).expires_at, inDays(10));
});

test("a token deletes itself", async () => {
  const alice = await makeAlice();
  const made = await admin.PersonalAccessTokens.create(alice.id, "brief", ["read_user"]);
  await asUser(made.token).PersonalAccessTokens.remove();
  await assert.rejects(asUser(made.token).PersonalAccessTokens.show(), refusedWith(401));
});

test("impersonation tokens act as their owner", async () => {
  const alice = await makeAlice();
  const made = await admin.UserImpersonationTokens.create(alice.id, "support", ["api"]);
  assert.equal(made.impersonation, true);
  const acting = asUser(made.token);
  assert.equal((await acting.Users.showCurrentUser()).id, alice.id);
  const listed = () => admin.UserImpersonationTokens.all(alice.id, { state: "active" });
  assert.ok(ids(await listed()).includes(made.id));
  assert.equal((await admin.UserImpersonationTokens.show(alice.id, made.id)).id, made.id);
  assert.ok(!ids(await acting.PersonalAccessTokens.all()).includes(made.id));
  await admin.UserImpersonationTokens.revoke(alice.id, made.id);
  assert.deepEqual(await listed(), []);
});

test("sudo lists, gets and deletes as the user", async () => {
  const alice = await makeAlice();
  const made = await admin.PersonalAccessTokens.create(alice.id, "hers", ["api"]);
  const sudo = alice.username;
  assert.deepEqual(ids(await admin.PersonalAccessTokens.all({ sudo })), [made.id]);
  const shown = await admin.PersonalAccessTokens.show({ tokenId: made.id, sudo: alice.id });
  assert.equal(shown.name, "hers");
  assert.equal((await admin.Users.showCurrentUser({ sudo: sudo.toUpperCase() })).id, alice.id);
  await admin.PersonalAccessTokens.remove({ tokenId: made.id, sudo });
  await assert.rejects(asUser(made.token).Users.showCurrentUser(), refusedWith(401));
});

test("sudo for every request of a client is possible", async () => {
  const alice = await makeAlice();
  const acting = new Gitlab({ host, token: adminToken, sudo: alice.username });
  assert.equal((await acting.Users.showCurrentUser()).id, alice.id);
});

test("sudo cannot create", async () => {
  const alice = await makeAlice();
  const wanted = admin.PersonalAccessTokens.create(alice.id, "lasting", ["api"], {
    sudo: alice.username,
  });
  await assert.rejects(wanted, refusedWith(403));
  assert.deepEqual(await admin.PersonalAccessTokens.all({ userId: alice.id }), []);
});

test("sudo to nobody is not found", async () => {
  const wanted = admin.Users.showCurrentUser({ sudo: "nobody-at-all" });
  await assert.rejects(wanted, refusedWith(404));
});

test("lists walk every page", async () => {
  const alice = await makeAlice();
  const names = Array.from({ length: 25 }, (_, n) => `t${String(n).padStart(2, "0")}`);
  for (const name of names) {
    await admin.PersonalAccessTokens.create(alice.id, name, ["read_user"]);
  }
  const found = await admin.PersonalAccessTokens.all({
    userId: alice.id,
    sort: "name_asc",
    perPage: 10,
    showExpanded: true,
  });
  assert.deepEqual(found.data.map((token) => token.name), names);
  assert.equal(found.paginationInfo.total, 25);
});

test("users are walked by keyset", async () => {
  const alice = await makeAlice();
  const walked = ids(
    await admin.Users.all({ pagination: "keyset", orderBy: "id", sort: "asc", perPage: 1 }),
  );
  assert.deepEqual(walked, [...new Set(walked)].sort((one, two) => one - two));
  assert.ok(walked.includes(alice.id));
});
