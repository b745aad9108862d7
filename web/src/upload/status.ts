// How the job goes, for eyes and for screen readers; and what went wrong.

import type { BozzettoError, Job, Progress } from "bozzetto-client";

import { h, icon } from "../shared/dom";
import { Pace } from "./pace";
import { durationWords, errorWords, queueWords, roughWords, stageWords } from "../shared/words";

const WARNING =
  "M12 8.5v4.5m0 3h.01M10.3 4.3 2.6 17.5A2 2 0 0 0 4.3 20.5h15.4a2 2 0 0 0 1.7-3L13.7 4.3a2 2 0 0 0-3.4 0Z";

export class Status {
  readonly #bar = h("progress", { max: 100, "aria-label": "Progress" });
  readonly #words = h("p", { class: "words" });
  readonly #left = h("p", { class: "left" });
  readonly #going = h(
    "div",
    { class: "status", hidden: true },
    this.#bar,
    h("div", { class: "said" }, this.#words, this.#left),
  );
  // Only what begins and ends is spoken: every step would be chatter.
  readonly #spoken = h("p", { class: "visually-hidden", role: "status" });
  readonly #error = h("div", { class: "error", role: "alert", hidden: true });
  readonly place = h("div", { class: "telling" }, this.#going, this.#error, this.#spoken);
  #stage = "";
  #pace = new Pace();

  sending(): void {
    this.clear();
    this.#say("Sending the picture", "sending", null);
  }

  waiting(queue: Job["queue"]): void {
    this.#say(queueWords(queue), "queued", null);
  }

  begun(): void {
    this.#say("A worker has begun", "running", 0);
  }

  progress(progress: Progress): void {
    this.#say(stageWords(progress), progress.stage, progress.percent);
    const seconds = this.#pace.secondsLeft(progress, performance.now() / 1000);
    this.#left.textContent = seconds === null ? "" : `about ${roughWords(seconds)} left`;
  }

  reconnecting(): void {
    this.#say("The connection was lost; trying again", "reconnecting", null);
  }

  stopping(): void {
    this.#say("Stopping", "stopping", null);
  }

  done(job: Job): void {
    this.#say(doneWords(job), "done", 100);
    this.#going.classList.add("done");
  }

  canceled(): void {
    this.#say("Cancelled", "canceled", 0);
    this.#going.classList.add("done");
  }

  /** `retry` gets a button where trying again may help. */
  failed(error: BozzettoError, retry: (() => void) | null): void {
    const { title, detail, hint } = errorWords(error);
    this.clear();
    const button =
      retry && h("button", { type: "button", class: "plain", click: retry }, "Try again");
    // For whom the operator is asked to help; other problems are the caller's to solve.
    const told = error.status >= 500 && error.requestId;
    const id = told && h("p", { class: "request" }, `Request ${error.requestId}`);
    const lines = [detail, hint].filter(Boolean).map((line) => h("p", {}, line));
    const text = h("div", {}, h("strong", {}, title), ...lines, id || null, button);
    this.#error.replaceChildren(icon(WARNING), text);
    this.#error.hidden = false;
  }

  clear(): void {
    this.#going.hidden = this.#error.hidden = true;
    this.#going.classList.remove("done");
    this.#stage = this.#spoken.textContent = this.#left.textContent = "";
  }

  #say(words: string, stage: string, percent: number | null): void {
    this.#going.hidden = false;
    this.#error.hidden = true;
    this.#words.textContent = words;
    this.#left.textContent = "";
    if (percent === null) this.#bar.removeAttribute("value");
    else this.#bar.value = percent;
    if (stage === this.#stage) return;
    this.#stage = stage;
    this.#spoken.textContent = words;
  }
}

function doneWords({ created_at, finished_at }: Job): string {
  if (!finished_at) return "Done";
  return `Done in ${durationWords((Date.parse(finished_at) - Date.parse(created_at)) / 1000)}`;
}
