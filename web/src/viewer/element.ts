import type { Artifact, Bozzetto, Cloud, Job } from "bozzetto-client";
import { emit, h } from "../shared/dom";
import { sheet, THEME } from "../shared/theme";
import { arWay, openAr } from "./ar";
import { ViewerAttributes } from "./attributes";
import { Content } from "./content";
import { Controls } from "./controls";
import { countWords, describe } from "./describe";
import { asViewerError, type ViewerError } from "./errors";
import { listen } from "./gestures";
import { keyAction } from "./keys";
import { Message } from "./message";
import { readPose, writePose, START } from "./pose";
import { saveBlob } from "./save";
import type { Kind } from "./shapes";
import {
  NO_SOURCES,
  sourceOfUrl,
  sourcesOfArtifacts,
  sourcesOfJob,
  type Source,
  type Sources,
} from "./sources";
import { Stage } from "./stage";
import { STYLES } from "./styles";

const FILES = ["points", "mesh", "usdz"];
const KEYS = ["server", "api-key"];
const LOOKS = [
  "show",
  "point-size",
  "lighting",
  "wireframe",
  "turntable",
  "label",
  "controls",
  "no-downloads",
  "poster",
];
const DESCRIBE_AFTER_MS = 600;

let styles: CSSStyleSheet | null = null;

/**
 * `<bozzetto-viewer>`: an object in 3D, to be turned, switched, lit, saved and put into a room.
 *
 * Fires `bozzetto-load` {kind, points | faces}, `bozzetto-error` {code, detail} and, when a person
 * or the turntable moves the camera, `bozzetto-camera` {camera}.
 */
export class BozzettoViewer extends ViewerAttributes {
  static readonly observedAttributes = [...FILES, ...KEYS, ...LOOKS];

  readonly #place = h("div", { class: "place" });
  readonly #poster = h("img", { class: "poster", alt: "", hidden: true });
  readonly #note = h("p", { class: "note", hidden: true });
  readonly #busy = h("div", { class: "busy", hidden: true });
  readonly #empty = h(
    "div",
    { class: "empty" },
    h("slot", { name: "empty" }, "The object appears here."),
  );
  readonly #message = new Message();
  readonly #spoken = h("p", { id: "spoken", class: "visually-hidden", role: "status" });
  readonly #controls = new Controls(this);
  readonly #calm = matchMedia("(prefers-reduced-motion: reduce)");
  readonly #content = new Content({
    busy: (loading) => (this.#busy.hidden = !loading),
    loaded: (kind) => this.#arrived(kind),
    failed: (kind, error) => this.#failed(kind, error),
  });

  #canvas: HTMLCanvasElement | null = null;
  #stage: Stage | null = null;
  #noStage: ViewerError | null = null;
  #forming: Cloud | null = null;
  #pose = START;
  #filesPlanned = false;
  #artifacts: readonly Artifact[] = [];
  /** Where the files come from; `calls` are showJob, showCloud and clear. */
  #origin: "attributes" | "artifacts" | "calls" = "attributes";
  #describing = 0;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [(styles ??= sheet(THEME, STYLES))];
    root.append(this.#place, this.#poster, this.#empty, this.#note, this.#busy);
    root.append(this.#message.element, this.#controls.element, this.#spoken);
    root.addEventListener("keydown", (event) => {
      if ((event as KeyboardEvent).key !== "Escape" || !this.#controls.closePanels()) return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  connectedCallback(): void {
    this.#adopt();
    if (!this.#stage) this.#begin();
    this.#calm.addEventListener("change", this.#update);
    document.addEventListener("pointerdown", this.#pressed);
    this.#update();
  }

  disconnectedCallback(): void {
    this.#calm.removeEventListener("change", this.#update);
    document.removeEventListener("pointerdown", this.#pressed);
    // An element that is only moved comes back before this runs.
    queueMicrotask(() => {
      if (!this.isConnected) this.#end();
    });
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after) return;
    if (FILES.includes(name)) this.#origin = "attributes";
    if (FILES.includes(name) || KEYS.includes(name)) this.#planFiles();
    else this.#update();
  }

  /** Files of a job, their paths on `server`: what is shown, and the download menu. */
  get artifacts(): readonly Artifact[] {
    return this.#artifacts;
  }

  set artifacts(artifacts: readonly Artifact[]) {
    [this.#artifacts, this.#origin] = [artifacts, "artifacts"];
    this.#planFiles();
  }

  /** The result of a job; what formed before it stays until then, and so does the camera. */
  async showJob(job: Job, client: Bozzetto): Promise<void> {
    this.#origin = "calls";
    this.#change(sourcesOfJob(job, client, this.apiKey));
    await this.#content.need(this.#wanted());
  }

  /** A guess on the way to an object. */
  showCloud(cloud: Cloud): void {
    if (this.#content.sources !== NO_SOURCES || !this.#forming) this.clear();
    this.#forming = cloud;
    this.#stage?.setCloud({ ...cloud, normals: null }, true);
    this.#stage?.show("points");
    this.#update();
  }

  clear(): void {
    this.#origin = "calls";
    this.#forming = null;
    this.#message.hide();
    this.#content.change(NO_SOURCES);
    this.#stage?.drop("points");
    this.#stage?.drop("mesh");
    this.#update();
  }

  resetCamera(): void {
    this.#stage?.orbit.reset();
    this.#stage?.redraw();
  }

  /** A PNG of what is seen, without the background. */
  async screenshot(): Promise<Blob> {
    if (!this.#stage) throw this.#noStage ?? asViewerError("The viewer is not in a page.");
    return this.#stage.picture();
  }

  /** Where the camera stands: equal for viewers that show the same side, whatever their size. */
  get camera(): string {
    return writePose(this.#stage?.orbit.now ?? this.#pose);
  }

  set camera(text: string) {
    const pose = readPose(text);
    if (!pose) return;
    this.#pose = pose;
    this.#stage?.orbit.place(pose);
    this.#stage?.redraw();
  }

  /**
   * Seconds that so many frames in motion take, for benchmarks.
   *
   * @param adaptive draws as much as the machine can do smoothly, as in motion; else everything.
   */
  async renderFrames(count: number, adaptive = false): Promise<number> {
    if (!this.#stage) throw this.#noStage ?? asViewerError("The viewer is not in a page.");
    return this.#stage.time(count, adaptive);
  }

  /** Whether the person asked for less motion. */
  get still(): boolean {
    return this.#calm.matches;
  }

  get drawable(): boolean {
    return this.#noStage === null;
  }

  showHelp(): void {
    this.#controls.help();
  }

  async saveScreenshot(): Promise<void> {
    await this.#try(async () => saveBlob(await this.screenshot(), "bozzetto.png"));
  }

  async save(source: Source): Promise<void> {
    await this.#try(async () => {
      this.#busy.hidden = false;
      saveBlob(await source.load(new AbortController().signal), source.name);
    });
    this.#busy.hidden = true;
  }

  async openAr(): Promise<void> {
    const { sources } = this.#content;
    const way = arWay(sources);
    if (way) await this.#try(() => openAr(way, sources, this.label));
  }

  async toggleFullscreen(): Promise<void> {
    if (!document.fullscreenEnabled) return;
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.requestFullscreen();
  }

  /** What was set before the script had come hides the accessors of the class. */
  #adopt(): void {
    for (const [name, value] of Object.entries(this)) {
      if (!(name in BozzettoViewer.prototype)) continue;
      Reflect.deleteProperty(this, name);
      Reflect.set(this, name, value);
    }
  }

  #begin(): void {
    const canvas = h("canvas", {
      tabindex: 0,
      role: "application",
      "aria-roledescription": "3D view",
      "aria-describedby": "spoken",
    });
    this.#place.replaceChildren(canvas);
    try {
      const stage = new Stage(canvas);
      stage.orbit.place(this.#pose);
      stage.onmove = () => this.#moved();
      stage.onlost = (lost) => (this.#busy.hidden = !lost);
      listen(
        canvas,
        stage.orbit,
        () => stage.redraw(),
        () => this.resetCamera(),
      );
      canvas.addEventListener("keydown", (event) => {
        const action = keyAction(event, this, stage.orbit);
        if (!action) return;
        event.preventDefault();
        action();
        stage.redraw();
        this.#describeSoon();
      });
      [this.#canvas, this.#stage, this.#noStage] = [canvas, stage, null];
    } catch (error) {
      this.#place.replaceChildren();
      this.#noStage = asViewerError(error);
      this.#fail(this.#noStage, null);
      return;
    }
    if (this.#forming) this.#stage.setCloud({ ...this.#forming, normals: null }, true);
    for (const kind of ["points", "mesh"] as const) this.#put(kind);
  }

  #end(): void {
    this.#pose = this.#stage?.orbit.now ?? this.#pose;
    this.#stage?.dispose();
    this.#place.replaceChildren();
    [this.#stage, this.#canvas] = [null, null];
  }

  /** Attributes are often set one after the other; they are read once. */
  #planFiles(): void {
    if (this.#filesPlanned) return;
    this.#filesPlanned = true;
    queueMicrotask(() => {
      this.#filesPlanned = false;
      if (this.#origin === "calls") return;
      try {
        this.#change(this.#sourcesNamed());
      } catch (error) {
        this.#change(NO_SOURCES);
        this.#fail(asViewerError(error), null);
      }
    });
  }

  #sourcesNamed(): Sources {
    if (this.#origin === "attributes") return this.#sourcesOfAttributes();
    return sourcesOfArtifacts(this.#artifacts, this.server, this.apiKey);
  }

  #sourcesOfAttributes(): Sources {
    const source = (url: string | null) => (url ? sourceOfUrl(url, this.apiKey) : null);
    const [points, mesh, usdz] = [source(this.points), source(this.mesh), source(this.usdz)];
    return { points, mesh, usdz, downloads: [points, mesh, usdz].filter((one) => one !== null) };
  }

  #change(sources: Sources): void {
    this.#message.hide();
    this.#content.change(sources);
    if (!sources.points && !this.#forming) this.#stage?.drop("points");
    if (!sources.mesh) this.#stage?.drop("mesh");
    if (this.#noStage) this.#fail(this.#noStage, null);
    this.#update();
  }

  /** Of what there are files, that which is preferred. */
  #wanted(): Kind {
    const { points, mesh } = this.#content.sources;
    if (this.show === "mesh") return mesh || !points ? "mesh" : "points";
    return points || !mesh ? "points" : "mesh";
  }

  #arrived(kind: Kind): void {
    this.#message.hide();
    this.#dropOld(kind === "mesh" ? "points" : "mesh");
    this.#put(kind);
    this.#forming = null;
    this.#update();
    const count = this.#content.count(kind);
    emit(
      this,
      "bozzetto-load",
      kind === "points" ? { kind, points: count } : { kind, faces: count },
    );
    this.#describeSoon();
  }

  #failed(kind: Kind, error: ViewerError): void {
    this.#dropOld(kind);
    this.#fail(error, () => void this.#content.retry(kind));
  }

  /** What is still there of the object before, unless it was a guess at this one. */
  #dropOld(kind: Kind): void {
    if (this.#content.get(kind) || (kind === "points" && this.#forming)) return;
    this.#stage?.drop(kind);
  }

  #put(kind: Kind): void {
    const points = this.#content.get("points");
    const mesh = this.#content.get("mesh");
    if (kind === "points" && points) this.#stage?.setCloud(points, false);
    if (kind === "mesh" && mesh) this.#stage?.setMesh(mesh.shape, mesh.images);
    if (kind === this.#wanted()) this.#stage?.show(kind);
  }

  #fail(error: ViewerError, retry: (() => void) | null): void {
    const again = () => {
      this.#canvas?.focus();
      retry?.();
    };
    const useful = retry !== null && error.code !== "job_expired";
    this.#message.show(error, useful ? again : null, this.#shown() !== null);
    this.#update();
    emit(this, "bozzetto-error", { code: error.code, detail: error.detail });
  }

  async #try(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#fail(asViewerError(error), () => void this.#try(action));
    }
  }

  /** Brings stage and controls in line with attributes and files. */
  readonly #update = (): void => {
    if (!this.isConnected) return;
    const stage = this.#stage;
    const wanted = this.#wanted();
    const { sources } = this.#content;
    if (stage) {
      void this.#content.need(wanted);
      if (this.#content.get(wanted)) stage.show(wanted);
      stage.pointSize = this.pointSize;
      stage.lighting = this.lighting;
      stage.wireframe = this.wireframe;
      stage.orbit.turntable = this.turntable;
      stage.orbit.still = this.still;
    }
    const shown = this.#shown();
    this.#empty.hidden =
      shown !== null || sources !== NO_SOURCES || this.#message.shown || this.poster !== null;
    this.#poster.hidden = shown !== null || this.poster === null;
    if (this.poster !== null && this.#poster.getAttribute("src") !== this.poster) {
      this.#poster.src = this.poster;
    }
    this.#canvas?.setAttribute("aria-label", this.label);
    this.#note.hidden = shown === null || this.controls === "none";
    const forming = shown === "points" && !this.#content.get("points") ? this.#forming : null;
    this.#note.classList.toggle("forming", forming !== null);
    this.#note.textContent = forming
      ? `Taking shape, step ${forming.step}`
      : shown && countWords(shown, this.#content.count(shown));
    this.#controls.element.className = `controls ${this.controls}`;
    this.#controls.element.hidden = this.controls === "none";
    this.#controls.update(sources, shown, !this.noDownloads);
    if (stage) {
      stage.inset = shown && !this.#controls.element.hidden ? this.#controls.inset : 0;
      stage.redraw();
    }
  };

  /** What is on the screen now. */
  #shown(): Kind | null {
    if (!this.#stage) return null;
    const wanted = this.#wanted();
    if (this.#content.get(wanted)) return wanted;
    const other = wanted === "mesh" ? "points" : "mesh";
    if (this.#content.get(other)) return other;
    return this.#forming ? "points" : null;
  }

  #moved(): void {
    emit(this, "bozzetto-camera", { camera: this.camera });
  }

  /** Told to screen readers once the camera rests. */
  #describeSoon(): void {
    clearTimeout(this.#describing);
    this.#describing = window.setTimeout(() => {
      const shown = this.#shown();
      if (!shown || !this.#stage) return;
      this.#spoken.textContent = describe(shown, this.#content.count(shown), this.#stage.orbit.now);
    }, DESCRIBE_AFTER_MS);
  }

  readonly #pressed = (event: Event): void => {
    const path = event.composedPath();
    if (!path.includes(this.#controls.element)) this.#controls.closePanels();
  };
}
