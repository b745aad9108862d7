import type { Pose } from "./pose";
import type { Kind } from "./shapes";

const SIDES = [
  "front",
  "front right",
  "right",
  "back right",
  "back",
  "back left",
  "left",
  "front left",
];
const numbers = new Intl.NumberFormat("en-GB");

/** "20,000 triangles". */
export function countWords(kind: Kind, count: number): string {
  const unit = kind === "points" ? "point" : "triangle";
  return `${numbers.format(count)} ${unit}${count === 1 ? "" : "s"}`;
}

/** What somebody who does not see the picture should know of it. */
export function describe(kind: Kind, count: number, pose: Pose): string {
  const what = kind === "points" ? "Cloud of" : "Mesh with";
  return `${what} ${countWords(kind, count)}, seen from the ${sideWords(pose)}${zoomWords(pose.zoom)}.`;
}

function sideWords({ turn, tilt }: Pose): string {
  if (tilt > 1.2) return "top";
  if (tilt < -1.2) return "bottom";
  const eighth = Math.round(turn / (Math.PI / 4));
  const side = SIDES[((eighth % 8) + 8) % 8]!;
  if (tilt > 0.45) return `${side}, from above`;
  return tilt < -0.2 ? `${side}, from below` : side;
}

function zoomWords(zoom: number): string {
  if (zoom > 1.3) return ", close up";
  return zoom < 0.75 ? ", from afar" : "";
}
