import { describe, expect, it } from "vitest";
import { JobRecords, type JobRecord, type Shelf } from "./records";
import { makeJob } from "./testing";

/** Like localStorage with room for `room` characters. */
class MemoryShelf {
  readonly values = new Map<string, string>();
  constructor(private readonly room = Infinity) {}
  getItem(key: string) {
    return this.values.get(key) ?? null;
  }
  setItem(key: string, value: string) {
    if (value.length > this.room) throw new DOMException("full", "QuotaExceededError");
    this.values.set(key, value);
  }
  removeItem(key: string) {
    this.values.delete(key);
  }
}

const id = (n: number) => n.toString(16).padStart(32, "0");
const picture = `data:image/webp;base64,${"A".repeat(400)}`;

describe("JobRecords", () => {
  it("survives a reload, newest first", () => {
    const shelf = new MemoryShelf();
    const records = new JobRecords(shelf);
    records.keep(makeJob({ id: id(1) }));
    records.picture(id(1), picture);
    records.keep(makeJob({ id: id(2), model: "draft" }));
    const again = new JobRecords(shelf).list();
    expect(again.map((record) => record.id)).toEqual([id(2), id(1)]);
    expect(again[1]?.thumbnail).toBe(picture);
  });

  it("brings a line up to date without losing its place or picture", () => {
    const records = new JobRecords(new MemoryShelf());
    records.keep(makeJob({ id: id(1), status: "running", expires_at: null }));
    records.picture(id(1), picture);
    records.keep(makeJob({ id: id(2) }));
    records.keep(makeJob({ id: id(1) }));
    const [, first] = records.list(0);
    expect(first).toMatchObject({ id: id(1), state: "succeeded", thumbnail: picture });
  });

  it("keeps the newest of too many", () => {
    const records = new JobRecords(new MemoryShelf(), 3);
    for (let n = 1; n <= 5; n++) records.keep(makeJob({ id: id(n) }));
    expect(records.list().map((record) => record.id)).toEqual([id(5), id(4), id(3)]);
  });

  it("calls a job gone once its time of keeping is over", () => {
    const records = new JobRecords(new MemoryShelf());
    records.keep(makeJob({ id: id(1), expires_at: "2026-01-01T00:00:10.000Z" }));
    const end = Date.parse("2026-01-01T00:00:10.000Z");
    expect(records.list(end - 1)[0]?.state).toBe("succeeded");
    expect(records.list(end)[0]?.state).toBe("gone");
  });

  it("gives up old pictures, then old lines, when there is no room", () => {
    const shelf = new MemoryShelf(1000);
    const records = new JobRecords(shelf);
    for (let n = 1; n <= 8; n++) {
      records.keep(makeJob({ id: id(n) }));
      records.picture(id(n), picture);
    }
    expect(records.list()).toHaveLength(8);
    const stored = new JobRecords(shelf).list();
    expect(stored.length).toBeGreaterThan(1);
    expect(stored.length).toBeLessThan(8);
    expect(stored[0]?.id).toBe(id(8));
  });

  it("forgets one, several, all", () => {
    const shelf = new MemoryShelf();
    const records = new JobRecords(shelf);
    for (let n = 1; n <= 4; n++) records.keep(makeJob({ id: id(n) }));
    records.forget(id(2));
    records.forget(id(1), id(4));
    expect(records.list().map((record) => record.id)).toEqual([id(3)]);
    records.forget(id(3));
    expect(shelf.values.size).toBe(0);
  });

  it.each<[string, string]>([
    ["no JSON", "{"],
    ["no list", '{"id": 3}'],
    ["lists of something else", '[null, 3, "x", {"id": "<script>"}]'],
    [
      "pictures from elsewhere",
      JSON.stringify([{ ...record(), thumbnail: "https://elsewhere.example/x.png" }]),
    ],
  ])("reads %s as an empty history", (_, text) => {
    const shelf = new MemoryShelf();
    shelf.values.set("bozzetto-history", text);
    expect(new JobRecords(shelf).list()).toEqual([]);
  });

  it("works without storage, for as long as the page is open", () => {
    const refusing: Shelf = {
      getItem: () => {
        throw new DOMException("denied", "SecurityError");
      },
      setItem: () => {
        throw new DOMException("denied", "SecurityError");
      },
      removeItem: () => undefined,
    };
    for (const shelf of [null, refusing]) {
      const records = new JobRecords(shelf);
      records.keep(makeJob({ id: id(1) }));
      expect(records.list()).toHaveLength(1);
    }
  });

  it("tells of every change", () => {
    const shelf = new MemoryShelf();
    const records = new JobRecords(shelf);
    let told = 0;
    records.addEventListener("change", () => told++);
    records.keep(makeJob({ id: id(1) }));
    records.markGone(id(1));
    records.forget(id(1));
    new JobRecords(shelf).keep(makeJob({ id: id(2) }));
    records.reload();
    expect(told).toBe(4);
    expect(records.list()[0]?.id).toBe(id(2));
  });
});

function record(): JobRecord {
  return {
    id: id(1),
    model: "draft",
    state: "succeeded",
    created: 0,
    expires: null,
    sha256: "",
    thumbnail: null,
  };
}
