// A job in words and figures, for the list under the object and for the comparison.

import type { Artifact, Job, Model } from "bozzetto-client";
import { sizeWords } from "../shared/words";

export interface Fact {
  label: string;
  value: string;
  /** What the figure means, where the label does not say. */
  title?: string;
}

const NUMBER = new Intl.NumberFormat("en-GB");

export function facts(job: Job, card: Model | undefined): Fact[] {
  const mesh = artifactWithFaces(job);
  const points = job.artifacts.find((artifact) => artifact.points !== null)?.points;
  const parameter = (name: string) => job.params[name];
  const rows: (Fact | null)[] = [
    { label: "Model", value: card?.title ?? job.model },
    fact("Time", seconds(job), "from submit to the last file"),
    fact("Steps", parameter("steps")),
    fact("Sampler", parameter("sampler")),
    fact("Guidance", parameter("guidance_scale")),
    fact("Seed", parameter("seed"), "the same seed and picture give the same object"),
    points ? { label: "Points", value: count(points) } : null,
    mesh?.faces ? { label: "Faces", value: count(mesh.faces) } : null,
    ...qualityFacts(mesh),
  ];
  return rows.filter((row) => row !== null);
}

function qualityFacts(mesh: Artifact | undefined): Fact[] {
  const quality = mesh?.quality;
  if (!quality) return [];
  return [
    {
      label: "Surface",
      value: quality.watertight ? "closed" : "open",
      title: "closed: watertight, without holes",
    },
    { label: "Parts", value: count(quality.components), title: "connected components" },
    {
      label: "Distance",
      value: `${(100 * quality.mean_distance).toFixed(2)} %`,
      title: "from the points to the surface, mean, of the object's diameter",
    },
  ];
}

function fact(label: string, value: unknown, title?: string): Fact | null {
  if (typeof value !== "string" && typeof value !== "number") return null;
  return { label, value: String(value), ...(title === undefined ? {} : { title }) };
}

/** One line: model, seconds, size. */
export function caption(job: Job, card: Model | undefined): string {
  const mesh = artifactWithFaces(job);
  const points = job.artifacts.find((artifact) => artifact.points !== null)?.points;
  const parts = [
    card?.title ?? job.model,
    seconds(job),
    points ? `${count(points)} points` : null,
    mesh?.faces ? `${count(mesh.faces)} faces` : null,
  ];
  return parts.filter((part) => part !== null).join(" · ");
}

/** Rows of two columns, in the order of `facts`; what only one has leaves the other's cell empty. */
export function comparison(
  left: readonly Fact[],
  right: readonly Fact[],
): [Fact, string, string][] {
  const value = (column: readonly Fact[], label: string) =>
    column.find((row) => row.label === label)?.value ?? "";
  const longer = left.length >= right.length ? left : right;
  const labels = new Map([...longer, ...left, ...right].map((row) => [row.label, row]));
  return [...labels.values()].map((row) => [row, value(left, row.label), value(right, row.label)]);
}

export function seconds(job: Job): string | null {
  if (job.finished_at === null) return null;
  const value = (Date.parse(job.finished_at) - Date.parse(job.created_at)) / 1000;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
}

/** What stands beside a file's name. */
export function measure(artifact: Artifact): string {
  const parts = [
    artifact.faces ? `${count(artifact.faces)} faces` : null,
    artifact.points ? `${count(artifact.points)} points` : null,
    sizeWords(artifact.bytes),
  ];
  return parts.filter((part) => part !== null).join(", ");
}

/** "14:05 today", "3 March, 14:05": when something happens or happened. */
export function moment(time: number, now = Date.now()): string {
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long" });
  const days = dayOf(time) - dayOf(now);
  const near = new Map([
    [0, "today"],
    [1, "tomorrow"],
    [-1, "yesterday"],
  ]).get(days);
  return near ? `${near} at ${clock.format(time)}` : `${day.format(time)} at ${clock.format(time)}`;
}

function dayOf(time: number): number {
  const date = new Date(time);
  return Math.round(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000);
}

function artifactWithFaces(job: Job): Artifact | undefined {
  return (
    job.artifacts.find(({ name }) => name === "mesh.glb") ??
    job.artifacts.find((artifact) => artifact.faces !== null)
  );
}

function count(value: number): string {
  return NUMBER.format(value);
}
