import { h, type Attributes } from "../shared/dom";

export function button(
  text: string,
  act: () => void,
  attributes: Attributes = {},
): HTMLButtonElement {
  return h("button", { type: "button", click: act, ...attributes }, text);
}

/** A part of index.html. */
export function part<Type extends HTMLElement>(id: string): Type {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no #${id}`);
  return element as Type;
}
