import type { Lighting } from "./materials";
import type { Kind } from "./shapes";

export const LIGHTINGS: readonly Lighting[] = ["studio", "soft", "flat", "normals"];
const CONTROLS = ["full", "minimal", "none"] as const;
export const MIN_POINT_SIZE = 0.4;
export const MAX_POINT_SIZE = 2.5;

export type ControlSet = (typeof CONTROLS)[number];

/** The attributes of `<bozzetto-viewer>` as properties; values that make no sense count as absent. */
export class ViewerAttributes extends HTMLElement {
  /** URL of a PLY or GLB file with points. */
  get points(): string | null {
    return this.getAttribute("points");
  }
  set points(url: string | null) {
    this.#put("points", url);
  }

  /** URL of a GLB file with triangles. */
  get mesh(): string | null {
    return this.getAttribute("mesh");
  }
  set mesh(url: string | null) {
    this.#put("mesh", url);
  }

  /** URL of a USDZ file, for Quick Look. */
  get usdz(): string | null {
    return this.getAttribute("usdz");
  }
  set usdz(url: string | null) {
    this.#put("usdz", url);
  }

  /** What is preferred; the other one where there is no such file. */
  get show(): Kind {
    return this.getAttribute("show") === "points" ? "points" : "mesh";
  }
  set show(kind: Kind) {
    this.#put("show", kind);
  }

  /** 1 just closes the surface. */
  get pointSize(): number {
    const size = Number.parseFloat(this.getAttribute("point-size") ?? "");
    return size > 0 ? Math.min(Math.max(size, MIN_POINT_SIZE), MAX_POINT_SIZE) : 1;
  }
  set pointSize(size: number) {
    this.#put("point-size", String(size));
  }

  get lighting(): Lighting {
    return this.#choice("lighting", LIGHTINGS, "studio");
  }
  set lighting(lighting: Lighting) {
    this.#put("lighting", lighting);
  }

  get wireframe(): boolean {
    return this.hasAttribute("wireframe");
  }
  set wireframe(shown: boolean) {
    this.toggleAttribute("wireframe", shown);
  }

  get turntable(): boolean {
    return this.hasAttribute("turntable");
  }
  set turntable(turning: boolean) {
    this.toggleAttribute("turntable", turning);
  }

  /** Accessible name of the picture. */
  get label(): string {
    return this.getAttribute("label") || "3D object";
  }
  set label(label: string) {
    this.#put("label", label);
  }

  get apiKey(): string | null {
    return this.getAttribute("api-key") || null;
  }
  set apiKey(key: string | null) {
    this.#put("api-key", key);
  }

  /** Where paths in `artifacts` lead to. */
  get server(): string {
    return this.getAttribute("server") ?? "";
  }
  set server(server: string) {
    this.#put("server", server);
  }

  get controls(): ControlSet {
    return this.#choice("controls", CONTROLS, "full");
  }
  set controls(controls: ControlSet) {
    this.#put("controls", controls);
  }

  get noDownloads(): boolean {
    return this.hasAttribute("no-downloads");
  }
  set noDownloads(none: boolean) {
    this.toggleAttribute("no-downloads", none);
  }

  /** URL of a picture for as long as there is no object, or no WebGL. */
  get poster(): string | null {
    return this.getAttribute("poster");
  }
  set poster(url: string | null) {
    this.#put("poster", url);
  }

  #put(name: string, value: string | null): void {
    if (value === null) this.removeAttribute(name);
    else this.setAttribute(name, value);
  }

  #choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    return choices.find((choice) => choice === this.getAttribute(name)) ?? fallback;
  }
}
