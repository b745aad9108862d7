/** The vertical field of view in radians: a long lens, which keeps near parts from swelling. */
export const FIELD = 0.5;
const MARGIN = 1.17;
const MOST_SAMPLES = 4000;

export interface Frame {
  center: readonly [number, number, number];
  /** Of the sphere about the centre that holds the object. */
  radius: number;
  /** Lowest point. */
  ground: number;
  /** Rings about the vertical through the centre that hold the object: [radius, height] pairs. */
  rings: readonly (readonly [number, number])[];
}

/** The unit sphere of diameter 1 about the origin, in which the service's objects lie. */
export const UNIT_FRAME: Frame = {
  center: [0, 0, 0],
  radius: 0.5,
  ground: -0.4,
  rings: [
    [0.5, 0],
    [0.42, 0.27],
    [0.42, -0.27],
    [0.2, 0.458],
    [0.2, -0.458],
  ],
};

/** Measures positions [N * 3], N >= 1. */
export function measureFrame(positions: Float32Array): Frame {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let at = 0; at < positions.length; at++) {
    const value = positions[at]!;
    const axis = at % 3;
    if (value < low[axis]!) low[axis] = value;
    if (value > high[axis]!) high[axis] = value;
  }
  const middle = (axis: number) => (low[axis]! + high[axis]!) / 2;
  const center = [middle(0), middle(1), middle(2)] as const;
  const stride = 3 * Math.max(1, Math.ceil(positions.length / 3 / MOST_SAMPLES));
  const rings: [number, number][] = [];
  let radius = 0;
  for (let at = 0; at < positions.length; at += stride) {
    const [x, y, z] = [0, 1, 2].map((axis) => positions[at + axis]! - center[axis]!);
    const ring: [number, number] = [Math.hypot(x ?? 0, z ?? 0), y ?? 0];
    radius = Math.max(radius, Math.hypot(...ring));
    rings.push(ring);
  }
  return { center, radius: radius || 0.5, ground: low[1]!, rings };
}

/**
 * How far the camera must stand from the centre to hold the object whichever way it is turned.
 *
 * @param tilt of the camera above the horizon, radians.
 * @param aspect width by height of the window.
 */
export function fitDistance(frame: Frame, tilt: number, aspect: number): number {
  const rise = Math.tan(FIELD / 2);
  const [sine, cosine] = [Math.sin(tilt), Math.cos(tilt)];
  // A ring's point at angle a lies r sin(a) to the side, y cos(tilt) - r cos(a) sin(tilt) up and
  // r cos(a) cos(tilt) + y sin(tilt) towards the camera. The worst angle has a closed form.
  const worst = (side: number, front: number, rest: number) => Math.hypot(side, front) + rest;
  let distance = 0;
  for (const [r, y] of frame.rings) {
    const wide = worst(r / (rise * aspect), r * cosine, y * sine);
    const top = worst(0, r * (cosine - sine / rise), y * (sine + cosine / rise));
    const bottom = worst(0, r * (cosine + sine / rise), y * (sine - cosine / rise));
    distance = Math.max(distance, wide, top, bottom);
  }
  return MARGIN * Math.max(distance, frame.radius * 1.05);
}

/** Slow at both ends. */
export function ease(share: number): number {
  return share * share * (3 - 2 * share);
}
