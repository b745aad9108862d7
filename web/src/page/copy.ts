// A button that copies a text and says so.

import { h } from "../shared/dom";
import { button } from "./dom";

const SAID_FOR_MS = 2000;

export class CopyButton {
  readonly element: HTMLElement;
  private readonly button: HTMLButtonElement;
  private readonly status = h("span", { class: "unseen", role: "status" });

  constructor(
    private readonly word: string,
    private readonly text: () => string,
  ) {
    this.button = button(word, () => void this.copy(), { class: "plain small" });
    this.element = h("span", { class: "copy" }, this.button, this.status);
  }

  private async copy(): Promise<void> {
    this.say((await write(this.text())) ? "Copied" : "Not allowed here");
    setTimeout(() => this.say(""), SAID_FOR_MS);
  }

  private say(word: string): void {
    this.button.textContent = word || this.word;
    this.status.textContent = word;
  }
}

/** False where the browser does not let the page write: it wants HTTPS or localhost for it. */
async function write(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
