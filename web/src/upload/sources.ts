// Pictures that are dropped or pasted anywhere on the page, unless the page has its own use for them.

import { deepActiveElement, isEditable } from "../shared/dom";

export interface Sources {
  /** A file hovers over the page, or has left it. */
  onHover(hovering: boolean): void;
  onFile(file: File): void;
}

export function listenForFiles({ onHover, onFile }: Sources, signal: AbortSignal): void {
  const on = <Kind extends keyof DocumentEventMap>(
    kind: Kind,
    listener: (event: DocumentEventMap[Kind]) => void,
  ) => document.addEventListener(kind, listener, { signal });

  const accept = (event: DragEvent) => {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // or the browser shows the file instead of the page
    onHover(true);
  };
  on("dragenter", accept);
  on("dragover", accept);
  on("dragleave", (event) => {
    if (!event.relatedTarget) onHover(false);
  });
  on("drop", (event) => {
    onHover(false);
    const file = event.dataTransfer?.files[0];
    if (event.defaultPrevented || !file) return;
    event.preventDefault();
    onFile(file);
  });
  on("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (event.defaultPrevented || !file || isEditable(deepActiveElement())) return;
    event.preventDefault(); // of several elements, the first takes it
    onFile(file);
  });
}
