/** Where the camera stands, in terms that suit any object and any window. */
export interface Pose {
  /** Radians about the vertical; 0 looks at the front, positive from the right of it. */
  turn: number;
  /** Radians above the horizon. */
  tilt: number;
  /** 1 shows the whole object, 2 is twice as near. */
  zoom: number;
  /** What is looked at, from the object's centre, in radii of the object. */
  pan: readonly [number, number, number];
}

export const START: Pose = { turn: -0.45, tilt: 0.2, zoom: 1, pan: [0, 0, 0] };
export const MIN_ZOOM = 0.4;
export const MAX_ZOOM = 8;
const MAX_TILT = 1.5;
const MAX_PAN = 1.5;
const DEGREES = 180 / Math.PI;

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);

/** The nearest pose that is allowed. */
export function limited(pose: Pose): Pose {
  const [x, y, z] = pose.pan;
  return {
    turn: pose.turn,
    tilt: clamp(pose.tilt, -MAX_TILT, MAX_TILT),
    zoom: clamp(pose.zoom, MIN_ZOOM, MAX_ZOOM),
    pan: [clamp(x, -MAX_PAN, MAX_PAN), clamp(y, -MAX_PAN, MAX_PAN), clamp(z, -MAX_PAN, MAX_PAN)],
  };
}

/** `from` moved a share of the way to `to`: 0 stays, 1 arrives. */
export function between(from: Pose, to: Pose, share: number): Pose {
  const mix = (a: number, b: number) => a + share * (b - a);
  return {
    turn: mix(from.turn, to.turn),
    tilt: mix(from.tilt, to.tilt),
    zoom: Math.exp(mix(Math.log(from.zoom), Math.log(to.zoom))),
    pan: [mix(from.pan[0], to.pan[0]), mix(from.pan[1], to.pan[1]), mix(from.pan[2], to.pan[2])],
  };
}

/** Whether nobody could see the difference. */
export function close(a: Pose, b: Pose): boolean {
  const gaps = [a.turn - b.turn, a.tilt - b.tilt, Math.log(a.zoom / b.zoom)];
  for (let axis = 0; axis < 3; axis++) gaps.push((a.pan[axis] ?? 0) - (b.pan[axis] ?? 0));
  return gaps.every((gap) => Math.abs(gap) < 2e-4);
}

/** Moves what is looked at by so many radii to the right and upwards on the screen. */
export function panned(pose: Pose, right: number, up: number): Pose {
  const { turn, tilt } = pose;
  const [x, y, z] = pose.pan;
  return limited({
    ...pose,
    pan: [
      x + right * Math.cos(turn) - up * Math.sin(tilt) * Math.sin(turn),
      y + up * Math.cos(tilt),
      z - right * Math.sin(turn) - up * Math.sin(tilt) * Math.cos(turn),
    ],
  });
}

/** `turn tilt zoom x y z`, angles in degrees. */
export function writePose(pose: Pose): string {
  const numbers = [pose.turn * DEGREES, pose.tilt * DEGREES, pose.zoom, ...pose.pan];
  return numbers.map((value) => String(Number(value.toFixed(4)))).join(" ");
}

/** The pose of a text that `writePose` made; the last three may be missing. Null: no such text. */
export function readPose(text: string): Pose | null {
  const numbers = text.trim().split(/\s+/).map(Number);
  const [turn, tilt, zoom, x = 0, y = 0, z = 0] = numbers;
  if (![3, 6].includes(numbers.length) || !numbers.every(Number.isFinite)) return null;
  if (turn === undefined || tilt === undefined || !zoom || zoom < 0) return null;
  return limited({ turn: turn / DEGREES, tilt: tilt / DEGREES, zoom, pan: [x, y, z] });
}
