// The page: choose a picture, submit it, follow the job, show what came of it.

import { Problem, call, follow, hasKey, setKey } from "/static/api.js";
import { CloudView } from "/static/cloud.js";
import { Options } from "/static/options.js";
import { parsePly } from "/static/ply.js";

const $ = (id) => document.getElementById(id);
const STAGES = {
  queued: "Waiting for a worker", decode: "Reading the picture", foreground: "Finding the object",
  encode: "Looking at it", reconstruct: "Shaping the points", surface: "Closing the surface", write: "Writing files",
};

let picture = null; // File or Blob
let models = [];
let current = null; // { job, stop: AbortController }
let view = null;
const options = new Options($("options"));

function choose(blob) {
  if (!blob || !/^image\/(png|jpeg|webp)$/.test(blob.type)) {
    fail(new Problem(0, { title: "Unsupported type", detail: "Pictures are PNG, JPEG or WebP." }));
    return;
  }
  picture = blob;
  URL.revokeObjectURL($("picture").src);
  $("picture").src = URL.createObjectURL(blob);
  $("picture").alt = blob.name || "chosen picture";
  $("picture").hidden = false;
  $("prompt").hidden = true;
  $("error").hidden = true;
  $("submit").disabled = Boolean(current);
}

function listenForPictures() {
  $("file").addEventListener("change", () => $("file").files[0] && choose($("file").files[0]));
  const drop = $("drop");
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files[0]) choose(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files || [])][0];
    if (file) choose(file);
  });
}

async function showExamples() {
  const response = await call("/static/examples.json");
  for (const { name, url } of await response.json()) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = name;
    const image = document.createElement("img");
    Object.assign(image, { src: url, alt: name });
    button.append(image);
    button.addEventListener("click", async () => choose(await (await call(url)).blob()));
    $("examples").append(button);
    $("examples").hidden = false;
  }
}

async function showModels() {
  models = (await (await call("/models")).json()).data;
  $("model").replaceChildren(...models.map((model) => {
    const name = model.title + (model.ready ? "" : " (no worker)");
    return new Option(name, model.id, false, false);
  }));
  const first = models.find((model) => model.default && model.ready)
    ?? models.find((model) => model.ready) ?? models.find((model) => model.default);
  if (first) $("model").value = first.id;
  showCard();
}

const chosenCard = () => models.find((model) => model.id === $("model").value);

function showCard() {
  const card = chosenCard();
  options.offer(card);
  $("about").textContent = card?.description ?? "";
}

function fields() {
  const form = new FormData();
  const card = chosenCard();
  form.append("image", picture, picture.name || "picture");
  if (card) {
    form.append("model", card.id);
    form.append("outputs", [...new Set(["points.ply", ...card.default_outputs])].join(","));
  }
  options.write(form);
  form.append("remove_background", $("background").value);
  return form;
}

async function submit(event) {
  event.preventDefault();
  if (!picture || current) return;
  if (!$("key-row").hidden) setKey($("key").value);
  clear();
  busy(true);
  $("stage-area").classList.add("waiting");
  say("Sending the picture", 0);
  try {
    const job = await (await call("/reconstruct", { method: "POST", body: fields() })).json();
    history.replaceState(null, "", `#job=${job.id}`);
    await watch(job);
  } catch (error) {
    fail(error);
  } finally {
    busy(false);
  }
}

async function watch(job) {
  const stop = new AbortController();
  current = { job, stop };
  $("cancel").hidden = false;
  tellQueue(job);
  await follow(job.links.events, (event) => {
    if (event.kind === "progress") tellProgress(event.data);
    if (event.data.state === "running") say("A worker has begun", 1);
    if (event.data.state === "queued") tellQueue(job);
  }, stop.signal);
  await finish(await (await call(job.links.self)).json());
}

function tellProgress(progress) {
  say(STAGES[progress.stage] || progress.stage, progress.percent, progress);
  if (!progress.preview) return;
  current.steps = progress.steps || current.steps;
  peek(current, progress.preview);
}

/** Show the object as it is guessed now: one request at a time, for the newest only. */
async function peek(job, preview) {
  job.wanted = preview;
  if (job.peeking) return;
  job.peeking = true;
  while (job === current && job.wanted.step !== job.peeked) {
    const { url, step } = job.wanted;
    try {
      const points = parsePly(await (await call(url)).arrayBuffer());
      if (job !== current) break;
      draw(points, { stay: job.peeked !== undefined });
      $("forming").textContent = `Taking shape · step ${step} of ${job.steps}`;
      $("forming").hidden = false;
    } catch {
      // The job has just ended, or the next preview comes soon.
    }
    job.peeked = step;
  }
  job.peeking = false;
}

function tellQueue(job) {
  const ahead = job.queue?.position;
  say(ahead ? `Waiting, ${ahead} ahead` : STAGES.queued, null);
}

async function finish(job) {
  const peeked = current?.peeked !== undefined;
  current = null; // no more previews
  for (const id of ["status", "forming"]) $(id).hidden = true;
  if (peeked && job.status !== "succeeded") undraw();
  if (job.status === "succeeded") await show(job, { stay: peeked });
  else if (job.error) fail(new Problem(0, { ...job.error, title: "The job failed" }));
  else if (job.status === "canceled") fail(new Problem(0, { title: "Canceled", detail: "The job was stopped." }));
  else if (job.status === "expired") fail(new Problem(0, { title: "Expired", detail: "The job's time was over." }));
  else fail(new Problem(0, { detail: "The connection to the job was lost.", hint: "Reload the page to go on." }));
}

async function show(job, { stay = false } = {}) {
  $("files").replaceChildren(...job.artifacts.map(fileRow));
  $("facts").textContent = facts(job);
  $("result").hidden = false;
  if (matchMedia("(min-width: 52rem)").matches) $("result").scrollIntoView({ block: "nearest" });
  const cloud = job.artifacts.find((artifact) => artifact.name === "points.ply");
  if (!cloud) return;
  draw(parsePly(await (await call(cloud.url)).arrayBuffer()), { stay });
}

function draw(points, { stay }) {
  $("canvas").hidden = false;
  view ??= new CloudView($("canvas"));
  view.show(points, { stay });
  $("stage-area").classList.remove("waiting");
  $("empty").hidden = true;
  $("help").hidden = false;
  if (!stay) $("stage-area").scrollIntoView({ block: "nearest" });
}

/** What was on the way to an object that never came. */
function undraw() {
  for (const id of ["canvas", "help"]) $(id).hidden = true;
  $("empty").hidden = false;
}

function fileRow(artifact) {
  const row = document.createElement("li");
  const link = document.createElement("a");
  Object.assign(link, { href: artifact.url, download: artifact.name, textContent: artifact.name });
  if (hasKey()) link.addEventListener("click", (event) => { event.preventDefault(); download(artifact).catch(fail); });
  const size = document.createElement("span");
  const counted = artifact.faces ? `${artifact.faces.toLocaleString()} faces, `
    : artifact.points ? `${artifact.points.toLocaleString()} points, ` : "";
  size.textContent = `${counted}${Math.max(artifact.bytes / 1000, 0.1).toFixed(artifact.bytes < 1e4 ? 1 : 0)} kB`;
  row.append(link, size);
  return row;
}

/** A plain link cannot carry the key. */
async function download(artifact) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await (await call(artifact.url)).blob());
  link.download = artifact.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function facts(job) {
  const seconds = (new Date(job.finished_at) - new Date(job.created_at)) / 1000;
  const steps = job.params.steps ? `${job.params.steps} steps, ` : "";
  return `${job.model}, ${steps}seed ${job.params.seed}, ${seconds.toFixed(1)} s`;
}

function say(text, percent, step) {
  $("status").hidden = false;
  $("stage").textContent = step?.steps > 1 ? `${text} (${step.step} of ${step.steps})` : text;
  if (percent === null) $("progress").removeAttribute("value");
  else $("progress").value = percent;
}

function fail(error) {
  if (error.name === "AbortError") return;
  for (const id of ["status", "forming"]) $(id).hidden = true;
  $("stage-area").classList.remove("waiting");
  if (error.status === 401) $("key-row").hidden = false;
  const title = document.createElement("strong");
  title.textContent = error.title || "Something went wrong";
  const lines = [error.message, error.hint].filter(Boolean).map((text) => {
    const line = document.createElement("p");
    line.textContent = text;
    return line;
  });
  $("error").replaceChildren(title, ...lines);
  $("error").hidden = false;
}

function clear() {
  for (const id of ["error", "result", "status"]) $(id).hidden = true;
}

function busy(on) {
  $("submit").disabled = on || !picture;
  if (!on) { current = null; $("cancel").hidden = true; }
}

async function cancel() {
  if (!current) return;
  try {
    await call(current.job.links.cancel, { method: "POST" });
    say("Stopping", null);
  } catch (error) {
    if (error.code !== "already_final") fail(error);
  }
}

/** A link to a job, as the page itself leaves in its address. */
async function resume() {
  const id = /^#job=([0-9a-f]{32})$/.exec(location.hash)?.[1];
  if (!id) return;
  busy(true);
  try {
    const job = await (await call(`/jobs/${id}`)).json();
    if (["queued", "running"].includes(job.status)) await watch(job);
    else await finish(job);
  } catch (error) {
    if (error.status === 404 || error.status === 410) history.replaceState(null, "", location.pathname);
    else fail(error);
  } finally {
    busy(false);
  }
}

listenForPictures();
$("form").addEventListener("submit", submit);
$("cancel").addEventListener("click", cancel);
$("model").addEventListener("change", showCard);
showModels().catch(fail);
showExamples().catch(() => {});
resume();
