import { unreadable } from "./errors";
import type { Gltf, GltfNode } from "./accessors";
import type { CloudShape } from "./shapes";

/** Column-major 4 x 4, as glTF has it. */
type Matrix = readonly number[];

const IDENTITY: Matrix = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];

/** The meshes of the scene, each with the transform from it to the world. */
export function placedMeshes(gltf: Gltf): { mesh: number; matrix: Matrix }[] {
  const nodes = gltf.nodes ?? [];
  const children = new Set(nodes.flatMap((node) => node.children ?? []));
  const tops = nodes.map((_, at) => at).filter((at) => !children.has(at));
  const roots = gltf.scenes?.[gltf.scene ?? 0]?.nodes ?? tops;
  const placed: { mesh: number; matrix: Matrix }[] = [];
  const seen = new Set<number>();
  const visit = (at: number, above: Matrix): void => {
    const node = nodes[at];
    // In a tree every node is met once; where it is not, the ways to it may be endless.
    if (!node || seen.has(at)) throw unreadable("The file's scene is broken.");
    seen.add(at);
    const matrix = multiply(above, localMatrix(node));
    if (node.mesh !== undefined) placed.push({ mesh: node.mesh, matrix });
    for (const child of node.children ?? []) visit(child, matrix);
  };
  for (const root of roots) visit(root, IDENTITY);
  return placed;
}

function localMatrix(node: GltfNode): Matrix {
  if (node.matrix) return node.matrix;
  const [x, y, z] = node.translation ?? [0, 0, 0];
  const [a, b, c, d] = (node.rotation ?? [0, 0, 0, 1]) as [number, number, number, number];
  const [u, v, w] = (node.scale ?? [1, 1, 1]) as [number, number, number];
  return [
    u * (1 - 2 * (b * b + c * c)), u * 2 * (a * b + c * d), u * 2 * (a * c - b * d), 0,
    v * 2 * (a * b - c * d), v * (1 - 2 * (a * a + c * c)), v * 2 * (b * c + a * d), 0,
    w * 2 * (a * c + b * d), w * 2 * (b * c - a * d), w * (1 - 2 * (a * a + b * b)), 0,
    x!, y!, z!, 1,
  ]; // prettier-ignore
}

function multiply(left: Matrix, right: Matrix): Matrix {
  return Array.from({ length: 16 }, (_, at) => {
    const [row, column] = [at % 4, at - (at % 4)];
    let sum = 0;
    for (let inner = 0; inner < 4; inner++) sum += left[row + 4 * inner]! * right[column + inner]!;
    return sum;
  });
}

/** The shape with the matrix applied in place; normals are turned by its cofactors. */
export function transform<Shape extends CloudShape>(shape: Shape, matrix: Matrix): Shape {
  const m = (row: number, column: number) => matrix[row + 4 * column]!;
  map(
    shape.positions,
    (axis, x, y, z) => m(axis, 0) * x + m(axis, 1) * y + m(axis, 2) * z + m(axis, 3),
  );
  const cofactor = (row: number, column: number) => {
    const [a, b] = [(row + 1) % 3, (row + 2) % 3];
    const [c, d] = [(column + 1) % 3, (column + 2) % 3];
    return m(a, c) * m(b, d) - m(a, d) * m(b, c);
  };
  if (shape.normals) {
    map(
      shape.normals,
      (axis, x, y, z) => cofactor(axis, 0) * x + cofactor(axis, 1) * y + cofactor(axis, 2) * z,
    );
    normalise(shape.normals);
  }
  return shape;
}

function map(
  vectors: Float32Array,
  value: (axis: number, x: number, y: number, z: number) => number,
): void {
  for (let at = 0; at < vectors.length; at += 3) {
    const [x, y, z] = [vectors[at]!, vectors[at + 1]!, vectors[at + 2]!];
    for (let axis = 0; axis < 3; axis++) vectors[at + axis] = value(axis, x, y, z);
  }
}

/** To unit length; zero stays zero. */
export function normalise(vectors: Float32Array): void {
  for (let at = 0; at < vectors.length; at += 3) {
    const length = Math.hypot(vectors[at]!, vectors[at + 1]!, vectors[at + 2]!) || 1;
    for (let axis = 0; axis < 3; axis++) vectors[at + axis]! /= length;
  }
}
