import type { Frame } from "./framing";

export const SHADOW_SIZE = 96;
/** Half the shadow's width, in radii of the object. */
export const SHADOW_REACH = 1.6;

/**
 * The soft shade under an object: [SHADOW_SIZE ** 2] bytes, rows along z, columns along x, 255 darkest.
 *
 * What is near the ground shades strongly and sharply, what is high shades little and widely.
 */
export function contactShadow(samples: Float32Array, frame: Frame): Uint8Array<ArrayBuffer> {
  const size = SHADOW_SIZE;
  const near = new Float32Array(size * size);
  const far = new Float32Array(size * size);
  const scale = size / (2 * SHADOW_REACH * frame.radius);
  const [x0, , z0] = frame.center;
  for (let at = 0; at < samples.length; at += 3) {
    const column = Math.floor((samples[at]! - x0) * scale + size / 2);
    const row = Math.floor((samples[at + 2]! - z0) * scale + size / 2);
    if (column < 0 || row < 0 || column >= size || row >= size) continue;
    const height = (samples[at + 1]! - frame.ground) / frame.radius;
    const cell = row * size + column;
    near[cell] = Math.max(near[cell]!, Math.exp(-height / 0.12));
    far[cell] = Math.max(far[cell]!, Math.exp(-height / 0.9));
  }
  blur(near, size, 2);
  blur(far, size, 7);
  const shade = new Uint8Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const cell = row * size + column;
      const dark =
        1 - (1 - Math.min(0.66 * near[cell]!, 0.66)) * (1 - Math.min(0.5 * far[cell]!, 0.5));
      const out = Math.hypot(row - size / 2, column - size / 2) / (size / 2);
      shade[cell] = Math.round(255 * dark * smooth(1, 0.7, out));
    }
  }
  return shade;
}

function smooth(from: number, to: number, value: number): number {
  const share = Math.min(Math.max((value - from) / (to - from), 0), 1);
  return share * share * (3 - 2 * share);
}

/** Three box blurs in a row, in place: nearly a Gaussian. */
function blur(field: Float32Array, size: number, reach: number): void {
  const line = new Float32Array(size);
  const pass = (start: number, step: number) => {
    let sum = 0;
    for (let at = 0; at < reach; at++) sum += field[start + at * step]!;
    for (let at = 0; at < size; at++) {
      if (at + reach < size) sum += field[start + (at + reach) * step]!;
      if (at - reach - 1 >= 0) sum -= field[start + (at - reach - 1) * step]!;
      line[at] = sum / (2 * reach + 1);
    }
    for (let at = 0; at < size; at++) field[start + at * step] = line[at]!;
  };
  for (let round = 0; round < 3; round++) {
    for (let at = 0; at < size; at++) pass(at * size, 1);
    for (let at = 0; at < size; at++) pass(at, size);
  }
}
