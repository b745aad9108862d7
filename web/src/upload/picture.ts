// A file to the picture that is sent: its kind known by its content, its size cut down to what is of use.

import { BozzettoError } from "bozzetto-client";

const JPEG_QUALITY = 0.92;

/** Media type by the first bytes, or null: names and stated types are often wrong. */
export function sniffType(head: Uint8Array): string | null {
  const ascii = String.fromCharCode(...head.subarray(0, 12));
  if (ascii.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (ascii.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (ascii.startsWith("RIFF") && ascii.slice(8, 12) === "WEBP") return "image/webp";
  return null;
}

/** The size that fits `longest`, in the same shape; never larger than it was. */
export function fitWithin(width: number, height: number, longest: number): [number, number] {
  const scale = Math.min(longest / Math.max(width, height), 1);
  const scaled = (side: number) => Math.max(Math.round(side * scale), 1);
  return [scaled(width), scaled(height)];
}

/**
 * The file itself where it is small enough, else a smaller copy, upright, with its transparency.
 * Throws BozzettoError `unsupported_type` or `image_undecodable`, as the server would, or
 * `file_unreadable`.
 */
export async function preparePicture(file: Blob, longest: number): Promise<Blob> {
  const type = sniffType(await readHead(file));
  if (!type) throw refused(file);
  const bitmap = await decode(file);
  try {
    const [width, height] = fitWithin(bitmap.width, bitmap.height, longest);
    if (width === bitmap.width && height === bitmap.height) return named(file, type);
    return await shrink(bitmap, width, height, type);
  } finally {
    bitmap.close();
  }
}

async function readHead(file: Blob): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.slice(0, 12).arrayBuffer());
  } catch (cause) {
    throw new BozzettoError(
      {
        code: "file_unreadable",
        title: "The file cannot be read",
        detail: "It may be a folder, or may have been moved meanwhile.",
        hint: "Choose it again.",
      },
      { cause },
    );
  }
}

function refused(file: Blob): BozzettoError {
  const name = file instanceof File && file.name ? `The file "${file.name}"` : "This file";
  return new BozzettoError({
    code: "unsupported_type",
    detail: `${name} is no PNG, JPEG or WebP picture.`,
    hint: "Save it as one of these, or take a screenshot of it and paste that.",
  });
}

async function decode(file: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch (cause) {
    throw new BozzettoError(
      {
        code: "image_undecodable",
        detail: "The file is damaged or cut short.",
        hint: "Save it anew, or choose another picture.",
      },
      { cause },
    );
  }
}

async function shrink(
  bitmap: ImageBitmap,
  width: number,
  height: number,
  type: string,
): Promise<Blob> {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  const transparent = type !== "image/jpeg" && hasTransparency(context, width, height);
  return encode(canvas, transparent ? "image/png" : "image/jpeg");
}

function hasTransparency(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
): boolean {
  const { data } = context.getImageData(0, 0, width, height);
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return true;
  return false;
}

/** Throws BozzettoError `image_undecodable` where the browser has no memory for it. */
export function encode(canvas: HTMLCanvasElement, type: string): Promise<Blob> {
  return new Promise((resolve, reject) => {
    canvas.toBlob(
      (blob) => {
        if (blob) resolve(blob);
        else
          reject(
            new BozzettoError({
              code: "image_undecodable",
              detail: "The picture is too large for this browser.",
            }),
          );
      },
      type,
      JPEG_QUALITY,
    );
  });
}

/** The stated type is what a server reads of a raw body, so it had better be true. */
function named(file: Blob, type: string): Blob {
  if (file.type === type) return file;
  return file instanceof File ? new File([file], file.name, { type }) : new Blob([file], { type });
}
