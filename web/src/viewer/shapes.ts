/** What the viewer draws. Positions and normals are [N * 3], colours sRGB bytes [N * 3]. */

export interface CloudShape {
  positions: Float32Array;
  /** Unit length; zero where unknown. */
  normals: Float32Array | null;
  colors: Uint8Array | null;
}

/** One primitive of a mesh, its node's transform applied. */
export interface Surface {
  positions: Float32Array;
  normals: Float32Array;
  colors: Uint8Array | null;
  /** [N * 2], glTF's convention: (0, 0) is the upper left corner of the picture. */
  uv: Float32Array | null;
  index: Uint32Array;
  /** Encoded PNG, JPEG or WebP. */
  image: Blob | null;
}

export interface MeshShape {
  surfaces: Surface[];
}

export type Kind = "points" | "mesh";

export function countPoints(cloud: CloudShape): number {
  return cloud.positions.length / 3;
}

export function countTriangles(mesh: MeshShape): number {
  return mesh.surfaces.reduce((sum, surface) => sum + surface.index.length / 3, 0);
}
