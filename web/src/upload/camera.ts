// A picture from the camera: the phone's own app where there is one, a small dialog elsewhere.

import { BozzettoError } from "bozzetto-client";

import { h } from "../shared/dom";
import { encode } from "./picture";

/** Phones take better pictures with their own app than a page does. */
export const prefersCameraApp = () =>
  "capture" in HTMLInputElement.prototype && matchMedia("(pointer: coarse)").matches;

/** Browsers show no camera to pages that came over plain HTTP. */
export const hasCamera = () => prefersCameraApp() || Boolean(navigator.mediaDevices?.getUserMedia);

/**
 * The picture, or null when the dialog was closed. Throws BozzettoError `camera_unavailable`.
 *
 * @param stay ends when the dialog's place leaves the page, and the camera must go off.
 */
export async function takePicture(
  place: ParentNode,
  stay: AbortSignal | null,
): Promise<Blob | null> {
  const stream = await openCamera();
  try {
    return stay?.aborted ? null : await ask(place, stream, stay);
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
}

async function openCamera(): Promise<MediaStream> {
  try {
    const video = { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1440 } };
    return await navigator.mediaDevices.getUserMedia({ video });
  } catch (cause) {
    throw new BozzettoError({ code: "camera_unavailable", ...refusal(cause) }, { cause });
  }
}

function refusal(cause: unknown): { title: string; detail: string; hint: string } {
  switch ((cause as DOMException).name) {
    case "NotAllowedError":
      return {
        title: "The camera is not allowed",
        detail: "This page may not use the camera.",
        hint: "Allow it in the browser's settings for this page, or choose a file.",
      };
    case "NotFoundError":
      return {
        title: "No camera was found",
        detail: "This device has none, or it is unplugged.",
        hint: "Choose a file, or paste a picture.",
      };
    default:
      return {
        title: "The camera does not start",
        detail: "Another program may be using it.",
        hint: "Close that program and try again, or choose a file.",
      };
  }
}

function ask(
  place: ParentNode,
  stream: MediaStream,
  stay: AbortSignal | null,
): Promise<Blob | null> {
  const video = h("video", {
    autoplay: true,
    playsinline: true,
    "aria-label": "What the camera sees",
  });
  video.muted = true;
  video.srcObject = stream;
  const take = h("button", { type: "button", class: "primary", disabled: true }, "Take picture");
  const close = h("button", { type: "button", class: "plain" }, "Close");
  const dialog = h(
    "dialog",
    { class: "camera", "aria-label": "Camera" },
    video,
    h("p", { class: "note" }, "One object, on a plain background."),
    h("div", { class: "actions" }, take, close),
  );
  place.append(dialog);
  return new Promise((resolve, reject) => {
    close.addEventListener("click", () => dialog.close());
    video.addEventListener("loadeddata", () => {
      take.disabled = false;
      take.focus();
    });
    take.addEventListener("click", () => {
      const canvas = document.createElement("canvas");
      Object.assign(canvas, { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d")!.drawImage(video, 0, 0);
      encode(canvas, "image/jpeg")
        .then(resolve, reject)
        .finally(() => dialog.close());
    });
    const end = () => {
      stay?.removeEventListener("abort", end);
      dialog.remove();
      resolve(null);
    };
    dialog.addEventListener("close", end);
    stay?.addEventListener("abort", end);
    dialog.showModal();
  });
}
