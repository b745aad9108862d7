import { h } from "../shared/dom";
import type { Sources } from "./sources";

/** How a device puts an object into a room. */
export type ArWay = "quick-look" | "scene-viewer";

export function arWay({ usdz, mesh }: Sources): ArWay | null {
  if (usdz && document.createElement("a").relList.supports("ar")) return "quick-look";
  // Scene Viewer fetches the file itself and takes nothing but https.
  const reachable = mesh?.url?.startsWith("https:") ?? false;
  return reachable && /android/i.test(navigator.userAgent) ? "scene-viewer" : null;
}

export async function openAr(way: ArWay, { usdz, mesh }: Sources, title: string): Promise<void> {
  if (way === "scene-viewer") {
    h("a", { href: sceneViewerLink(mesh?.url ?? "", title) }).click();
    return;
  }
  const file = await usdz!.load(new AbortController().signal);
  const url = URL.createObjectURL(file);
  // Quick Look opens at once only from a link that holds nothing but a picture.
  h("a", { href: url, rel: "ar" }, h("img")).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** An Android intent, with the file itself for devices without Scene Viewer. */
export function sceneViewerLink(file: string, title: string): string {
  const query = new URLSearchParams({ file, mode: "ar_preferred", title });
  const intent = [
    "scheme=https",
    "package=com.google.android.googlequicksearchbox",
    "action=android.intent.action.VIEW",
    `S.browser_fallback_url=${encodeURIComponent(file)}`,
    "end;",
  ].join(";");
  return `intent://arvr.google.com/scene-viewer/1.2?${query}#Intent;${intent}`;
}
