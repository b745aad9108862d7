import type { Bozzetto, Job, Model } from "bozzetto-client";
import { queueWords, stageWords } from "../shared/words";
import { recall } from "../upload/key";
import { isPlace, readAddress, writeAddress } from "./address";
import { CodePanel } from "./code";
import { Comparison } from "./comparison";
import { details } from "./details";
import { part } from "./dom";
import { on, type UploadElement, type ViewerElement } from "./elements";
import { caption } from "./facts";
import { Gallery } from "./gallery";
import { Notice } from "./notice";
import { JobRecords, localShelf, type JobRecord } from "./records";
import { removeRecords } from "./removal";
import { pictureName, requestOfForm, requestOfJob, type RequestBase } from "./snippets";
import { rest, thumbnailOf } from "./thumbnail";

/** Made by this service from one of the example pictures. */
const EXAMPLE = { mesh: "/static/examples/chair.glb", label: "An example: a chair" };
const INVITATION = "An example. Choose a picture of one object, and yours takes shape here.";
const SIDE_BY_SIDE = "One picture, two models. Turn one, and the other follows.";

const ONE_COLUMN = matchMedia("(max-width: 60rem)");

/** What is on screen, and how it comes there: by the form, from the history, by a link. */
export class Page {
  private readonly upload = part<UploadElement>("upload");
  private readonly viewer = part<ViewerElement>("viewer");
  private readonly show = part("show");
  private readonly stage = part("first");
  private readonly caption = part("caption");
  private readonly figures = part("facts");
  private readonly placeholder = [...this.figures.children];
  private readonly notice = new Notice(part("notice"));
  private readonly records = new JobRecords(localShelf());
  private readonly code = new CodePanel(part("code"));
  private readonly cards = new Map<string, Model>();
  private readonly gallery = new Gallery(
    { list: part("history"), note: part("history-note"), all: part("forget-all") },
    this.records,
    (model) => this.cards.get(model)?.title ?? model,
    (records) => void this.remove(records),
  );
  private readonly comparison: Comparison;
  private job: Job | null = null;
  /** Counts what was asked to be shown: a slow answer to an older question is dropped. */
  private turn = 0;
  private formBefore = "";
  private portrayed = "";
  /** Whether there is WebGL. */
  private drawable = true;

  constructor() {
    this.comparison = new Comparison({
      page: this,
      cards: this.cards,
      records: this.records,
      viewer: this.viewer,
      stage: part("views"),
      firstCaption: part("first-caption"),
      second: part("second"),
      actions: part("actions"),
    });
    this.caption.textContent = this.captionNow();
    this.listen();
  }

  get client(): Bozzetto {
    return this.upload.client;
  }

  /** Loads the viewer and the models, then shows what the address names. */
  async start(): Promise<void> {
    const viewer = import("../viewer/index");
    // Where the server does not answer, the form says so.
    const models = this.client.models().catch(() => []);
    try {
      await viewer;
    } catch {
      this.notice.say("The viewer could not be loaded.", "Is the server running?", {
        text: "Reload the page",
        act: () => location.reload(),
      });
      return;
    }
    for (const card of await models) this.cards.set(card.id, card);
    this.gallery.draw();
    this.showForm();
    await this.followAddress();
    if (this.job === null && location.hash === "") this.showExample();
  }

  private listen(): void {
    on(this.upload, "bozzetto-submit", ({ job, blob }) => void this.begin(job, blob));
    on(this.upload, "bozzetto-progress", ({ progress }) => {
      const { job } = this.upload;
      if (job && this.records.get(job.id)?.state === "queued")
        this.records.keep({ ...job, status: "running" });
      if (this.onScreen(this.upload.job) && !this.comparison.active)
        this.caption.textContent = stageWords(progress);
    });
    on(this.upload, "bozzetto-cloud", ({ cloud }) => {
      if (!this.onScreen(this.upload.job)) return;
      delete this.stage.dataset["waiting"];
      this.viewer.showCloud(cloud);
    });
    on(this.upload, "bozzetto-done", ({ job }) => void this.end(job));
    on(this.upload, "bozzetto-error", () => {
      if (!this.onScreen(this.upload.job)) return;
      delete this.stage.dataset["waiting"];
      this.caption.textContent = this.captionNow();
    });
    on(this.viewer, "bozzetto-load", () => void this.portray());
    on(this.viewer, "bozzetto-error", ({ code }) => {
      if (code !== "no_webgl") return;
      this.drawable = false;
      this.askFor("preview.png");
    });
    if (document.createElement("a").relList.supports("ar")) this.askFor("mesh.usdz");
    for (const name of ["bozzetto-picture", "input", "change", "click"]) {
      this.upload.addEventListener(name, () => requestAnimationFrame(() => this.showForm()));
    }
    addEventListener("hashchange", () => void this.followAddress());
    addEventListener("storage", (event) => {
      if (event.key === null || event.key === "bozzetto-history") this.records.reload();
    });
  }

  /** A file that this browser needs to show the object. */
  private askFor(output: string): void {
    const outputs = this.upload.getAttribute("outputs") ?? "points.ply,mesh.glb";
    if (!outputs.includes(output)) this.upload.setAttribute("outputs", `${outputs},${output}`);
  }

  private onScreen(job: Job | null): boolean {
    return job !== null && job.id === this.job?.id;
  }

  private async begin(job: Job, picture: Blob | null): Promise<void> {
    this.turn++;
    this.comparison.stop();
    this.notice.clear();
    this.job = job;
    this.hangPoster(null);
    this.stage.dataset["waiting"] = "";
    this.bringToView();
    if (!picture) return this.changed();
    this.comparison.remember(job, picture);
    this.records.keep(job);
    this.changed({ asNewPage: true });
    const thumbnail = await thumbnailOf(picture);
    if (!this.records.get(job.id)?.thumbnail) this.records.picture(job.id, thumbnail);
  }

  /** On a phone, object, form and history are not seen at once. */
  private bringToView(): void {
    if (ONE_COLUMN.matches) this.show.scrollIntoView();
  }

  private async end(job: Job): Promise<void> {
    if (this.records.get(job.id)) this.records.keep(job);
    // Of a job that failed, the form says why.
    if (this.onScreen(job)) await this.present(job, { saysWhy: false });
  }

  private async followAddress(): Promise<void> {
    if (isPlace(location.hash)) return this.changed();
    const { job, beside } = readAddress(location.hash);
    if (job === null) {
      if (this.job !== null) this.empty();
      return;
    }
    if (beside !== this.comparison.jobId) this.comparison.stop();
    if (job !== this.job?.id) await this.open(job);
    if (this.job?.id !== job) return;
    if (beside !== null && beside !== this.comparison.jobId)
      await this.comparison.startWith(beside);
    else this.changed();
  }

  private async open(id: string): Promise<void> {
    const turn = ++this.turn;
    this.comparison.stop();
    this.notice.clear();
    try {
      const job = await this.client.job(id);
      if (turn !== this.turn) return;
      if (this.records.get(id)) this.records.keep(job);
      this.bringToView();
      if (job.status === "queued" || job.status === "running") {
        await this.begin(job, null);
        if (this.upload.job?.id !== id) await this.upload.resume(id);
      } else {
        await this.present(job);
      }
    } catch (error) {
      if (turn === this.turn) this.refuse(id, error);
    }
  }

  private refuse(id: string, error: unknown): void {
    this.empty({ keepAddress: true });
    this.gallery.mark(id);
    this.caption.textContent = "";
    if (this.notice.isGone(error)) this.records.markGone(id);
    this.notice.tell(error, () => void this.open(id));
    if (this.notice.wantsKey(error)) void this.upload.resume(id); // it has the field for the key
  }

  private async present(job: Job, { saysWhy = true } = {}): Promise<void> {
    this.job = job;
    this.notice.clear();
    this.hangPoster(null);
    delete this.stage.dataset["waiting"];
    const card = this.cards.get(job.model);
    const succeeded = job.status === "succeeded";
    this.code.show(requestOfJob(job, card, this.base()));
    this.changed();
    if (succeeded) {
      this.viewer.setAttribute("label", caption(job, card));
      await this.viewer.showJob(job, this.client);
      await this.showPoster(job);
    } else {
      this.viewer.clear();
      if (saysWhy) this.notice.tellEnd(job);
    }
  }

  /** For browsers without WebGL. */
  private async showPoster(job: Job): Promise<void> {
    if (this.drawable || !job.artifacts.some(({ name }) => name === "preview.png")) return;
    const picture = await this.client.download(job, "preview.png").catch(() => null);
    if (picture && this.onScreen(job)) this.hangPoster(picture);
  }

  private hangPoster(picture: Blob | null): void {
    const before = this.viewer.getAttribute("poster");
    if (before !== null) URL.revokeObjectURL(before);
    if (picture) this.viewer.setAttribute("poster", URL.createObjectURL(picture));
    else this.viewer.removeAttribute("poster");
  }

  /** The object takes the place of the picture in the history. */
  private async portray(): Promise<void> {
    const job = this.job;
    if (job?.status !== "succeeded" || job.id === this.portrayed) return;
    this.portrayed = job.id;
    await rest();
    const picture = await this.viewer.screenshot().catch(() => null);
    if (picture && this.onScreen(job)) this.records.picture(job.id, await thumbnailOf(picture));
  }

  private empty({ keepAddress = false } = {}): void {
    this.turn++;
    this.job = null;
    this.comparison.stop();
    this.viewer.clear();
    this.hangPoster(null);
    delete this.stage.dataset["waiting"];
    if (keepAddress) {
      this.comparison.update();
      this.figures.replaceChildren(...this.figuresNow());
    } else {
      this.changed();
      this.showExample();
    }
    this.formBefore = "";
    this.showForm();
  }

  private showExample(): void {
    this.viewer.removeAttribute("mesh"); // the same address again would be no change
    for (const [name, value] of Object.entries(EXAMPLE)) this.viewer.setAttribute(name, value);
  }

  changed({ asNewPage = false } = {}): void {
    const job = this.job?.id ?? null;
    const beside = this.comparison.jobId;
    const hash = writeAddress({ job, beside });
    if (hash !== location.hash) {
      const place = hash || location.pathname;
      if (asNewPage) history.pushState(null, "", place);
      else history.replaceState(null, "", place);
    }
    this.gallery.mark(...[job, beside].filter((id) => id !== null));
    this.comparison.update();
    this.caption.textContent = this.captionNow();
    this.figures.replaceChildren(...this.figuresNow());
  }

  private captionNow(): string {
    if (this.comparison.active) return SIDE_BY_SIDE;
    if (this.job === null) return INVITATION;
    if (this.job.finished_at === null) return queueWords(this.job.queue);
    return this.job.status === "succeeded" ? caption(this.job, this.cards.get(this.job.model)) : "";
  }

  private figuresNow(): Iterable<Element> {
    const table = this.comparison.table();
    if (table) return [table];
    if (this.job?.finished_at == null) return this.placeholder;
    return details(this.job, this.cards.get(this.job.model), this.client);
  }

  get shown(): Job | null {
    return this.job;
  }

  fail(error: unknown): void {
    this.notice.tell(error, null);
  }

  private showForm(): void {
    const { params } = this.upload;
    const request = requestOfForm(params, this.cards.get(params.model ?? ""), this.base());
    const text = JSON.stringify(request);
    if (text === this.formBefore) return;
    this.formBefore = text;
    this.code.show(request);
  }

  private base(): RequestBase {
    return {
      server: location.origin,
      picture: pictureName(this.upload.picture),
      keyed: recall("") !== "",
    };
  }

  private async remove(records: readonly JobRecord[]): Promise<void> {
    const ids = await removeRecords(part("ask"), records, this.records, this.client, this.notice);
    if (this.job && ids.includes(this.job.id)) return this.empty();
    if (!ids.includes(this.comparison.jobId ?? "")) return;
    this.comparison.stop();
    this.changed();
  }
}
