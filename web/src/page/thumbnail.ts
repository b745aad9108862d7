// Small pictures for the history.

const SIDE = 144; // pixels, twice what is shown

const REST_MS = 2000;

/** A viewer that got a new object glides to where it fits. */
export function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, REST_MS));
}

/** data: URL of a few kB, or null where the picture cannot be read. Trims what is transparent. */
export async function thumbnailOf(picture: Blob): Promise<string | null> {
  try {
    const bitmap = await createImageBitmap(picture);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SIDE;
    const context = canvas.getContext("2d");
    if (context === null) return null;
    const { x, y, side } = visibleSquare(bitmap);
    context.drawImage(bitmap, x, y, side, side, 0, 0, SIDE, SIDE);
    bitmap.close();
    // Browsers that cannot write WebP give PNG, which is larger and as good.
    return canvas.toDataURL("image/webp", 0.8);
  } catch {
    return null;
  }
}

/** The smallest square about everything that is not transparent, with a little air. */
function visibleSquare(bitmap: ImageBitmap): { x: number; y: number; side: number } {
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (context === null) return middleSquare(bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let i = 0; i < width * height; i++) {
    if (data[4 * i + 3]! < 8) continue;
    const column = i % width;
    const row = (i - column) / width;
    left = Math.min(left, column);
    right = Math.max(right, column);
    top = Math.min(top, row);
    bottom = row;
  }
  if (right < 0) return middleSquare(bitmap.width, bitmap.height);
  const side = (1.08 * Math.max(right - left + 1, bottom - top + 1)) / scale;
  const centre = { x: (left + right + 1) / 2 / scale, y: (top + bottom + 1) / 2 / scale };
  return { x: centre.x - side / 2, y: centre.y - side / 2, side };
}

function middleSquare(width: number, height: number): { x: number; y: number; side: number } {
  const side = Math.max(width, height);
  return { x: (width - side) / 2, y: (height - side) / 2, side };
}
