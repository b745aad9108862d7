// Server-sent events, as the HTML standard says: https://html.spec.whatwg.org/#event-stream-interpretation

import { decodeCloud, type CloudData } from "./cloud.js";
import { ConnectionError, isAbort } from "./errors.js";
import type { JobEvent, JobState, Progress } from "./types.js";

export interface ServerEvent {
  id: string | null;
  kind: string;
  data: string;
}

// The server sends a comment after 15 quiet seconds, so this much silence is a dead connection.
export const SILENCE_MS = 45_000;

/**
 * Throws ConnectionError when nothing comes for `silenceMs`; calls `alive` for all that comes,
 * comments too. Leaving the loop closes the stream.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  { silenceMs = SILENCE_MS, alive }: { silenceMs?: number; alive?: () => void } = {},
): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await read(reader, silenceMs);
      if (done) return;
      alive?.();
      text += decoder.decode(value, { stream: true });
      // A CR at the very end may be half of a CRLF: it waits for what follows.
      const blocks = text.split(/(?:\r\n|\n|\r(?!\n|$)){2}/);
      text = blocks.pop()!;
      for (const block of blocks) {
        const event = parseEvent(block);
        if (event) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function parseEvent(block: string): ServerEvent | null {
  const event: ServerEvent = { id: null, kind: "message", data: "" };
  const data: string[] = [];
  for (const line of block.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const content = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "id") event.id = content;
    else if (name === "event") event.kind = content;
    else if (name === "data") data.push(content);
  }
  event.data = data.join("\n");
  return data.length > 0 ? event : null;
}

/** Null for kinds that a later server may send. */
export function jobEventOf({ id, kind, data }: ServerEvent): JobEvent | null {
  switch (kind) {
    case "state":
    case "done":
      return { kind, id, state: (JSON.parse(data) as { state: JobState }).state };
    case "progress":
      return { kind, id, progress: JSON.parse(data) as Progress };
    case "cloud":
      return { kind, id: null, cloud: decodeCloud(JSON.parse(data) as CloudData) };
    default:
      return null;
  }
}

type Chunk = ReadableStreamReadResult<Uint8Array>;

async function read(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  silenceMs: number,
): Promise<Chunk> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("nothing came for too long")), silenceMs);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ConnectionError("The connection to the job's events was lost.", { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
