// <bozzetto-upload>: a picture in, a job followed to its end; the object is shown by <bozzetto-viewer>.

import { Bozzetto, BozzettoError, type Job, type SubmitParams } from "bozzetto-client";

import { emit, h } from "../shared/dom";
import { recall, remember } from "./key";
import { Options } from "./options";
import { preparePicture } from "./picture";
import { PictureField } from "./picture-field";
import { JobRunner } from "./runner";
import { listenForFiles } from "./sources";
import { Status } from "./status";
import { STYLES } from "./styles";

const LONGEST_SIDE = 1536;

export class BozzettoUpload extends HTMLElement {
  static readonly observedAttributes = [
    "server",
    "api-key",
    "model",
    "outputs",
    "examples",
    "no-options",
    "no-camera",
  ];

  readonly #picture = new PictureField({
    onFile: (file) => void this.#choose(file),
    onError: (error) => this.#fail(error),
  });
  readonly #options = new Options();
  readonly #status = new Status();
  readonly #runner = new JobRunner(this, this.#status, {
    onBusy: (busy) => this.#showBusy(busy),
    onError: (error, again) => this.#fail(error, again),
  });
  readonly #key = h("input", { id: "key", type: "password", autocomplete: "off" });
  readonly #keyRow = h(
    "div",
    { class: "row", hidden: true },
    h("label", { for: "key" }, "API key"),
    this.#key,
  );
  readonly #submit = h(
    "button",
    { type: "submit", class: "primary", disabled: true },
    "Reconstruct",
  );
  readonly #cancel = h("button", { type: "button", class: "plain", hidden: true }, "Cancel");
  readonly #form = h("form", { novalidate: true });

  #client: Bozzetto | null = null;
  #blob: Blob | null = null;
  /** The file that is being looked at, so that of two the later one stays. */
  #chosen: Blob | null = null;
  /** Of what lasts while the element is in a page. */
  #connected: AbortController | null = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [STYLES];
    const actions = h("div", { class: "actions" }, this.#submit, this.#cancel);
    const foot = h("div", { class: "foot" }, this.#keyRow, actions, this.#status.place);
    this.#form.append(this.#picture.place, this.#options.place, foot);
    root.append(this.#form);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
    this.#cancel.addEventListener("click", () => void this.cancel());
    this.#key.addEventListener("change", () => this.#useKey(this.#key.value.trim()));
  }

  connectedCallback(): void {
    this.#connected = new AbortController();
    this.#upgrade("client", "params", "picture");
    const { signal } = this.#connected;
    const onFile = (file: File) => void this.#choose(file);
    listenForFiles({ onFile, onHover: (over) => this.#picture.hover(over) }, signal);
    void this.#loadModels();
    void this.#loadExamples();
    this.#showParts();
  }

  disconnectedCallback(): void {
    this.#connected?.abort();
    // An element that is only moved goes on following its job.
    queueMicrotask(() => {
      if (!this.isConnected) this.#runner.leave();
    });
  }

  attributeChangedCallback(name: string): void {
    if (name === "server" || name === "api-key") this.#client = null;
    if (!this.isConnected || !this.#connected) return;
    if (name === "examples") void this.#loadExamples();
    else if (name.startsWith("no-")) this.#showParts();
    else if (name === "model" || name === "outputs") this.#ask(name);
    else void this.#loadModels();
    if (name === "server") void this.#loadExamples();
  }

  /** The picture as it will be sent; one that is set is taken as a chosen file would be. */
  get picture(): Blob | null {
    return this.#blob;
  }

  set picture(file: Blob | null) {
    if (file) void this.#choose(file);
    else this.#clearPicture();
  }

  get client(): Bozzetto {
    const apiKey = recall(this.#server) || (this.getAttribute("api-key") ?? "");
    return (this.#client ??= new Bozzetto({ server: this.#server, apiKey }));
  }

  set client(client: Bozzetto) {
    this.#client = client;
    if (this.isConnected) void this.#loadModels();
  }

  /** The newest job, as far as it is known here. */
  get job(): Job | null {
    return this.#runner.job;
  }

  get params(): SubmitParams {
    return this.#options.params;
  }

  set params(params: SubmitParams) {
    this.#options.params = params;
  }

  /** Send the picture and follow its job. Null where there is none, one runs, or it went wrong. */
  async submit(): Promise<Job | null> {
    if (!this.#blob || this.#runner.busy || !this.#form.reportValidity()) return null;
    return this.#runner.submit(this.#blob, this.params);
  }

  /** Come back to a job, running or ended. */
  async resume(jobId: string): Promise<Job | null> {
    return this.#runner.resume(jobId);
  }

  /** Asked is not stopped: a running job ends between two steps. */
  async cancel(): Promise<void> {
    return this.#runner.cancel();
  }

  /** `again` is offered where trying again may help. */
  #fail(error: unknown, again: (() => void) | null = null): void {
    if (!(error instanceof BozzettoError)) {
      this.#status.clear();
      if (error instanceof DOMException && error.name === "AbortError") return;
      throw error;
    }
    if (error.status === 401) {
      this.#keyRow.hidden = false;
      this.#key.focus();
    }
    this.#status.failed(error, error.retryable ? again : null);
    emit(this, "bozzetto-error", { error });
  }

  async #choose(file: Blob): Promise<void> {
    const asked = Number(this.getAttribute("max-side"));
    const longest = asked > 0 ? asked : LONGEST_SIDE;
    this.#chosen = file;
    this.#picture.forgetExample();
    this.#picture.busy(true);
    try {
      const blob = await preparePicture(file, longest);
      if (this.#chosen === file) this.#show(blob, file instanceof File ? file.name : "");
    } catch (error) {
      if (this.#chosen === file) this.#fail(error);
    } finally {
      if (this.#chosen === file) this.#picture.busy(false);
    }
  }

  #show(blob: Blob | null, name = ""): void {
    this.#blob = blob;
    this.#picture.show(blob, name);
    this.#submit.disabled = !blob;
    if (!this.#runner.busy) this.#status.clear();
    if (this.#options.empty && this.isConnected) void this.#loadModels();
    if (blob) emit(this, "bozzetto-picture", { blob });
  }

  #clearPicture(): void {
    this.#chosen = null;
    this.#picture.forgetExample();
    this.#picture.busy(false);
    this.#show(null);
  }

  #showBusy(busy: boolean): void {
    const root = this.shadowRoot!;
    const [shown, gone] = busy ? [this.#cancel, this.#submit] : [this.#submit, this.#cancel];
    const focused = root.activeElement === gone;
    shown.hidden = false;
    gone.hidden = true;
    if (focused) shown.focus({ preventScroll: true }); // the object may be what is looked at
  }

  #ask(name: "model" | "outputs"): void {
    const value = this.getAttribute(name);
    if (value) this.#options.params = { [name]: value };
  }

  #showParts(): void {
    this.#options.place.hidden = this.hasAttribute("no-options");
    this.#picture.offerCamera(!this.hasAttribute("no-camera"));
  }

  #useKey(key: string): void {
    remember(this.#server, key);
    this.#client = null;
    void this.#loadModels();
  }

  async #loadModels(): Promise<void> {
    const client = this.client;
    try {
      const models = await client.models({ signal: this.#connected!.signal });
      if (client !== this.client) return;
      this.#options.offer(models, this.getAttribute("model"), this.getAttribute("outputs"));
    } catch (error) {
      this.#fail(error, () => {
        this.#status.clear();
        void this.#loadModels();
      });
    }
  }

  async #loadExamples(): Promise<void> {
    const list = this.getAttribute("examples") ?? `${this.#server}/static/examples.json`;
    await this.#picture.offerExamples(list === "none" ? null : list, this.#connected!.signal);
  }

  /** What was set before the script had come hides the accessors of the class. */
  #upgrade(...names: ("client" | "params" | "picture")[]): void {
    for (const name of names) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      Object.assign(this, { [name]: value });
    }
  }

  get #server(): string {
    return (this.getAttribute("server") ?? "").replace(/\/+$/, "");
  }
}
