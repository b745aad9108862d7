// Where the picture is chosen and seen: drop area, file and camera buttons, examples.

import { BozzettoError, ConnectionError } from "bozzetto-client";

import { h, icon } from "../shared/dom";
import { hasCamera, prefersCameraApp, takePicture } from "./camera";
import { loadExamples, type Example } from "./examples";

const PICTURE =
  "M4 16.5 8.6 12a1.6 1.6 0 0 1 2.3 0l4.6 4.6m-1.6-1.6 1.6-1.6a1.6 1.6 0 0 1 2.3 0L20 15.6M5.5 20h13a1.5 1.5 0 0 0 1.5-1.5v-13A1.5 1.5 0 0 0 18.5 4h-13A1.5 1.5 0 0 0 4 5.5v13A1.5 1.5 0 0 0 5.5 20ZM15 8.6h.01";
const CAMERA =
  "M8.2 6.5 9.4 4.7c.3-.5.7-.7 1.2-.7h2.8c.5 0 .9.2 1.2.7l1.2 1.8h2.7A1.5 1.5 0 0 1 20 8v10a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 18V8a1.5 1.5 0 0 1 1.5-1.5ZM12 16.2a3.4 3.4 0 1 0 0-6.8 3.4 3.4 0 0 0 0 6.8Z";
const TYPES = "image/png,image/jpeg,image/webp";

export interface PictureListener {
  onFile(file: Blob): void;
  onError(error: BozzettoError): void;
}

export class PictureField {
  readonly #listener: PictureListener;
  readonly #image = h("img", { alt: "", hidden: true });
  readonly #prompt = h(
    "span",
    { class: "prompt" },
    icon(PICTURE),
    h("b", {}, "Choose a picture"),
    h("span", { class: "desk" }, "or drop or paste one here"),
    h("small", {}, "One object on a plain background", h("br"), "PNG, JPEG or WebP"),
  );
  readonly #change = h("span", { class: "change", hidden: true }, "Change the picture");
  readonly #drop = h(
    "button",
    { type: "button", class: "drop" },
    this.#image,
    this.#prompt,
    this.#change,
  );
  readonly #file = h("input", {
    type: "file",
    accept: TYPES,
    hidden: true,
    "aria-label": "Picture",
  });
  readonly #photo = h("input", {
    type: "file",
    accept: TYPES,
    capture: "environment",
    hidden: true,
  });
  readonly #camera = h(
    "button",
    { type: "button", class: "tile", "aria-label": "Take a picture with the camera", hidden: true },
    icon(CAMERA),
  );
  readonly #tiles = h(
    "div",
    { class: "tiles", role: "group", "aria-label": "Other pictures" },
    this.#camera,
  );
  readonly place = h("div", { class: "source" }, this.#drop, this.#tiles, this.#file, this.#photo);
  /** The example that is on its way. */
  #fetching: AbortController | null = null;
  /** Of what ends when the element leaves the page. */
  #stay: AbortSignal | null = null;
  #list: string | null = null;

  constructor(listener: PictureListener) {
    this.#listener = listener;
    this.#drop.addEventListener("click", () => this.#file.click());
    this.#camera.addEventListener("click", () => void this.#photograph());
    for (const input of [this.#file, this.#photo]) {
      input.addEventListener("change", () => {
        const file = input.files?.[0];
        input.value = ""; // the same file may be chosen twice
        if (file) listener.onFile(file);
      });
    }
  }

  show(blob: Blob | null, name: string): void {
    URL.revokeObjectURL(this.#image.src);
    if (blob) this.#image.src = URL.createObjectURL(blob);
    else this.#image.removeAttribute("src");
    this.#image.alt = blob ? `Chosen picture${name ? `: ${name}` : ""}.` : "";
    this.#image.hidden = this.#change.hidden = !blob;
    this.#prompt.hidden = Boolean(blob);
  }

  hover(over: boolean): void {
    this.#drop.classList.toggle("over", over);
  }

  busy(busy: boolean): void {
    this.#drop.classList.toggle("busy", busy);
    this.#drop.setAttribute("aria-busy", String(busy));
  }

  /** Another picture was chosen: an example that is still on its way comes too late. */
  forgetExample(): void {
    this.#fetching?.abort();
    this.#fetching = null;
  }

  offerCamera(offered: boolean): void {
    this.#camera.hidden = !offered || !hasCamera();
  }

  /** Null: none. */
  async offerExamples(list: string | null, signal: AbortSignal): Promise<void> {
    [this.#list, this.#stay] = [list, signal];
    const examples = list ? await loadExamples(list, signal) : [];
    if (signal.aborted || list !== this.#list) return;
    this.#tiles.replaceChildren(...examples.map((example) => this.#tile(example)), this.#camera);
  }

  #tile({ name, url }: Example): HTMLElement {
    const click = () => void this.#fetch(name, url);
    const image = h("img", { src: url, alt: "", loading: "lazy", crossorigin: "anonymous" });
    return h(
      "button",
      { type: "button", class: "tile", "aria-label": `Example: ${name}`, title: name, click },
      image,
    );
  }

  async #fetch(name: string, url: string): Promise<void> {
    this.forgetExample();
    const { signal } = (this.#fetching = new AbortController());
    try {
      const response = await fetch(url, { signal });
      if (!response.ok) throw new Error(`answered ${response.status}`);
      const file = new File([await response.blob()], name);
      if (!signal.aborted) this.#listener.onFile(file);
    } catch (cause) {
      if (signal.aborted) return;
      this.#listener.onError(
        new ConnectionError(`The example "${name}" cannot be fetched.`, { cause }),
      );
    }
  }

  async #photograph(): Promise<void> {
    if (prefersCameraApp()) return this.#photo.click();
    try {
      const picture = await takePicture(this.place.getRootNode() as ShadowRoot, this.#stay);
      if (picture) this.#listener.onFile(picture);
    } catch (error) {
      if (!(error instanceof BozzettoError)) throw error;
      this.#listener.onError(error);
    }
  }
}
