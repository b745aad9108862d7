// Two models side by side on one picture, seen from the same side.

import {
  BozzettoError,
  type Bozzetto,
  type Job,
  type Model,
  type SubmitParams,
} from "bozzetto-client";
import { h } from "../shared/dom";
import { Beside } from "./beside";
import { CopyButton } from "./copy";
import { comparisonTable } from "./details";
import { button } from "./dom";
import type { ViewerElement } from "./elements";
import { caption } from "./facts";
import type { JobRecords } from "./records";
import { rest, thumbnailOf } from "./thumbnail";

/** Of the first job; the rest is the second model's own, so that each does what it does best. */
const SHARED = ["num_points", "remove_background", "target_faces", "texture_size", "compression"];

/** What the second model is asked for, so that the results can be compared. */
export function paramsBeside(job: Job, model: Model): SubmitParams {
  const params: SubmitParams = { model: model.id };
  for (const name of SHARED) {
    const value = job.params[name];
    if (value !== null && value !== undefined) params[name] = value;
  }
  const outputs = job.params["outputs"];
  if (Array.isArray(outputs)) {
    params.outputs = outputs.map(String).filter((name) => model.outputs.includes(name));
  }
  return params;
}

/** The page, as far as a comparison changes it. */
export interface Stage {
  readonly client: Bozzetto;
  readonly shown: Job | null;
  /** The address, the history and the buttons follow what is on screen. */
  changed(how?: { asNewPage: boolean }): void;
  fail(error: unknown): void;
}

export interface ComparisonParts {
  page: Stage;
  cards: ReadonlyMap<string, Model>;
  records: JobRecords;
  viewer: ViewerElement;
  stage: HTMLElement;
  firstCaption: HTMLElement;
  second: HTMLElement;
  actions: HTMLElement;
}

export class Comparison {
  private view: Beside | null = null;
  private job: Job | null = null;
  /** By sha256: what this visit has sent, to be sent to another model. */
  private readonly pictures = new Map<string, Blob>();

  constructor(private readonly parts: ComparisonParts) {}

  get active(): boolean {
    return this.view !== null;
  }

  get jobId(): string | null {
    return this.job?.id ?? null;
  }

  remember(job: Job, picture: Blob): void {
    this.pictures.set(job.input.sha256, picture);
  }

  /** Brings buttons and caption up to date with what is on screen. */
  update(): void {
    const { actions, page } = this.parts;
    const focused = actions.contains(document.activeElement);
    actions.replaceChildren(...(page.shown ? this.buttons(page.shown) : []));
    if (focused) actions.querySelector<HTMLElement>("button, select")?.focus();
    this.parts.firstCaption.textContent = page.shown
      ? caption(page.shown, this.parts.cards.get(page.shown.model))
      : "";
  }

  async startWith(id: string): Promise<void> {
    await this.run((client) => client.job(id));
  }

  stop(): void {
    this.view?.close();
    this.view = this.job = null;
    delete this.parts.stage.dataset["comparing"];
    this.parts.viewer.removeAttribute("controls");
  }

  private buttons(shown: Job): HTMLElement[] {
    const link = new CopyButton("Copy link", () => location.href).element;
    if (this.view) {
      const stop = () => {
        this.stop();
        this.parts.page.changed();
      };
      return [button("Stop comparing", stop, { class: "plain small" }), link];
    }
    const others = [...this.parts.cards.values()].filter(
      (card) => card.id !== shown.model && card.ready,
    );
    if (shown.status === "succeeded" && others.length > 0) return [...this.choice(others), link];
    return [link];
  }

  private choice(others: readonly Model[]): HTMLElement[] {
    if (others.length === 1) {
      const [only] = others as [Model];
      const start = () => void this.start(only);
      return [button(`Compare with ${only.title}`, start, { class: "plain small" })];
    }
    const select = h(
      "select",
      { "aria-label": "Model to compare with" },
      ...others.map(({ id, title }) => h("option", { value: id }, title)),
    );
    const start = () => {
      const chosen = this.parts.cards.get(select.value);
      if (chosen) void this.start(chosen);
    };
    return [select, button("Compare", start, { class: "plain small" })];
  }

  /** What the second model has made of the picture before, or makes now. */
  private async start(model: Model): Promise<void> {
    const { page, records } = this.parts;
    const shown = page.shown;
    if (!shown) return;
    const { sha256 } = shown.input;
    const before = records
      .list()
      .find((one) => one.sha256 === sha256 && one.model === model.id && one.state === "succeeded");
    if (before) return this.startWith(before.id);
    const picture = this.pictures.get(sha256);
    if (!picture) return page.fail(noPicture(model));
    await this.run(async (client) => {
      const job = await client.submit(picture, paramsBeside(shown, model));
      records.keep(job);
      void thumbnailOf(picture).then((thumbnail) => records.picture(job.id, thumbnail));
      return job;
    });
  }

  private async run(obtain: (client: Bozzetto) => Promise<Job>): Promise<void> {
    const { page, cards, records, viewer, second, stage } = this.parts;
    this.stop();
    const view = new Beside(second, viewer, page.client, cards);
    this.view = view;
    stage.dataset["comparing"] = "";
    viewer.setAttribute("controls", "minimal");
    page.changed();
    try {
      const job = await obtain(page.client);
      if (this.view !== view) return;
      this.job = job;
      page.changed({ asNewPage: true });
      const final = await view.show(job);
      if (records.get(final.id)) records.keep(final);
      if (this.view !== view) return;
      this.job = final;
      page.changed();
      if (final.status !== "succeeded") return;
      await rest();
      if (this.view !== view) return;
      const picture = await view.screenshot().catch(() => null);
      if (picture) records.picture(final.id, await thumbnailOf(picture));
    } catch (error) {
      if (this.view !== view) return;
      this.stop();
      page.changed();
      page.fail(error);
    }
  }

  /** Null while there are no two results. */
  table(): HTMLElement | null {
    const first = this.parts.page.shown;
    if (first?.status !== "succeeded" || this.job?.status !== "succeeded") return null;
    return comparisonTable([first, this.job], this.parts.cards);
  }
}

function noPicture(model: Model): BozzettoError {
  return new BozzettoError({
    code: "no_picture",
    title: "The picture is not at hand",
    detail: `Choose it again, and ${model.title} can have a look at it.`,
    hint: "Pictures are not kept in this browser.",
  });
}
