import { h, icon } from "../shared/dom";
import { sizeWords } from "../shared/words";
import { arWay } from "./ar";
import { LIGHTINGS, MAX_POINT_SIZE, MIN_POINT_SIZE } from "./attributes";
import { ICONS } from "./icons";
import type { Lighting } from "./materials";
import { Panel } from "./panel";
import type { Kind } from "./shapes";
import type { Source, Sources } from "./sources";

/** What the controls show and change. */
export interface Controlled {
  show: Kind;
  lighting: Lighting;
  pointSize: number;
  wireframe: boolean;
  turntable: boolean;
  readonly still: boolean;
  /** Whether there is WebGL. */
  readonly drawable: boolean;
  resetCamera(): void;
  saveScreenshot(): Promise<void>;
  save(source: Source): Promise<void>;
  toggleFullscreen(): Promise<void>;
  openAr(): Promise<void>;
}

const LIGHTS: Record<Lighting, string> = {
  studio: "Studio",
  soft: "Soft",
  flat: "Flat",
  normals: "Normals",
};
const KEYS: [string, string][] = [
  ["← ↑ → ↓", "turn"],
  ["Shift + ← ↑ → ↓", "move"],
  ["+ −", "zoom"],
  ["0", "first view"],
  ["P", "points or mesh"],
  ["L", "next light"],
  ["W", "wireframe"],
  ["T", "turntable"],
  ["S", "save a picture"],
  ["F", "full screen"],
  ["?", "this list"],
];
const HANDS =
  "Drag to turn, scroll or pinch to zoom, drag with two fingers or the right button to move.";

export class Controls {
  readonly element = h("div", { class: "controls" });
  readonly #toolbar = h("div", { class: "toolbar", role: "toolbar", "aria-label": "View" });
  readonly #kinds: Record<Kind, HTMLButtonElement>;
  readonly #look: Panel;
  readonly #downloads: Panel;
  readonly #help: Panel;
  readonly #turntable: HTMLButtonElement;
  readonly #ar: HTMLButtonElement;
  readonly #lights = new Map<Lighting, HTMLInputElement>();
  readonly #size = h("input", {
    type: "range",
    min: MIN_POINT_SIZE,
    max: MAX_POINT_SIZE,
    step: 0.1,
    id: "size",
  });
  readonly #wireframe = h("input", { type: "checkbox", id: "wireframe" });
  readonly #files = h("ul", { class: "files" });
  #listed: readonly Source[] = [];

  constructor(private readonly viewer: Controlled) {
    this.#kinds = {
      points: this.#kindButton("points", "Points"),
      mesh: this.#kindButton("mesh", "Mesh"),
    };
    this.#look = new Panel(tool("look", "Look"), "Look", this.#lightChoice(), ...this.#lookRows());
    this.#turntable = tool("turntable", "Turntable", () => (viewer.turntable = !viewer.turntable));
    this.#turntable.classList.add("full");
    const reset = tool("reset", "First view", () => viewer.resetCamera());
    const screenshot = tool("screenshot", "Save a picture", () => void viewer.saveScreenshot());
    reset.classList.add("full", "wide");
    screenshot.classList.add("full");
    this.#downloads = new Panel(tool("download", "Download"), "Download", this.#files);
    this.#downloads.button.classList.add("downloads");
    this.#ar = tool("ar", "View in your room", () => void viewer.openAr());
    const fullscreen = tool("fullscreen", "Full screen", () => void viewer.toggleFullscreen());
    fullscreen.hidden = !document.fullscreenEnabled;
    this.#help = new Panel(
      tool("help", "Help"),
      "Keys and gestures",
      helpList(),
      h("p", {}, HANDS),
    );
    this.#help.button.classList.add("full", "wide");
    this.#look.button.classList.add("full");
    this.#toolbar.append(
      h(
        "div",
        { class: "kinds", role: "group", "aria-label": "Show" },
        this.#kinds.points,
        this.#kinds.mesh,
      ),
      this.#look.button,
      this.#turntable,
      reset,
      screenshot,
      this.#downloads.button,
      this.#ar,
      fullscreen,
      this.#help.button,
    );
    const panels = [this.#look, this.#downloads, this.#help];
    this.element.append(...panels.map((panel) => panel.element), this.#toolbar);
    this.element.addEventListener("panel-open", () => this.closePanels());
    this.#toolbar.addEventListener("keydown", (event) => this.#walk(event));
    this.#toolbar.addEventListener("focusin", (event) =>
      this.#keepPlace(event.target as HTMLElement),
    );
  }

  /** Pixels at the lower edge that are covered. */
  get inset(): number {
    return this.#toolbar.offsetHeight ? this.#toolbar.offsetHeight + 16 : 0;
  }

  /** Whether one was open. */
  closePanels(): boolean {
    const open = [this.#look, this.#downloads, this.#help].filter((panel) => panel.open);
    for (const panel of open) panel.close();
    return open.length > 0;
  }

  help(): void {
    this.#help.show();
  }

  /** Brings the controls in line with the viewer. */
  update(sources: Sources, shown: Kind | null, downloads: boolean): void {
    const { viewer } = this;
    const both = sources.points !== null && sources.mesh !== null;
    this.#kinds.points.parentElement!.hidden = !both;
    for (const kind of ["points", "mesh"] as const) press(this.#kinds[kind], viewer.show === kind);
    press(this.#turntable, viewer.turntable && !viewer.still);
    this.#turntable.disabled = viewer.still;
    for (const [light, input] of this.#lights) input.checked = viewer.lighting === light;
    this.#size.value = String(viewer.pointSize);
    this.#size.parentElement!.hidden = shown !== "points";
    this.#wireframe.checked = viewer.wireframe;
    this.#wireframe.parentElement!.hidden = shown !== "mesh";
    this.#list(sources.downloads);
    this.#downloads.button.hidden = !downloads || sources.downloads.length === 0;
    this.#ar.hidden = !arWay(sources);
    // Without WebGL files are all that there is.
    this.#toolbar.classList.toggle("files-only", !viewer.drawable);
    this.#toolbar.hidden = viewer.drawable ? shown === null : this.#downloads.button.hidden;
    const tools = this.#tools();
    if (!tools.some((one) => one.tabIndex === 0)) this.#keepPlace(tools[0] ?? null);
  }

  #list(downloads: readonly Source[]): void {
    if (this.#listed === downloads) return;
    this.#listed = downloads;
    this.#files.replaceChildren(...downloads.map((source) => h("li", {}, this.#file(source))));
  }

  #kindButton(kind: Kind, label: string): HTMLButtonElement {
    const choose = () => (this.viewer.show = kind);
    return h(
      "button",
      { type: "button", class: "kind", title: label, click: choose },
      icon(ICONS[kind]),
      h("span", {}, label),
    );
  }

  #lightChoice(): HTMLElement {
    const choices = LIGHTINGS.map((light) => {
      const choose = () => (this.viewer.lighting = light);
      const input = h("input", {
        type: "radio",
        name: "lighting",
        value: light,
        class: "visually-hidden",
        change: choose,
      });
      this.#lights.set(light, input);
      return h("label", {}, input, h("span", {}, LIGHTS[light]));
    });
    return h("fieldset", {}, h("legend", {}, "Light"), h("div", { class: "choices" }, ...choices));
  }

  #lookRows(): HTMLElement[] {
    this.#size.addEventListener("input", () => (this.viewer.pointSize = this.#size.valueAsNumber));
    this.#wireframe.addEventListener(
      "change",
      () => (this.viewer.wireframe = this.#wireframe.checked),
    );
    return [
      h("div", { class: "row" }, h("label", { for: "size" }, "Point size"), this.#size),
      h("div", { class: "row" }, h("label", { for: "wireframe" }, "Wireframe"), this.#wireframe),
    ];
  }

  #file(source: Source): HTMLElement {
    const text = [
      h("b", {}, source.name),
      h("span", {}, source.size === null ? "" : sizeWords(source.size)),
    ];
    // Browsers save files of other servers, and files behind a key, from memory only.
    if (source.linked) return h("a", { href: source.url, download: source.name }, ...text);
    return h("button", { type: "button", click: () => void this.viewer.save(source) }, ...text);
  }

  /** Arrow keys go along the toolbar, which is one stop of the tab key. */
  #walk(event: KeyboardEvent): void {
    const tools = this.#tools();
    const at = tools.indexOf(event.target as HTMLElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tools.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    tools[(to + tools.length) % tools.length]?.focus();
  }

  #tools(): HTMLElement[] {
    return [...this.#toolbar.querySelectorAll("button")].filter(
      (tool) => tool.offsetParent && !tool.disabled,
    );
  }

  #keepPlace(current: HTMLElement | null): void {
    const all = this.#toolbar.querySelectorAll<HTMLElement>("button");
    for (const one of all) one.tabIndex = one === current ? 0 : -1;
  }
}

function tool(name: keyof typeof ICONS, label: string, click?: () => void): HTMLButtonElement {
  const attributes = { type: "button", class: "tool", "aria-label": label, title: label };
  return h("button", click ? { ...attributes, click } : attributes, icon(ICONS[name]));
}

function press(button: HTMLElement, pressed: boolean): void {
  button.setAttribute("aria-pressed", String(pressed));
}

function helpList(): HTMLElement {
  return h("dl", {}, ...KEYS.flatMap(([key, what]) => [h("dt", {}, key), h("dd", {}, what)]));
}
