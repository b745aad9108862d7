import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Bozzetto, decodeCloud, type JobEvent } from "../src/index.js";
import { readEvents } from "../src/events.js";
import { events, hangUp, json, problem, ScriptedServer } from "./scripted.js";

const encode = (text: string) => new TextEncoder().encode(text);

function streamOf(chunks: Uint8Array[], { end = true } = {}): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      if (end) controller.close();
    },
  });
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

describe("readEvents", () => {
  const EXPECTED = [
    { id: "1", kind: "state", data: "café" },
    { id: null, kind: "message", data: "one\ntwo" },
  ];
  const TEXT =
    ": hello\nretry: 1000\n\nid: 1\nevent: state\ndata: café\n\ndata:one\ndata: two\n\ndata: cut";

  test.each([
    ["LF", "\n"],
    ["CRLF", "\r\n"],
    ["CR", "\r"],
  ])("reads %s line ends, wherever the chunks are cut", async (_, end) => {
    const bytes = encode(TEXT.replaceAll("\n", end) + (end === "\r" ? "\n" : ""));
    for (let size = 1; size <= bytes.length; size++) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.slice(at, at + size));
      expect(await all(readEvents(streamOf(chunks)))).toEqual(EXPECTED);
    }
  });

  test("silence is a lost connection", async () => {
    const silent = streamOf([encode("data: a\n\n")], { end: false });
    await expect(all(readEvents(silent, { silenceMs: 20 }))).rejects.toMatchObject({
      code: "no_connection",
    });
  });
});

describe("decodeCloud", () => {
  const positions = (...values: number[]) =>
    Buffer.from(Uint16Array.from(values).buffer).toString("base64");
  const data = { step: 3, points: 2, origin: [-0.5, 0, 1] as [number, number, number], scale: 2 };

  test("positions run from the origin over the scale", () => {
    const colors = Buffer.from([255, 0, 0, 0, 128, 255]).toString("base64");
    const cloud = decodeCloud({
      ...data,
      positions: positions(0, 65535, 13107, 65535, 0, 0),
      colors,
    });
    const expected = [-0.5, 2, 1.4, 1.5, 0, 1];
    cloud.positions.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 6));
    expect(cloud.positions).toHaveLength(6);
    expect([...cloud.colors!]).toEqual([255, 0, 0, 0, 128, 255]);
  });

  test.each([
    ["too few positions", positions(1, 2, 3), null],
    ["too few colours", positions(1, 2, 3, 4, 5, 6), "AAAA"],
    ["no base64", "%%%", null],
  ])("%s: an error, not a broken cloud", (_, packed, colors) => {
    expect(() => decodeCloud({ ...data, positions: packed, colors })).toThrow(
      expect.objectContaining({ code: "bad_cloud" }),
    );
  });
});

describe("follow", () => {
  const RUNNING = 'id: 1-0\nevent: state\ndata: {"state":"running"}\n\n';
  const DONE = 'id: 2-0\nevent: done\ndata: {"state":"succeeded"}\n\n';
  const kinds = (list: JobEvent[]) => list.map((event) => event.kind);
  const lastIds = () =>
    server.asked.filter(isEvents).map((asked) => asked.headers["last-event-id"]);
  const isEvents = ({ path }: { path: string }) => path.includes("/events");

  let server: ScriptedServer;
  let client: Bozzetto;
  beforeEach(async () => {
    server = await ScriptedServer.start();
    client = new Bozzetto({ server: server.address });
  });
  afterEach(async () => {
    vi.useRealTimers();
    await server.stop();
  });

  test("ends with done; clouds are asked for by name", async () => {
    server.will(events(RUNNING + "event: later\ndata: {}\n\n" + DONE));
    expect(kinds(await all(client.follow("a", { clouds: true })))).toEqual(["state", "done"]);
    expect(server.asked.map((asked) => asked.path)).toEqual(["/jobs/a/events?clouds=true"]);
  });

  test(
    "comes back after cuts, refusals and a drained gateway, with the last id",
    { timeout: 15_000 },
    async () => {
      const unavailable = problem(
        503,
        { code: "draining", retryable: true },
        { "Retry-After": "0" },
      );
      server.will(
        events(RUNNING, { cut: true }),
        hangUp,
        unavailable,
        events(": nothing new\n\n"),
        json({ status: "running" }),
        events(DONE),
      );
      const attempts: number[] = [];
      const seen = await all(
        client.follow("a", { onReconnect: (attempt) => attempts.push(attempt) }),
      );
      expect(kinds(seen)).toEqual(["state", "done"]);
      expect(lastIds()).toEqual([undefined, "1-0", "1-0", "1-0", "1-0"]);
      expect(attempts).toEqual([1, 2, 3, 4]);
    },
  );

  test("a stream that ends for who has had the done: the job says how it ended", async () => {
    server.will(events(""), json({ status: "canceled" }));
    const seen = await all(client.follow("a", { lastEventId: "2-0" }));
    expect(seen).toEqual([{ kind: "done", id: null, state: "canceled" }]);
  });

  test.each([
    [404, "not_found"],
    [410, "expired"],
    [401, "unauthorized"],
  ])("a %i ends it with its code", async (status, code) => {
    server.will(events(RUNNING, { cut: true }), problem(status, { code, retryable: false }));
    await expect(all(client.follow("a"))).rejects.toMatchObject({ code, status });
  });

  test("gives up on a server that stays away for two minutes", async () => {
    vi.useFakeTimers();
    const fetch = vi.fn(async () => Promise.reject(new TypeError("refused")));
    const following = all(new Bozzetto({ fetch }).follow("a"));
    const outcome = expect(following).rejects.toMatchObject({ code: "no_connection" });
    await vi.advanceTimersByTimeAsync(110_000);
    const before = fetch.mock.calls.length;
    await vi.advanceTimersByTimeAsync(30_000);
    await outcome;
    expect(before).toBeGreaterThan(10);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(fetch.mock.calls.length).toBeLessThan(before + 5);
  });

  test("streams that end in order, long and without news, are no lost server", async () => {
    vi.useFakeTimers();
    const quiet = async () => {
      await new Promise((resolve) => setTimeout(resolve, 40_000));
      return new Response(": still there\n\n");
    };
    let streams = 0;
    const fetch = vi.fn(async (path: unknown) => {
      if (!String(path).includes("/events")) return Response.json({ status: "queued" });
      return ++streams < 8 ? quiet() : new Response(DONE);
    });
    const seen = all(new Bozzetto({ fetch }).follow("a"));
    await vi.advanceTimersByTimeAsync(600_000);
    expect(kinds(await seen)).toEqual(["done"]);
  });

  test.each([
    ["0", 2, "no storm of requests"],
    ["3600", 1, "the caller decides about an hour"],
  ])("told to come back after %s s", async (seconds, most, _why) => {
    vi.useFakeTimers();
    const fetch = vi.fn(
      async () =>
        new Response('{"retryable":true}', { status: 503, headers: { "Retry-After": seconds } }),
    );
    const stop = new AbortController();
    const following = all(new Bozzetto({ fetch }).follow("a", { signal: stop.signal }));
    const outcome = expect(following).rejects.toThrow();
    await vi.advanceTimersByTimeAsync(700);
    expect(fetch.mock.calls.length).toBeLessThanOrEqual(most);
    if (most === 1) await outcome;
    stop.abort();
    await outcome;
  });

  test("an abort ends it, and closes the connection", async () => {
    let closed: () => void;
    const closing = new Promise<void>((resolve) => (closed = resolve));
    server.will((response) => {
      response.on("close", closed);
      response.writeHead(200, { "Content-Type": "text/event-stream" }).write(RUNNING);
    });
    const stop = new AbortController();
    const following = (async () => {
      for await (const _ of client.follow("a", { signal: stop.signal })) stop.abort();
    })();
    await expect(following).rejects.toMatchObject({ name: "AbortError" });
    await closing;
  });
});
