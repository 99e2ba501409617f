"use strict";

const assert = require("node:assert/strict");
const { createServer } = require("node:http");
const { once } = require("node:events");
const { afterEach, test } = require("node:test");

const { Service, Slots, signedPath } = require("../lib/service");

const servers = [];

/** A server that answers by this function, and a Service that asks it. */
async function answering(answer, settings = {}) {
  const server = createServer(answer);
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const service = `http://127.0.0.1:${server.address().port}`;
  return new Service({ service, token: "", timeout: 5, concurrency: 2, ...settings });
}

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

test("a busy service is asked again after the time that it names", async () => {
  let asked = 0;
  const service = await answering((_, reply) => {
    asked += 1;
    if (asked < 3) reply.writeHead(503, { "Retry-After": "0.01" }).end("{}");
    else reply.end('{"content":"x"}');
  });

  assert.deepEqual(await service.rewrite({}), { content: "x" });
  assert.equal(asked, 3);
});

test("a refusal is said in the words of its problem, and the next post asks again", async () => {
  const problem = JSON.stringify({ code: "body_too_large", detail: "at most 5 bytes" });
  const service = await answering((_, reply) => reply.writeHead(413).end(problem));

  await assert.rejects(service.rewrite({}), { message: "413 body_too_large at most 5 bytes" });
  assert.equal(service.down, null);
});

test("after 401 no other post asks", async () => {
  let asked = 0;
  const service = await answering((_, reply) => ((asked += 1), reply.writeHead(401).end("{}")));

  await assert.rejects(service.rewrite({}), /401 .*set token/);
  await assert.rejects(service.rewrite({}), /401 .*set token/);
  assert.equal(asked, 1);
});

test("after three timeouts in a row no other post asks", async () => {
  const service = await answering(() => {}, { timeout: 0.05, concurrency: 1 });

  for (let post = 0; post < 5; post += 1) await assert.rejects(service.rewrite({}), /did not answer within/);

  assert.equal(service.requests, 3);
});

test("a service that nobody runs is named with the reason", async () => {
  const service = await answering(() => {});
  servers[0].close();
  await once(servers[0], "close");

  await assert.rejects(service.rewrite({}), /cannot be reached: ECONNREFUSED/);
});

test("the token is sent as a bearer token", async () => {
  const service = await answering((request, reply) => reply.end(JSON.stringify(request.headers.authorization)), {
    token: "secret",
  });

  assert.equal(await service.rewrite({}), "Bearer secret");
});

test("no more tasks run at once than there are slots", async () => {
  const slots = new Slots(2);
  let running = 0;
  let most = 0;
  const task = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise(setImmediate);
    running -= 1;
  };

  await Promise.all(Array.from({ length: 9 }, () => slots.run(task)));

  assert.equal(most, 2);
});

test("a path is signed as the service signs it", () => {
  const key = "000102030405060708090a0b0c0d0e0f";

  assert.match(
    signedPath(key, "http://static.news.example/a.jpg"),
    /^\/img\/[\w-]{43}\/original\/aHR0cDovL3N0YXRpYy5uZXdzLmV4YW1wbGUvYS5qcGc$/,
  );
});
