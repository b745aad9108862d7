// Tabs of programs for what is on screen.

import { h } from "../shared/dom";
import { CopyButton } from "./copy";
import { button } from "./dom";
import { LANGUAGES, snippet, type Language, type Request } from "./snippets";

export class CodePanel {
  private readonly tabs = new Map<Language, HTMLButtonElement>();
  private readonly text = h("code");
  private readonly note = h("p", { class: "note" });
  private readonly panel: HTMLElement;
  private language: Language = "curl";
  private request: Request | null = null;

  constructor(place: HTMLElement) {
    const list = h("div", { class: "tabs", role: "tablist", "aria-label": "Language" });
    for (const { id, title } of LANGUAGES) {
      const tab = button(title, () => this.choose(id), { role: "tab", id: `tab-${id}` });
      tab.setAttribute("aria-controls", "code-text");
      this.tabs.set(id, tab);
      list.append(tab);
    }
    list.addEventListener("keydown", (event) => this.walk(event));
    // A box that scrolls has to be reachable without a mouse.
    const box = h("pre", { tabindex: "0", role: "region", "aria-label": "Program" }, this.text);
    const copy = new CopyButton("Copy", () => this.text.textContent);
    this.panel = h("div", { id: "code-text", role: "tabpanel" }, box);
    const foot = h("div", { class: "code-foot" }, this.note, copy.element);
    place.replaceChildren(list, this.panel, foot);
    this.choose(this.language);
  }

  show(request: Request): void {
    this.request = request;
    this.draw();
  }

  private choose(language: Language): void {
    this.language = language;
    for (const [id, tab] of this.tabs) {
      tab.setAttribute("aria-selected", String(id === language));
      tab.tabIndex = id === language ? 0 : -1;
    }
    this.panel.setAttribute("aria-labelledby", `tab-${language}`);
    this.note.textContent = LANGUAGES.find(({ id }) => id === language)?.note ?? "";
    this.draw();
  }

  private draw(): void {
    if (this.request) this.text.textContent = snippet(this.language, this.request);
  }

  private walk(event: KeyboardEvent): void {
    const order = LANGUAGES.map(({ id }) => id);
    const at = order.indexOf(this.language);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: order.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const language = order[(to + order.length) % order.length]!;
    this.choose(language);
    this.tabs.get(language)?.focus();
  }
}
