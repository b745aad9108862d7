import { h } from "../shared/dom";

/** A sheet over the picture that a button opens and closes. */
export class Panel {
  readonly element: HTMLElement;
  readonly #inside: HTMLElement;
  #cameFrom: HTMLElement | null = null;

  constructor(
    readonly button: HTMLButtonElement,
    title: string,
    ...content: (Node | string)[]
  ) {
    // The scrolling part has no ground of its own: Chromium takes what lies behind opaque ones away.
    this.#inside = h("div", {}, h("h2", {}, title), ...content);
    this.element = h(
      "section",
      { class: "panel", "aria-label": title, hidden: true },
      this.#inside,
    );
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => this.toggle());
  }

  get open(): boolean {
    return !this.element.hidden;
  }

  toggle(): void {
    if (this.open) this.close();
    else this.show();
  }

  show(): void {
    this.element.dispatchEvent(new CustomEvent("panel-open", { bubbles: true }));
    const root = this.element.getRootNode() as ShadowRoot;
    this.#cameFrom = root.activeElement as HTMLElement | null;
    this.element.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    const first = this.element.querySelector<HTMLElement>("button, a, input:checked, input");
    // A list without controls can still be scrolled by keys.
    if (!first) this.#inside.tabIndex = 0;
    (first ?? this.#inside).focus();
  }

  close(): void {
    // Focus goes back where it came from, unless somebody has taken it elsewhere.
    if (this.element.matches(":focus-within")) (this.#cameFrom ?? this.button).focus();
    this.element.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
  }
}
