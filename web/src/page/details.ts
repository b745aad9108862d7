// A job's figures and files.

import type { Artifact, Bozzetto, Job, Model } from "bozzetto-client";
import { h } from "../shared/dom";
import { comparison, facts, measure, moment, type Fact } from "./facts";

export function details(job: Job, card: Model | undefined, client: Bozzetto): HTMLElement[] {
  const list = h("dl", { class: "facts" });
  for (const { label, value, title } of facts(job, card)) {
    list.append(h("div", {}, term("dt", label, title), h("dd", {}, value)));
  }
  const files = h("ul", { class: "files" });
  for (const artifact of job.artifacts) files.append(fileRow(artifact, job, client));
  const parts: HTMLElement[] = [list];
  if (job.artifacts.length > 0) parts.push(h("h3", {}, "Files"), files);
  if (job.expires_at !== null) {
    parts.push(h("p", { class: "note" }, `Kept until ${moment(Date.parse(job.expires_at))}.`));
  }
  return parts;
}

export function comparisonTable(
  jobs: readonly [Job, Job],
  cards: ReadonlyMap<string, Model>,
): HTMLTableElement {
  const [left, right] = jobs.map((job) => facts(job, cards.get(job.model))) as [Fact[], Fact[]];
  const rows = comparison(left, right);
  const heads = rows.filter(([{ label }]) => label === "Model").flatMap(([, ...cells]) => cells);
  const body = h("tbody");
  for (const [{ label, title }, ...cells] of rows) {
    if (label === "Model") continue;
    const row = h("tr", {}, term("th", label, title, { scope: "row" }));
    row.append(...cells.map((cell) => h("td", {}, cell || "–")));
    body.append(row);
  }
  const columns = heads.map((text) => h("th", { scope: "col" }, text));
  const head = h("thead", {}, h("tr", {}, h("td"), ...columns));
  return h("table", { class: "versus" }, head, body);
}

function term<Tag extends "dt" | "th">(
  tag: Tag,
  label: string,
  title: string | undefined,
  attributes: Record<string, string> = {},
): HTMLElementTagNameMap[Tag] {
  return h(tag, { ...attributes, ...(title ? { title } : {}) }, label);
}

function fileRow(artifact: Artifact, job: Job, client: Bozzetto): HTMLLIElement {
  const link = h("a", { href: client.url(artifact.url), download: artifact.name }, artifact.name);
  link.addEventListener("click", (event) => {
    // A plain link cannot carry a key; one that is opened elsewhere is the visitor's own affair.
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    void save(client.download(job, artifact.name), artifact.name, link);
  });
  return h("li", {}, link, h("span", {}, measure(artifact)));
}

async function save(file: Promise<Blob>, name: string, link: HTMLElement): Promise<void> {
  try {
    const url = URL.createObjectURL(await file);
    h("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    link.after(h("em", { role: "alert" }, words));
  }
}
