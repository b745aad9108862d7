import { beforeEach, expect, it } from "vitest";
import { Content } from "./content";
import type { ViewerError } from "./errors";
import type { Kind } from "./shapes";
import { NO_SOURCES, type Source, type Sources } from "./sources";

const PLY =
  "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n1 2 3\n";

/** A source whose loads are answered by the test. */
class Held implements Source {
  readonly name = "points.ply";
  readonly size = null;
  readonly url = null;
  readonly linked = false;
  signals: AbortSignal[] = [];
  answer: (blob: Blob) => void = () => {};
  refuse: (error: unknown) => void = () => {};

  load(signal: AbortSignal): Promise<Blob> {
    this.signals.push(signal);
    return new Promise((resolve, reject) => {
      [this.answer, this.refuse] = [resolve, reject];
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  }
}

let source: Held;
let sources: Sources;
let told: (string | ViewerError)[];
let content: Content;

beforeEach(() => {
  source = new Held();
  sources = { ...NO_SOURCES, points: source };
  told = [];
  content = new Content({
    busy: (loading) => told.push(loading ? "busy" : "idle"),
    loaded: (kind: Kind) => told.push(kind),
    failed: (_, error) => told.push(error.code),
  });
  content.change(sources);
  told = [];
});

it("loads a file once, however often it is needed", async () => {
  const first = content.need("points");
  const second = content.need("points");
  source.answer(new Blob([PLY]));
  await Promise.all([first, second]);
  await content.need("points");
  expect(source.signals).toHaveLength(1);
  expect(told).toEqual(["busy", "points", "idle"]);
  expect([...content.get("points")!.positions]).toEqual([1, 2, 3]);
  expect(content.count("points")).toBe(1);
});

it("forgets what was read of an object that another has replaced meanwhile", async () => {
  const need = content.need("points");
  // Files are read after the load, and reading some takes a while too.
  const blob = new Blob([PLY]);
  const bytes = await blob.arrayBuffer();
  blob.arrayBuffer = async () => {
    queueMicrotask(() => queueMicrotask(() => content.change(NO_SOURCES)));
    return bytes;
  };
  source.answer(blob);
  await need;
  expect(content.get("points")).toBeNull();
  expect(told).not.toContain("points");
});

it("gives up what another object replaces, and says nothing of it", async () => {
  const need = content.need("points");
  content.change(NO_SOURCES);
  await need;
  expect(source.signals[0]!.aborted).toBe(true);
  expect(content.get("points")).toBeNull();
  expect(told).not.toContain("points");
  expect(told.at(-1)).toBe("idle");
});

it.each([
  [{ code: "expired", detail: "gone" }, "job_expired"],
  [{ code: "no_connection", detail: "off" }, "no_connection"],
  [new TypeError("x is not y"), "unreadable_file"],
])("says that %o means %s, and tries again only when asked", async (error, code) => {
  const need = content.need("points");
  source.refuse(error);
  await need;
  await content.need("points");
  expect(told).toEqual(["busy", code, "idle"]);
  const retry = content.retry("points");
  source.answer(new Blob([PLY]));
  await retry;
  expect(content.count("points")).toBe(1);
});

it("needs nothing of what there is no file for", async () => {
  await content.need("mesh");
  expect(told).toEqual([]);
});
