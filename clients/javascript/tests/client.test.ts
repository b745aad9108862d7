import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Bozzetto, BozzettoError, ConnectionError, JobFailedError } from "../src/index.js";
import { events, hangUp, json, problem, ScriptedServer } from "./scripted.js";

const PICTURE = new Blob(["not really a picture"], { type: "image/png" });
const SOON = { "Retry-After": "0" };

let server: ScriptedServer;
let client: Bozzetto;

beforeEach(async () => {
  server = await ScriptedServer.start();
  client = new Bozzetto({ server: `${server.address}/` });
});
afterEach(async () => {
  vi.useRealTimers();
  await server.stop();
});

async function failure(promise: Promise<unknown>): Promise<BozzettoError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BozzettoError);
  return error as BozzettoError;
}

describe("submit", () => {
  test("sends the fields that have a value, as text", async () => {
    server.will(json({ id: "a" }, 202));
    await client.submit(PICTURE, {
      model: "bozzetto-xs",
      outputs: ["points.ply", "mesh.glb"],
      seed: 0,
      metadata: { order: 7 },
      of_a_later_model: undefined,
    });
    const { method, path, body } = server.asked[0]!;
    expect([method, path]).toEqual(["POST", "/reconstruct"]);
    const sent = [...body.matchAll(/name="(\w+)"\r\n\r\n(.*)\r\n/g)].map(([, name, value]) => [
      name,
      value,
    ]);
    expect(sent).toEqual([
      ["model", "bozzetto-xs"],
      ["outputs", "points.ply,mesh.glb"],
      ["seed", "0"],
      ["metadata", '{"order":7}'],
    ]);
    expect(body).toContain('name="image"; filename="picture"\r\nContent-Type: image/png');
  });

  test("repeats with the same idempotency key, so that one job is made", async () => {
    server.will(
      hangUp,
      problem(503, { code: "queue_full", retryable: true }, SOON),
      json({ id: "a" }, 202),
    );
    expect(await client.submit(PICTURE)).toEqual({ id: "a" });
    const keys = server.asked.map((asked) => asked.headers["idempotency-key"]);
    expect(keys).toHaveLength(3);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(keys).size).toBe(1);
  });

  test("two submits have two keys", async () => {
    server.will(json({}, 202), json({}, 202));
    await client.submit(PICTURE);
    await client.submit(PICTURE);
    expect(server.asked[0]!.headers["idempotency-key"]).not.toBe(
      server.asked[1]!.headers["idempotency-key"],
    );
  });
});

describe("errors", () => {
  test("tell what the problem document says", async () => {
    const body = {
      title: "Invalid field",
      detail: "steps is 0; it goes from 1 to 64",
      code: "invalid_field",
      retryable: false,
      hint: "GET /models shows the bounds.",
      field: "steps",
      request_id: "r1",
      errors: [{ code: "invalid_field", detail: "steps", field: "steps" }],
    };
    server.will(problem(422, body));
    const error = await failure(client.submit(PICTURE, { steps: 0 }));
    const { code, status, title, detail, retryable, hint, field, requestId, errors } = error;
    expect({ code, title, detail, retryable, hint, field, request_id: requestId, errors }).toEqual(
      body,
    );
    expect(status).toBe(422);
    expect(server.asked).toHaveLength(1);
  });

  test.each([
    [502, true],
    [400, false],
  ])("a %i that is no problem document is told as such", async (status, retryable) => {
    const page: Parameters<ScriptedServer["will"]>[0] = (response) =>
      response.writeHead(status).end("<html>");
    server.will(page);
    const error = await failure(new Bozzetto({ server: server.address, retries: 0 }).models());
    expect([error.code, error.status, error.retryable]).toEqual([
      `http_${status}`,
      status,
      retryable,
    ]);
  });

  test("a server that is not there: no_connection, after the retries", async () => {
    const gone = await ScriptedServer.start();
    const { address } = gone;
    await gone.stop();
    const error = await failure(new Bozzetto({ server: address, retries: 1 }).models());
    expect(error).toBeInstanceOf(ConnectionError);
    expect([error.code, error.retryable, error.status]).toEqual(["no_connection", true, 0]);
  });

  test.each([
    ["a refusal that is final", 422, { retryable: false }, {}],
    [
      "a conflict, which only the caller can resolve",
      409,
      { code: "not_final", retryable: true },
      {},
    ],
    [
      "a wait longer than a minute",
      429,
      { code: "rate_limited", retryable: true },
      { "Retry-After": "3600" },
    ],
  ])("does not repeat %s", async (_, status, body, headers) => {
    server.will(problem(status, body, headers));
    await failure(client.models());
    expect(server.asked).toHaveLength(1);
  });

  test("waits as long as Retry-After says", async () => {
    vi.useFakeTimers();
    const busy = new Response('{"retryable":true}', {
      status: 429,
      headers: { "Retry-After": "30" },
    });
    const answers = [busy, Response.json({ data: [] })];
    const fetch = vi.fn(async () => answers.shift()!);
    const models = new Bozzetto({ fetch }).models();
    await vi.advanceTimersByTimeAsync(29_999);
    expect(fetch).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await models).toEqual([]);
  });

  test("an abort ends the waiting between retries", async () => {
    server.will(problem(429, { retryable: true }, { "Retry-After": "30" }));
    const stop = new AbortController();
    const waiting = client.models({ signal: stop.signal });
    setTimeout(() => stop.abort(), 50);
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("jobs", () => {
  test("the key goes with every call, and only to the server", async () => {
    server.will(json({ data: [] }));
    const keyed = new Bozzetto({ server: server.address, apiKey: "secret" });
    await keyed.models();
    expect(server.asked[0]!.headers.authorization).toBe("Bearer secret");
    for (const path of ["http://elsewhere/x", "//elsewhere/x", "/\\elsewhere/x", "x"]) {
      expect(() => keyed.url(path)).toThrow(TypeError);
    }
    expect(keyed.url("/jobs/a")).toBe(`${server.address}/jobs/a`);
  });

  test("a fetch that is given is called as a function, as a browser's own demands", async () => {
    const callers: unknown[] = [];
    async function fetch(this: unknown): Promise<Response> {
      callers.push(this);
      return Response.json({ data: [] });
    }
    await new Bozzetto({ fetch }).models();
    expect(callers).toEqual([undefined]);
  });

  test("a query holds what was given", async () => {
    server.will(json({ data: [], next_cursor: null }), json({ data: [], next_cursor: null }));
    await client.jobs({ state: "failed", limit: 5 });
    await client.jobs();
    expect(server.asked.map((asked) => asked.path)).toEqual([
      "/jobs?state=failed&limit=5",
      "/jobs",
    ]);
  });

  test("a job that fails: reconstruct throws with the job's own code", async () => {
    const error = {
      code: "no_foreground",
      detail: "nothing there",
      retryable: false,
      hint: "try another",
    };
    const job = { id: "a", status: "failed", error, artifacts: [] };
    const done = 'id: 1\nevent: done\ndata: {"state":"failed"}\n\n';
    server.will(json({ id: "a" }, 202), events(done), json(job));
    const thrown = await failure(client.reconstruct(PICTURE));
    expect(thrown).toBeInstanceOf(JobFailedError);
    expect([thrown.code, thrown.hint, (thrown as JobFailedError).job]).toEqual([
      "no_foreground",
      "try another",
      job,
    ]);
  });

  test("a file that the job lacks is named, with those it has", async () => {
    const job = {
      id: "a",
      artifacts: [{ name: "points.ply", url: "/jobs/a/artifacts/points.ply" }],
    };
    const error = await failure(client.download(job as never, "mesh.glb"));
    expect(error.code).toBe("no_artifact");
    expect(error.detail).toContain("points.ply");
  });
});
