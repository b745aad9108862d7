// The HTTP API: requests with the key where one is set, problems as errors, events with replay.

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || `the service answered ${status}`);
    this.status = status;
    this.title = body.title || "Something went wrong";
    this.hint = body.hint;
    this.code = body.code;
  }
}

let key = sessionStorage.getItem("bozzetto-key") || "";

export function setKey(text) {
  key = text.trim();
  sessionStorage.setItem("bozzetto-key", key);
}

export const hasKey = () => key !== "";

export async function call(path, options = {}) {
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { title: "No connection", detail: "The service does not answer.", hint: "Is it running?" });
  }
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
  return response;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls `tell(event)` for each event of a job until `done`; comes back after lost connections. */
export async function follow(url, tell, signal) {
  let last = null;
  for (let failures = 0; failures < 10 && !signal.aborted; failures++) {
    try {
      const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
      const response = await call(url, { headers, signal });
      for await (const event of readEvents(response.body)) {
        failures = 0;
        if (event.id) last = event.id;
        if (event.kind) tell(event);
        if (event.kind === "done") return;
      }
    } catch (error) {
      if (error.name === "AbortError" || (error.status >= 400 && error.status < 500)) throw error;
    }
    await pause(Math.min(500 * 2 ** failures, 8000));
  }
}

async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const event = { id: null, kind: null, data: null };
      for (const line of text.slice(0, end).split("\n")) {
        const colon = line.indexOf(": ");
        const name = line.slice(0, colon), content = line.slice(colon + 2);
        if (name === "id") event.id = content;
        if (name === "event") event.kind = content;
        if (name === "data") event.data = JSON.parse(content);
      }
      yield event;
    }
  }
}
