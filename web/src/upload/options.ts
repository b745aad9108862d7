// The choice of model and what it is told: drawn anew for each model, with what was chosen before.

import type { Model, SubmitParams } from "bozzetto-client";

import { h } from "../shared/dom";
import { Checklist, drawField, type Field } from "./controls";
import {
  BACKGROUND,
  fileGroups,
  firstModel,
  MESH_FIELDS,
  modelFields,
  usualOutputs,
  type FieldSpec,
} from "./fields";

// Of every job, and for programs rather than people: they have no field.
const UNSEEN = new Set(["priority", "deadline_s", "callback_url", "metadata"]);

export class Options {
  readonly #select = h("select", { id: "model", name: "model", "aria-describedby": "about" });
  readonly #about = h("p", { id: "about", class: "note" });
  readonly #own = h("div", { class: "rows" });
  readonly #files = new Checklist();
  readonly #rest = h("details", { class: "options" });
  readonly #chosen = new Map<string, string>(); // name -> what was last entered, over all models
  readonly #common: Map<string, Field>;
  readonly place: HTMLElement;
  #fields = new Map<string, Field>();
  #models: Model[] = [];
  /** Files asked for by who embeds or uses this; null: the model's usual ones. */
  #outputs: string | null = null;
  #wanted: string | null = null;
  readonly #unseen: SubmitParams = {};

  constructor() {
    this.#common = this.#draw([BACKGROUND, ...MESH_FIELDS]);
    const mesh = MESH_FIELDS.map(({ name }) => this.#common.get(name)!.row);
    this.#rest.append(
      h("summary", {}, "Options"),
      h("div", { class: "rows" }, this.#own, this.#common.get(BACKGROUND.name)!.row),
      group("Files", this.#files.place),
      group("Mesh settings", h("div", { class: "rows" }, ...mesh)),
    );
    const row = h("div", { class: "row" }, h("label", { for: "model" }, "Model"), this.#select);
    this.place = h("div", { class: "choice" }, h("div", {}, row, this.#about), this.#rest);
    this.#select.addEventListener("change", () => {
      this.#wanted = this.#select.value;
      this.#show();
    });
    this.#files.place.addEventListener("change", () => {
      this.#outputs = this.#files.checked().join(",") || null;
    });
    // A field out of bounds is told by the browser at the field, which must then be seen.
    this.#rest.addEventListener("invalid", () => (this.#rest.open = true), { capture: true });
  }

  /** `wanted` and `outputs`: what the page asked for by attributes. */
  offer(models: Model[], wanted: string | null, outputs: string | null): void {
    // Those that none can serve here are not offered; `/models` says why.
    this.#models = models.filter((model) => !model.reason);
    this.#outputs ??= outputs;
    const title = ({ title, ready }: Model) => title + (ready ? "" : " (no worker)");
    this.#select.replaceChildren(
      ...this.#models.map((model) => new Option(title(model), model.id)),
    );
    const first = firstModel(this.#models, this.#wanted ?? wanted);
    if (first) this.#select.value = first.id;
    this.#show();
  }

  /** Before the models are known. */
  get empty(): boolean {
    return this.#models.length === 0;
  }

  get params(): SubmitParams {
    const params: SubmitParams = { ...this.#unseen, outputs: this.#outputNames() };
    const model = this.#model?.id ?? this.#wanted;
    if (model) params.model = model;
    for (const [name, field] of [...this.#fields, ...this.#common]) {
      const value = field.value();
      if (value !== undefined) params[name] = value;
    }
    return params;
  }

  /** Sets what is given and leaves the rest; a value that its field cannot have is left out. */
  set params(params: SubmitParams) {
    const { model, outputs, ...values } = params;
    if (model) this.#wanted = model;
    if (outputs) this.#outputs = typeof outputs === "string" ? outputs : outputs.join(",");
    for (const [name, value] of Object.entries(values)) {
      if (UNSEEN.has(name)) this.#unseen[name] = value;
      else this.#chosen.set(name, String(value));
    }
    for (const [name, field] of this.#common) {
      const value = this.#chosen.get(name);
      if (value !== undefined) field.set(value);
    }
    if (this.#models.some(({ id }) => id === model)) this.#select.value = model!;
    this.#show();
  }

  get #model(): Model | undefined {
    return this.#models.find(({ id }) => id === this.#select.value);
  }

  #outputNames(): string[] {
    const checked = this.#files.checked();
    return checked.length > 0 ? checked : usualOutputs(this.#model, this.#outputs);
  }

  #show(): void {
    const model = this.#model;
    this.#about.textContent = model ? aboutWords(model) : "";
    this.#fields = this.#draw(modelFields(model));
    this.#own.replaceChildren(...[...this.#fields.values()].map((field) => field.row));
    const usual = new Set(usualOutputs(model, this.#outputs));
    this.#files.show(fileGroups(model?.outputs ?? []), usual);
  }

  #draw(specs: readonly FieldSpec[]): Map<string, Field> {
    return new Map(
      specs.map((spec) => {
        const field = drawField(spec, (value) => this.#chosen.set(spec.name, value));
        const before = this.#chosen.get(spec.name);
        if (before !== undefined) field.set(before);
        return [spec.name, field] as const;
      }),
    );
  }
}

function group(title: string, ...content: Node[]): HTMLElement {
  return h("fieldset", {}, h("legend", {}, title), ...content);
}

function aboutWords(model: Model): string {
  const waiting = model.ready ? "" : " No worker serves it now: a job waits until one comes.";
  return model.description + waiting;
}
