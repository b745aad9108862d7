// Programs that do what is on screen, to be copied.

import type { Job, Model, SubmitParams } from "bozzetto-client";

export type Language = "curl" | "python" | "javascript" | "html";

export interface Request {
  /** Origin of the server, without a slash at the end. */
  server: string;
  /** File name of the picture. */
  picture: string;
  model: string | null;
  outputs: readonly string[];
  /** What differs from the defaults. */
  params: Readonly<Record<string, string | number>>;
  /** The server wants a key. */
  keyed: boolean;
  /** Id of a finished job with a mesh, to be shown in a page. */
  shown: string | null;
}

export const LANGUAGES: readonly { id: Language; title: string; note: string }[] = [
  { id: "curl", title: "curl", note: "Needs nothing but a shell." },
  {
    id: "python",
    title: "Python",
    note: "The client is in clients/python of the repository: pip install ./clients/python",
  },
  {
    id: "javascript",
    title: "JavaScript",
    note: "Runs in Node 20; in a page, send the File of an input. The client is in clients/javascript.",
  },
  { id: "html", title: "HTML", note: "The elements of this page, in a page of yours." },
];

const PLACEHOLDER = "YOUR_API_KEY";
/** What the service takes for fields that are no parameter of a model. */
const SERVICE_DEFAULTS: Readonly<Record<string, unknown>> = {
  remove_background: "auto",
  priority: "normal",
  compression: "none",
};
const SEPARATE = new Set(["model", "outputs", "metadata"]);
/** Names that need no quoting anywhere; others are replaced. */
const PLAIN_NAME = /^\w[\w .-]{0,80}\.(?:png|jpe?g|webp)$/i;

/** The fields whose values differ from the defaults of the service and of this model. */
export function differing(
  params: Readonly<Record<string, unknown>>,
  card: Model | undefined,
): Record<string, string | number> {
  const defaults: Record<string, unknown> = { ...SERVICE_DEFAULTS };
  for (const { name, default: value } of card?.parameters ?? []) defaults[name] = value;
  const kept: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(params)) {
    if (SEPARATE.has(name) || value === defaults[name]) continue;
    if (typeof value === "string" || typeof value === "number") kept[name] = value;
  }
  return kept;
}

/** The request that gives this very job again, seed included. */
export function requestOfJob(job: Job, card: Model | undefined, base: RequestBase): Request {
  const outputs = job.params["outputs"];
  return {
    ...base,
    model: job.model,
    outputs: Array.isArray(outputs) ? outputs.map(String) : [],
    params: differing(job.params, card),
    shown: job.artifacts.some(({ name }) => name === "mesh.glb") ? job.id : null,
  };
}

/** The request that the form would send now. */
export function requestOfForm(
  params: SubmitParams,
  card: Model | undefined,
  base: RequestBase,
): Request {
  const outputs = params.outputs ?? card?.default_outputs ?? [];
  return {
    ...base,
    model: params.model ?? card?.id ?? null,
    outputs: typeof outputs === "string" ? outputs.split(",").filter(Boolean) : outputs,
    params: differing(params, card),
    shown: null,
  };
}

export type RequestBase = Pick<Request, "server" | "picture" | "keyed">;

export function pictureName(blob: Blob | null): string {
  const name = blob && "name" in blob ? String(blob.name) : "";
  if (PLAIN_NAME.test(name)) return name;
  const kind = blob?.type.split("/")[1] ?? "png";
  return `picture.${kind === "jpeg" ? "jpg" : kind}`;
}

export function snippet(language: Language, request: Request): string {
  return WRITERS[language](request);
}

const WRITERS: Readonly<Record<Language, (request: Request) => string>> = {
  curl: writeCurl,
  python: writePython,
  javascript: writeJavaScript,
  html: writeHtml,
};

function fields(request: Request): [string, string | number][] {
  const model: [string, string][] = request.model === null ? [] : [["model", request.model]];
  return [...model, ...Object.entries(request.params)];
}

function writeCurl(request: Request): string {
  const key = request.keyed ? `-H ${shell(`Authorization: Bearer ${PLACEHOLDER}`)}` : "";
  const lines = [
    "job=$(curl -sS --fail-with-body -H 'Prefer: wait=60'",
    key,
    `-F ${shell(`image=@${request.picture}`)}`,
    ...fields(request).map(([name, value]) => `-F ${shell(`${name}=${value}`)}`),
    request.outputs.length > 0 ? `-F ${shell(`outputs=${request.outputs.join(",")}`)}` : "",
    `${shell(`${request.server}/reconstruct`)} | grep -oE '[0-9a-f]{32}' | head -n 1)`,
  ];
  const fetches = request.outputs.map((name) =>
    ["curl -sSfO", key, `"${request.server}/jobs/$job/artifacts/${name}"`]
      .filter(Boolean)
      .join(" "),
  );
  return [lines.filter(Boolean).join(" \\\n  "), ...fetches].join("\n");
}

function writePython(request: Request): string {
  const options = [
    JSON.stringify(request.picture),
    ...fields(request).map(([name, value]) => `${name}=${JSON.stringify(value)}`),
    `outputs=[${request.outputs.map((name) => JSON.stringify(name)).join(", ")}]`,
  ];
  const key = request.keyed ? `, api_key=${JSON.stringify(PLACEHOLDER)}` : "";
  return [
    "from bozzetto_client import Bozzetto",
    "",
    `client = Bozzetto(${JSON.stringify(request.server)}${key})`,
    "job = client.reconstruct(",
    ...options.map((option) => `    ${option},`),
    ")",
    ...request.outputs.map((name) => {
      const text = JSON.stringify(name);
      return `client.download(job, ${text}, ${text})`;
    }),
  ].join("\n");
}

function writeJavaScript(request: Request): string {
  const key = request.keyed ? `, apiKey: ${JSON.stringify(PLACEHOLDER)}` : "";
  return [
    'import { openAsBlob } from "node:fs";',
    'import { writeFile } from "node:fs/promises";',
    'import { Bozzetto } from "bozzetto-client";',
    "",
    `const client = new Bozzetto({ server: ${JSON.stringify(request.server)}${key} });`,
    `const picture = await openAsBlob(${JSON.stringify(request.picture)});`,
    "const job = await client.reconstruct(picture, {",
    ...fields(request).map(([name, value]) => `  ${name}: ${JSON.stringify(value)},`),
    `  outputs: ${JSON.stringify(request.outputs).replaceAll(",", ", ")},`,
    "});",
    `for (const name of ${JSON.stringify(request.outputs).replaceAll(",", ", ")}) {`,
    "  const file = await client.download(job, name);",
    "  await writeFile(name, Buffer.from(await file.arrayBuffer()));",
    "}",
  ].join("\n");
}

function writeHtml(request: Request): string {
  const script = (name: string) =>
    `<script type="module" src="${request.server}/static/${name}.js"></script>`;
  if (request.shown !== null) {
    const files = `${request.server}/jobs/${request.shown}/artifacts`;
    return [
      script("bozzetto-viewer"),
      "<bozzetto-viewer",
      `  mesh="${files}/mesh.glb"`,
      ...(request.outputs.includes("points.ply") ? [`  points="${files}/points.ply"`] : []),
      "></bozzetto-viewer>",
    ].join("\n");
  }
  const model = request.model === null ? "" : ` model="${request.model}"`;
  return [
    script("bozzetto-viewer"),
    script("bozzetto-upload"),
    `<bozzetto-upload server="${request.server}"${model} for="object"></bozzetto-upload>`,
    '<bozzetto-viewer id="object"></bozzetto-viewer>',
  ].join("\n");
}

/** In single quotes, as POSIX shells read them. */
function shell(text: string): string {
  return /^[\w@=:/.,+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
