// What went wrong with what should be on screen.

import { BozzettoError, type Job } from "bozzetto-client";
import { h } from "../shared/dom";
import { errorWords } from "../shared/words";
import { button } from "./dom";

export class Notice {
  constructor(private readonly place: HTMLElement) {}

  clear(): void {
    this.place.hidden = true;
    this.place.replaceChildren();
  }

  say(title: string, text: string | null, retry?: { text: string; act: () => void } | null): void {
    this.place.replaceChildren(h("strong", {}, title));
    if (text) this.place.append(h("p", {}, text));
    if (retry) this.place.append(button(retry.text, retry.act, { class: "plain small" }));
    const close = button("×", () => this.clear(), { class: "close", "aria-label": "Close" });
    this.place.append(close);
    this.place.hidden = false;
  }

  /** Nothing is said of what was stopped on purpose. */
  tell(error: unknown, again: (() => void) | null): void {
    if (error instanceof DOMException && error.name === "AbortError") return;
    if (!(error instanceof BozzettoError)) throw error;
    const { title, detail, hint } = errorWords(error);
    const retry =
      again && (error.retryable || this.wantsKey(error)) ? { text: "Try again", act: again } : null;
    this.say(title, [detail, hint].filter(Boolean).join(" "), retry);
  }

  /** Of a job that ended without an object. */
  tellEnd(job: Job): void {
    const code = job.error?.code ?? (job.status === "expired" ? "deadline_exceeded" : job.status);
    const { title, detail, hint } = errorWords(job.error ?? { code, detail: "" });
    this.say(title, [detail, hint].filter(Boolean).join(" "));
  }

  wantsKey(error: unknown): boolean {
    return error instanceof BozzettoError && error.status === 401;
  }

  isGone(error: unknown): boolean {
    return error instanceof BozzettoError && (error.status === 404 || error.status === 410);
  }
}
