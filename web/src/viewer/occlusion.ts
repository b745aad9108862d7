import type { Frame } from "./framing";

const CELLS = 48;
/** Of one look along the normal: distance and blur in cells, and weight. */
const LOOKS = [
  { away: 2.6, reach: 1, weight: 0.9 },
  { away: 5, reach: 2, weight: 0.8 },
  { away: 9, reach: 4, weight: 0.7 },
] as const;

/**
 * How much of the sky each vertex sees, [N] bytes: 255 all of it.
 *
 * The object is rasterised into a coarse grid that is blurred more and more; a vertex looks along
 * its normal into the blurred grids. A flat surface sees nothing of itself there, a fold sees its
 * other side. Own method: rougher than rays and a hundred times as fast.
 *
 * @param samples points of the surface, [M * 3], dense enough to leave no holes in the grid.
 */
export function openness(
  positions: Float32Array,
  normals: Float32Array,
  samples: Float32Array,
  frame: Frame,
): Uint8Array {
  const grid = new Float32Array(CELLS ** 3);
  const scale = (CELLS - 4) / (2 * frame.radius);
  const place = (value: number, axis: number) => (value - frame.center[axis]!) * scale + CELLS / 2;
  for (let at = 0; at < samples.length; at += 3) {
    const [x, y, z] = [0, 1, 2].map((axis) => Math.floor(place(samples[at + axis]!, axis)));
    grid[((z ?? 0) * CELLS + (y ?? 0)) * CELLS + (x ?? 0)] = 1;
  }
  const count = positions.length / 3;
  const hidden = new Float32Array(count);
  let done = 0;
  for (const { away, reach, weight } of LOOKS) {
    for (; done < reach; done++) blur(grid);
    for (let row = 0; row < count; row++) {
      const at = 3 * row;
      const look = (axis: number) =>
        place(positions[at + axis]!, axis) + away * normals[at + axis]! - 0.5;
      hidden[row] = hidden[row]! + weight * trilinear(grid, look(0), look(1), look(2));
    }
  }
  const open = new Uint8Array(count);
  for (let row = 0; row < count; row++) {
    // The ground hides half the sky of what faces it closely.
    const height = (positions[3 * row + 1]! - frame.ground) / frame.radius;
    const down = Math.max(-normals[3 * row + 1]! + 0.25, 0);
    const ground = 0.55 * down * Math.exp(-height / 0.35);
    open[row] = Math.round(255 * Math.exp(-1.6 * hidden[row]!) * (1 - Math.min(ground, 0.6)));
  }
  return open;
}

function trilinear(grid: Float32Array, x: number, y: number, z: number): number {
  const [i, j, k] = [Math.floor(x), Math.floor(y), Math.floor(z)];
  if (Math.min(i, j, k) < 0 || Math.max(i, j, k) >= CELLS - 1) return 0;
  const [u, v, w] = [x - i, y - j, z - k];
  const at = (k * CELLS + j) * CELLS + i;
  const along = (cell: number) => grid[cell]! * (1 - u) + grid[cell + 1]! * u;
  const sheet = (cell: number) => along(cell) * (1 - v) + along(cell + CELLS) * v;
  return sheet(at) * (1 - w) + sheet(at + CELLS * CELLS) * w;
}

/** One box blur of three cells along each axis, in place. The border counts as empty. */
function blur(grid: Float32Array): void {
  for (const step of [1, CELLS, CELLS * CELLS]) {
    for (let at = 0; at < grid.length; at++) {
      if (Math.floor(at / step) % CELLS) continue;
      let [behind, here] = [0, grid[at]!];
      for (let index = 0; index < CELLS; index++) {
        const cell = at + index * step;
        const ahead = index + 1 < CELLS ? grid[cell + step]! : 0;
        grid[cell] = (behind + here + ahead) / 3;
        [behind, here] = [here, ahead];
      }
    }
  }
}
