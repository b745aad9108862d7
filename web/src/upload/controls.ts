// Form fields drawn from their descriptions; what was chosen outlives a change of model.

import { h } from "../shared/dom";
import type { FieldSpec, FileGroup } from "./fields";

type Control = HTMLInputElement | HTMLSelectElement;

export interface Field {
  row: HTMLElement;
  /** Undefined where it is the default: the server knows that. */
  value(): string | number | undefined;
  /** What does not fit leaves the field as it is. */
  set(value: string): void;
}

let count = 0;

export function drawField(spec: FieldSpec, onInput: (value: string) => void): Field {
  const id = `field-${++count}`;
  const control = spec.control === "select" ? drawSelect(spec) : drawInput(spec);
  control.id = id;
  control.name = spec.name;
  const row = h("div", { class: "row" }, h("label", { for: id }, spec.label), control);
  if (spec.hint) drawHint(spec, control, row);
  const tell = spec.control === "slider" ? drawReadout(spec, control, row) : () => {};
  control.addEventListener("input", () => {
    tell();
    onInput(control.value);
  });
  return {
    row,
    value() {
      if (control.value === spec.initial) return undefined;
      return spec.numeric ? Number(control.value) : control.value;
    },
    set(value) {
      const before = control.value;
      control.value = value;
      if (control.value !== value || !control.checkValidity()) control.value = before;
      tell();
    },
  };
}

/** How a text is to be written is shown; of other controls it is enough to be told when asked. */
function drawHint(spec: FieldSpec, control: Control, row: HTMLElement): void {
  if (spec.control === "text") {
    const note = h("p", { id: `${control.id}-hint`, class: "note" }, spec.hint);
    control.setAttribute("aria-describedby", note.id);
    row.append(note);
  } else {
    row.title = spec.hint;
    control.setAttribute("aria-description", spec.hint);
  }
}

function drawSelect(spec: FieldSpec): HTMLSelectElement {
  const control = h("select");
  control.append(...spec.choices.map(([value, label]) => new Option(label, value)));
  control.value = spec.initial;
  return control;
}

function drawInput(spec: FieldSpec): HTMLInputElement {
  const { min, max, step, placeholder } = spec;
  const type = { slider: "range", number: "number", text: "text", select: "" }[spec.control];
  const control = h("input", { type, min, max, step, placeholder });
  if (type === "text") control.spellcheck = false;
  if (type === "number") control.inputMode = step === 1 ? "numeric" : "decimal";
  control.value = spec.initial;
  return control;
}

function drawReadout(spec: FieldSpec, control: Control, row: HTMLElement): () => void {
  const output = h("output", { for: control.id });
  row.append(output);
  const tell = () => {
    const off = spec.name === "guidance_scale" && Number(control.value) === 1;
    output.textContent = off ? "off" : control.value;
    control.setAttribute("aria-valuetext", output.textContent);
  };
  tell();
  return tell;
}

/** Checkboxes in titled rows; `checked()` keeps their order. */
export class Checklist {
  readonly place = h("div", { class: "files" });
  #boxes: HTMLInputElement[] = [];

  show(groups: readonly FileGroup[], checked: ReadonlySet<string>): void {
    this.#boxes = [];
    this.place.replaceChildren(...groups.map((group) => this.#row(group, checked)));
  }

  checked(): string[] {
    return this.#boxes.filter((box) => box.checked).map((box) => box.value);
  }

  #row({ title, files }: FileGroup, checked: ReadonlySet<string>): HTMLElement {
    const checks = files.map(([name, label]) => {
      const box = h("input", { type: "checkbox", value: name, "aria-label": `${title}, ${label}` });
      box.checked = checked.has(name);
      this.#boxes.push(box);
      return h("label", { class: "check" }, box, label);
    });
    const name = h("span", { class: "name", "aria-hidden": "true" }, title);
    return h("div", { class: "row" }, name, h("div", { class: "checks" }, ...checks));
  }
}
