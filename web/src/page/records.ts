// What this browser remembers of its jobs: an id, a few words and a small picture each. The
// objects themselves stay on the server for as long as it keeps them.

import type { Job, JobState } from "bozzetto-client";

/** `gone`: the server has forgotten it, or its time of keeping is over. */
export type RecordState = JobState | "gone";

export interface JobRecord {
  id: string;
  model: string;
  state: RecordState;
  /** Milliseconds since 1970; null while the job has not ended. */
  expires: number | null;
  created: number;
  /** Of the picture: jobs of one picture can be compared. */
  sha256: string;
  /** data: URL of at most a few kB. */
  thumbnail: string | null;
}

const KEY = "bozzetto-history";
export const LIMIT = 50;
const ID = /^[0-9a-f]{32}$/;

/** The part of `Storage` that is needed; null where the browser allows none. */
export type Shelf = Pick<Storage, "getItem" | "setItem" | "removeItem"> | null;

/** null where the browser keeps nothing for this page. */
export function localShelf(): Shelf {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

/** Newest first. Every write goes through to the shelf, or stays in memory where that fails. */
export class JobRecords extends EventTarget {
  private records: JobRecord[];

  constructor(
    private readonly shelf: Shelf,
    private readonly limit = LIMIT,
  ) {
    super();
    this.records = this.read();
  }

  /** Expired ones are marked as such at the moment of asking. */
  list(now = Date.now()): readonly JobRecord[] {
    return this.records.map((record) =>
      record.expires !== null && record.expires <= now ? { ...record, state: "gone" } : record,
    );
  }

  get(id: string): JobRecord | undefined {
    return this.list().find((record) => record.id === id);
  }

  /** Adds the job, or brings its line up to date. */
  keep(job: Job): void {
    const before = this.records.find((record) => record.id === job.id);
    const record: JobRecord = {
      id: job.id,
      model: job.model,
      state: job.status,
      created: Date.parse(job.created_at),
      expires: job.expires_at === null ? null : Date.parse(job.expires_at),
      sha256: job.input.sha256,
      thumbnail: before?.thumbnail ?? null,
    };
    if (before) this.records = this.records.map((other) => (other === before ? record : other));
    else this.records = [record, ...this.records].slice(0, this.limit);
    this.write();
  }

  picture(id: string, thumbnail: string | null): void {
    if (thumbnail !== null) this.change(id, { thumbnail });
  }

  markGone(id: string): void {
    this.change(id, { state: "gone" });
  }

  forget(...ids: readonly string[]): void {
    this.records = this.records.filter((record) => !ids.includes(record.id));
    this.write();
  }

  /** Another tab has written. */
  reload(): void {
    this.records = this.read();
    this.dispatchEvent(new Event("change"));
  }

  private change(id: string, changes: Partial<JobRecord>): void {
    this.records = this.records.map((one) => (one.id === id ? { ...one, ...changes } : one));
    this.write();
  }

  private read(): JobRecord[] {
    try {
      const stored: unknown = JSON.parse(this.shelf?.getItem(KEY) ?? "[]");
      return Array.isArray(stored) ? stored.filter(isRecord).slice(0, this.limit) : [];
    } catch {
      return [];
    }
  }

  private write(): void {
    for (let kept = this.records; ; kept = lighter(kept)) {
      if (this.put(kept) || kept.length === 0) break;
    }
    this.dispatchEvent(new Event("change"));
  }

  private put(records: readonly JobRecord[]): boolean {
    try {
      if (records.length > 0) this.shelf?.setItem(KEY, JSON.stringify(records));
      else this.shelf?.removeItem(KEY);
      return true;
    } catch {
      return false; // no room
    }
  }
}

/** Pictures go first, from the oldest on, then lines. */
function lighter(records: readonly JobRecord[]): JobRecord[] {
  const heavy = records.findLastIndex((record) => record.thumbnail !== null);
  if (heavy < 0) return records.slice(0, -1);
  return records.map((record, i) => (i === heavy ? { ...record, thumbnail: null } : record));
}

function isRecord(value: unknown): value is JobRecord {
  if (typeof value !== "object" || value === null) return false;
  const record = value as Partial<Record<keyof JobRecord, unknown>>;
  return (
    typeof record.id === "string" &&
    ID.test(record.id) &&
    typeof record.model === "string" &&
    typeof record.state === "string" &&
    typeof record.created === "number" &&
    typeof record.sha256 === "string" &&
    (record.expires === null || typeof record.expires === "number") &&
    (record.thumbnail === null ||
      (typeof record.thumbnail === "string" && record.thumbnail.startsWith("data:image/")))
  );
}
