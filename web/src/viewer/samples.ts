import type { MeshShape } from "./shapes";

/** Points spread evenly over the triangles, about `count` of them, [M * 3]. Always the same ones. */
export function sampleSurface(mesh: MeshShape, count: number): Float32Array {
  const areas = mesh.surfaces.map(({ positions, index }) =>
    Array.from({ length: index.length / 3 }, (_, face) => area(positions, index, 3 * face)),
  );
  const total = areas.flat().reduce((sum, value) => sum + value, 0);
  const points: number[] = [];
  let owed = 0;
  let drawn = 0;
  mesh.surfaces.forEach(({ positions, index }, part) => {
    areas[part]?.forEach((size, face) => {
      owed += total > 0 ? (size / total) * count : 0;
      // Every triangle gives one at least, so that big flat ones and specks both show.
      for (let left = Math.max(1, Math.round(owed)); left > 0; left--, owed--) {
        // The R2 sequence (Roberts 2018), folded into the triangle.
        let [u, v] = [(0.5 + 0.7548776662 * drawn) % 1, (0.5 + 0.5698402909 * drawn) % 1];
        drawn++;
        if (u + v > 1) [u, v] = [1 - u, 1 - v];
        for (let axis = 0; axis < 3; axis++) {
          const corner = (which: number) => positions[3 * index[3 * face + which]! + axis] ?? 0;
          points.push(corner(0) * (1 - u - v) + corner(1) * u + corner(2) * v);
        }
      }
      owed = Math.max(owed, 0);
    });
  });
  return Float32Array.from(points);
}

function area(positions: Float32Array, index: Uint32Array, at: number): number {
  const corner = (which: number, axis: number) => positions[3 * index[at + which]! + axis] ?? 0;
  const edge = (which: number, axis: number) => corner(which, axis) - corner(0, axis);
  const cross = (a: number, b: number) => edge(1, a) * edge(2, b) - edge(1, b) * edge(2, a);
  return Math.hypot(cross(0, 1), cross(1, 2), cross(2, 0)) / 2;
}

/**
 * The distance in which a point of the cloud has six neighbours, the median over some points.
 *
 * A disc of about half of it on each point closes the surface, whether the points lie in order or
 * at random.
 */
export function spacing(positions: Float32Array): number {
  const count = positions.length / 3;
  const wanted = Math.min(6, count - 1);
  if (wanted < 1) return 0;
  // At most four million distances: some 10 ms.
  const looks = Math.max(8, Math.min(200, count, Math.floor(4e6 / count)));
  const found: number[] = [];
  for (let look = 0; look < looks; look++) {
    const at = 3 * Math.floor((look * count) / looks);
    const nearest: number[] = new Array<number>(wanted + 1).fill(Infinity);
    for (let other = 0; other < positions.length; other += 3) {
      const x = positions[other]! - positions[at]!;
      const y = positions[other + 1]! - positions[at + 1]!;
      const z = positions[other + 2]! - positions[at + 2]!;
      const gap = x * x + y * y + z * z;
      if (gap >= nearest[wanted]!) continue;
      let slot = wanted;
      for (; slot > 0 && nearest[slot - 1]! > gap; slot--) nearest[slot] = nearest[slot - 1]!;
      nearest[slot] = gap;
    }
    found.push(Math.sqrt(nearest[wanted]!));
  }
  found.sort((a, b) => a - b);
  return found[Math.floor(found.length / 2)]!;
}
