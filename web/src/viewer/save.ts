import { h } from "../shared/dom";

/** Hands a file to the browser's downloads. */
export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  // Browsers have read it by then; sooner, some have not.
  setTimeout(() => URL.revokeObjectURL(url), 30_000);
}
