// The right half of the stage, while two are compared.

import type { Bozzetto, Job, Model } from "bozzetto-client";
import { queueWords, stageWords } from "../shared/words";
import type { ViewerElement } from "./elements";
import { caption } from "./facts";
import { keepInStep } from "./step";

export class Beside {
  private readonly viewer: ViewerElement;
  private readonly words: HTMLElement;
  private readonly end = new AbortController();

  constructor(
    private readonly place: HTMLElement,
    first: ViewerElement,
    private readonly client: Bozzetto,
    private readonly cards: ReadonlyMap<string, Model>,
  ) {
    this.words = place.querySelector("figcaption")!;
    this.words.textContent = "";
    this.viewer = document.createElement("bozzetto-viewer") as ViewerElement;
    this.viewer.setAttribute("controls", "minimal");
    place.prepend(this.viewer);
    place.hidden = false;
    keepInStep(first, this.viewer, this.end.signal);
  }

  /** Follows the job to its end and shows what comes of it. Throws what the client throws. */
  async show(job: Job): Promise<Job> {
    const card = this.cards.get(job.model);
    const title = card?.title ?? job.model;
    const say = (text: string) => {
      this.words.textContent = `${title} · ${text}`;
    };
    this.viewer.setAttribute("label", title);
    let final = job;
    if (job.status === "queued" || job.status === "running") {
      say(queueWords(job.queue));
      final = await this.client.wait(job, {
        signal: this.end.signal,
        onProgress: (progress) => say(stageWords(progress)),
        onCloud: (cloud) => this.viewer.showCloud(cloud),
      });
    }
    if (final.status === "succeeded") {
      this.words.textContent = caption(final, card);
      await this.viewer.showJob(final, this.client);
    } else {
      say(final.error?.detail ?? final.status);
    }
    return final;
  }

  /** A picture of the object, for the history. */
  screenshot(): Promise<Blob> {
    return this.viewer.screenshot();
  }

  close(): void {
    this.end.abort();
    this.viewer.remove();
    this.place.hidden = true;
  }
}
