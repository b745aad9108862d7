// What the page needs of the two elements, so that it does not load the viewer to know its type.

import type { Bozzetto, BozzettoError, Cloud, Job, Progress, SubmitParams } from "bozzetto-client";

export interface ViewerElement extends HTMLElement {
  camera: string;
  showJob(job: Job, client: Bozzetto): void | Promise<void>;
  showCloud(cloud: Cloud): void;
  clear(): void;
  screenshot(): Promise<Blob>;
}

export interface UploadElement extends HTMLElement {
  picture: Blob | null;
  client: Bozzetto;
  readonly job: Job | null;
  readonly params: SubmitParams;
  resume(id: string): Promise<unknown>;
}

interface Events {
  "bozzetto-picture": { blob: Blob | null };
  "bozzetto-submit": { job: Job; blob: Blob; params: SubmitParams };
  "bozzetto-progress": { progress: Progress };
  "bozzetto-cloud": { cloud: Cloud };
  "bozzetto-done": { job: Job };
  "bozzetto-error": { error: BozzettoError; code: string };
  "bozzetto-load": { kind: "points" | "mesh" };
  "bozzetto-camera": { camera: string };
}

export function on<Name extends keyof Events>(
  target: EventTarget,
  name: Name,
  act: (detail: Events[Name]) => void,
  options: AddEventListenerOptions = {},
): void {
  target.addEventListener(
    name,
    (event) => act((event as CustomEvent<Events[Name]>).detail),
    options,
  );
}
