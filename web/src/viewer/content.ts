import { asViewerError, isAbort, type ViewerError } from "./errors";
import { decodeImages } from "./mesh_object";
import { countPoints, countTriangles, type CloudShape, type Kind, type MeshShape } from "./shapes";
import { loadCloud, loadMesh, NO_SOURCES, type Sources } from "./sources";

export interface Loaded {
  points: CloudShape;
  mesh: { shape: MeshShape; images: (ImageBitmap | null)[] };
}

export interface Watcher {
  busy(loading: boolean): void;
  loaded(kind: Kind): void;
  failed(kind: Kind, error: ViewerError): void;
}

/** The files of one object and what has been read of them. */
export class Content {
  sources: Sources = NO_SOURCES;
  readonly #have: Partial<Loaded> = {};
  readonly #loads = new Map<Kind, { abort: AbortController; done: Promise<void> }>();
  readonly #failed = new Set<Kind>();

  constructor(private readonly watcher: Watcher) {}

  /** Another object, or none: what was being loaded is given up, what was read is forgotten. */
  change(sources: Sources): void {
    this.sources = sources;
    for (const { abort } of this.#loads.values()) abort.abort();
    this.#loads.clear();
    this.#failed.clear();
    delete this.#have.points;
    delete this.#have.mesh;
    this.watcher.busy(false);
  }

  get<K extends Kind>(kind: K): Loaded[K] | null {
    return (this.#have[kind] as Loaded[K] | undefined) ?? null;
  }

  /** Points or triangles; 0 while they are not there. */
  count(kind: Kind): number {
    const { points, mesh } = this.#have;
    if (kind === "points") return points ? countPoints(points) : 0;
    return mesh ? countTriangles(mesh.shape) : 0;
  }

  /** Loads the file unless that was or is being done, or has failed; failures go to the watcher. */
  async need(kind: Kind): Promise<void> {
    if (this.#have[kind] || !this.sources[kind] || this.#failed.has(kind)) return;
    const running = this.#loads.get(kind);
    if (running) return running.done;
    const abort = new AbortController();
    const done = this.#load(kind, abort.signal).finally(() => {
      if (this.#loads.get(kind)?.abort === abort) this.#loads.delete(kind);
      this.watcher.busy(this.#loads.size > 0);
    });
    this.#loads.set(kind, { abort, done });
    this.watcher.busy(true);
    return done;
  }

  async retry(kind: Kind): Promise<void> {
    this.#failed.delete(kind);
    return this.need(kind);
  }

  async #load(kind: Kind, signal: AbortSignal): Promise<void> {
    const source = this.sources[kind]!;
    try {
      if (kind === "points") {
        const cloud = await loadCloud(source, signal);
        signal.throwIfAborted();
        this.#have.points = cloud;
      } else {
        const shape = await loadMesh(source, signal);
        const images = await decodeImages(shape);
        signal.throwIfAborted();
        this.#have.mesh = { shape, images };
      }
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      this.#failed.add(kind);
      this.watcher.failed(kind, asViewerError(error));
      return;
    }
    this.watcher.loaded(kind);
  }
}
