// The strip of what this browser has made.

import { h } from "../shared/dom";
import { button } from "./dom";
import { moment } from "./facts";
import type { JobRecord, JobRecords, RecordState } from "./records";

const WORDS: Readonly<Record<RecordState, string>> = {
  queued: "waiting",
  running: "running",
  succeeded: "",
  failed: "failed",
  canceled: "cancelled",
  expired: "expired",
  gone: "expired",
};

export interface GalleryParts {
  list: HTMLElement;
  note: HTMLElement;
  all: HTMLButtonElement;
}

export class Gallery {
  private current: readonly string[] = [];

  constructor(
    private readonly parts: GalleryParts,
    private readonly records: JobRecords,
    private readonly titleOf: (model: string) => string,
    private readonly remove: (records: readonly JobRecord[]) => void,
  ) {
    parts.all.addEventListener("click", () => remove(records.list()));
    records.addEventListener("change", () => this.draw());
    this.draw();
  }

  /** Marks the jobs that are on screen. */
  mark(...ids: readonly string[]): void {
    this.current = ids;
    for (const item of this.parts.list.querySelectorAll("a")) {
      if (ids.includes(item.dataset["id"] ?? "")) item.setAttribute("aria-current", "true");
      else item.removeAttribute("aria-current");
    }
  }

  draw(): void {
    const { list, note, all } = this.parts;
    const focused = (document.activeElement as HTMLElement | null)?.dataset["id"];
    const records = this.records.list();
    list.replaceChildren(...records.map((record) => this.item(record)));
    list.hidden = all.hidden = records.length === 0;
    note.hidden = records.length > 0;
    this.mark(...this.current);
    if (focused) list.querySelector<HTMLElement>(`[data-id="${focused}"]`)?.focus();
  }

  private item(record: JobRecord): HTMLLIElement {
    const title = this.titleOf(record.model);
    const words = WORDS[record.state];
    const label = [title, moment(record.created), words].filter(Boolean).join(", ");
    const picture = record.thumbnail
      ? h("img", { src: record.thumbnail, alt: "", width: "72", height: "72" })
      : h("span", { class: "blank", "aria-hidden": "true" });
    const link = h(
      "a",
      { href: `#job=${record.id}`, "data-id": record.id, title: label },
      picture,
      h("span", { class: "unseen" }, label),
    );
    if (words) link.append(h("span", { class: "state", "aria-hidden": "true" }, words));
    const close = button("×", () => this.remove([record]), {
      class: "remove",
      "aria-label": `Delete ${label}`,
    });
    return h("li", { "data-state": record.state }, link, close);
  }
}
