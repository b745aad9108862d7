import type { Artifact, Bozzetto, Job } from "bozzetto-client";
import { asViewerError, expired, isAbort, unreadable, ViewerError } from "./errors";
import { readGlb } from "./glb";
import { readPly } from "./ply";
import type { CloudShape, MeshShape } from "./shapes";

/** A file that can be had, and had again after a failure. */
export interface Source {
  name: string;
  /** Bytes, null where nobody said. */
  size: number | null;
  /** Absolute; null where it needs a key. */
  url: string | null;
  /** Whether a plain link downloads it: not from other servers, and not with a key. */
  linked: boolean;
  load(signal: AbortSignal): Promise<Blob>;
}

/** What one object consists of. */
export interface Sources {
  points: Source | null;
  mesh: Source | null;
  usdz: Source | null;
  downloads: Source[];
}

export const NO_SOURCES: Sources = { points: null, mesh: null, usdz: null, downloads: [] };

export function sourceOfUrl(
  address: string,
  apiKey: string | null,
  size: number | null = null,
): Source {
  const url = absolute(address, location.href);
  return {
    name: fileName(url),
    size,
    url: apiKey ? null : url.href,
    linked:
      !apiKey &&
      ["blob:", location.protocol].includes(url.protocol) &&
      url.origin === location.origin,
    load: (signal) => fetchFile(url.href, apiKey, signal),
  };
}

export function sourcesOfArtifacts(
  artifacts: readonly Artifact[],
  server: string,
  apiKey: string | null,
): Sources {
  const base = absolute(server, location.href);
  return chosen(
    artifacts.map(({ name, url, bytes }) => ({
      ...sourceOfUrl(absolute(url, base).href, apiKey, bytes),
      name,
    })),
  );
}

/** @param apiKey only to know whether there is one: the client sends its own. */
export function sourcesOfJob(job: Job, client: Bozzetto, apiKey: string | null): Sources {
  return chosen(
    job.artifacts.map(({ name, bytes, url }) => ({
      name,
      size: bytes,
      url: apiKey ? null : client.url(url),
      linked: false,
      load: (signal: AbortSignal) => client.download(job, name, { signal }),
    })),
  );
}

/** Throws ViewerError `bad_address`. */
function absolute(address: string, base: URL | string): URL {
  if (URL.canParse(address, base)) return new URL(address, base);
  throw new ViewerError("bad_address", `"${address}" is no address.`, false);
}

function fileName({ pathname }: URL): string {
  const name = pathname.split("/").pop() || "file";
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // a per cent sign that stands for itself
  }
}

function chosen(downloads: Source[]): Sources {
  const first = (...names: string[]) =>
    names.map((name) => downloads.find((source) => source.name === name)).find(Boolean) ?? null;
  return {
    points: first("points.ply", "points.glb"),
    mesh: first("mesh.glb"),
    usdz: first("mesh.usdz"),
    downloads,
  };
}

async function fetchFile(url: string, apiKey: string | null, signal: AbortSignal): Promise<Blob> {
  let response: Response;
  try {
    response = await fetch(url, {
      signal,
      headers: apiKey ? { Authorization: `Bearer ${apiKey}` } : {},
    });
    if (response.ok) return await response.blob();
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ViewerError("no_connection", "The server cannot be reached.", true);
  }
  const { status } = response;
  if (status === 410) throw expired();
  const detail =
    status === 404 ? "The file is not there (404)." : `The server answered with ${status}.`;
  throw new ViewerError(`http_${status}`, detail, status >= 500 || status === 429);
}

/** Throws ViewerError, or AbortError. */
export async function loadCloud(source: Source, signal: AbortSignal): Promise<CloudShape> {
  const bytes = await load(source, signal);
  if (new DataView(bytes).byteLength >= 4 && isGlb(bytes)) {
    const { cloud } = await readGlb(bytes);
    if (!cloud) throw unreadable("The file has no points.");
    return cloud;
  }
  return readPly(bytes);
}

/** Throws ViewerError, or AbortError. */
export async function loadMesh(source: Source, signal: AbortSignal): Promise<MeshShape> {
  const { mesh } = await readGlb(await load(source, signal));
  if (!mesh) throw unreadable("The file has no triangles.");
  return mesh;
}

async function load(source: Source, signal: AbortSignal): Promise<ArrayBuffer> {
  try {
    const bytes = await (await source.load(signal)).arrayBuffer();
    signal.throwIfAborted();
    return bytes;
  } catch (error) {
    throw isAbort(error) ? error : asViewerError(error);
  }
}

function isGlb(bytes: ArrayBuffer): boolean {
  return new DataView(bytes).getUint32(0, true) === 0x46546c67;
}
