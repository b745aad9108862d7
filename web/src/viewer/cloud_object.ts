import {
  BufferAttribute,
  BufferGeometry,
  Points,
  Vector2,
  type RawShaderMaterial,
  type WebGLRenderer,
} from "three";
import { ease, type Frame } from "./framing";
import { POINT_FRAGMENT, POINT_VERTEX } from "./glsl";
import { shader, type Light } from "./materials";
import { openness } from "./occlusion";
import { spacing } from "./samples";
import { countPoints, type CloudShape } from "./shapes";

const GLIDE_S = 0.4;
/** Below this width in pixels nobody can tell a disc from a square, and squares are cheap. */
const SQUARE_PX = 2.5;
/** Fewer points than that are never left out. */
const FEWEST = 8192;
/** Clay, for what has no colours. */
export const PLAIN: readonly [number, number, number] = [201, 178, 160];

/** A cloud on the screen; moves over from the one before it when both have as many points. */
export class CloudObject {
  readonly points: Points;
  size = 1;
  /** 0 hides the points, 1 shows them in full size. */
  presence = 1;
  #arrived: number;
  readonly #radius: number;
  readonly #order: Uint32Array;
  readonly #before: Float32Array | null;
  readonly #uniforms;
  readonly #materials = new Map<string, RawShaderMaterial>();
  readonly #window = new Vector2();

  constructor(
    readonly cloud: CloudShape,
    frame: Frame,
    light: Light,
    from: Float32Array | null = null,
  ) {
    const { positions, normals } = cloud;
    const count = countPoints(cloud);
    this.#radius = pointRadius(cloud, frame);
    this.#before = from;
    this.#arrived = from ? 0 : 1;
    this.#order = shuffled(count);
    const geometry = new BufferGeometry();
    const put = (name: string, array: Float32Array | Uint8Array | Int8Array, width: number) =>
      geometry.setAttribute(
        name,
        new BufferAttribute(array, width, !(array instanceof Float32Array)),
      );
    const open = normals && openness(positions, normals, positions, frame);
    put("position", this.#gather(positions, new Float32Array(3 * count)), 3);
    if (from) put("before", this.#gather(from, new Float32Array(3 * count)), 3);
    put("normal", this.#packNormals(normals), 4);
    put("color", this.#packColors(cloud.colors, open), 4);
    this.#uniforms = {
      ...light.uniforms,
      radius: { value: 0 },
      pixels: { value: 1 },
      arrived: { value: 1 },
      roundness: { value: normals ? 0.5 : 0.7 },
    };
    this.points = new Points(geometry);
    this.points.frustumCulled = false;
  }

  /** Moves on by so many seconds; whether there is more to come. */
  tick(seconds: number): boolean {
    this.#arrived = Math.min(this.#arrived + seconds / GLIDE_S, 1);
    return this.#arrived < 1;
  }

  /** Where the points are on the screen. */
  now(): Float32Array {
    const share = ease(this.#arrived);
    const before = this.#before;
    if (!before || share === 1) return this.cloud.positions;
    return this.cloud.positions.map((to, at) => before[at]! + share * (to - before[at]!));
  }

  /**
   * @param rise half the height of the view at the object, in units of the object.
   * @param share share of the points that is drawn, the same ones every time; they are larger for it.
   */
  prepare(renderer: WebGLRenderer, rise: number, share: number): void {
    const count = countPoints(this.cloud);
    const drawn = Math.min(Math.max(Math.ceil(count * share), FEWEST), count);
    this.points.geometry.setDrawRange(0, drawn);
    renderer.getDrawingBufferSize(this.#window);
    const radius = this.#radius * this.size * ease(this.presence) * Math.sqrt(count / drawn);
    this.#uniforms.radius.value = radius;
    this.#uniforms.pixels.value = this.#window.y;
    this.#uniforms.arrived.value = ease(this.#arrived);
    this.points.visible = this.presence > 0;
    this.points.material = this.#material(
      (radius / rise) * this.#window.y < SQUARE_PX,
      this.#arrived < 1,
    );
  }

  dispose(): void {
    this.points.geometry.dispose();
    for (const material of this.#materials.values()) material.dispose();
  }

  #material(square: boolean, glide: boolean): RawShaderMaterial {
    const key = `${square} ${glide}`;
    const known = this.#materials.get(key);
    if (known) return known;
    const defines = { ...(square && { SQUARE: "" }), ...(glide && { GLIDE: "" }) };
    const made = shader(POINT_VERTEX, POINT_FRAGMENT, this.#uniforms, { defines });
    this.#materials.set(key, made);
    return made;
  }

  #gather(from: Float32Array, to: Float32Array): Float32Array {
    this.#order.forEach((row, at) => {
      for (let axis = 0; axis < 3; axis++) to[3 * at + axis] = from[3 * row + axis]!;
    });
    return to;
  }

  #packNormals(normals: Float32Array | null): Int8Array {
    const packed = new Int8Array(4 * this.#order.length);
    this.#order.forEach((row, at) => {
      for (let axis = 0; axis < 3; axis++)
        packed[4 * at + axis] = 127 * (normals?.[3 * row + axis] ?? 0);
    });
    return packed;
  }

  #packColors(colors: Uint8Array | null, open: Uint8Array | null): Uint8Array {
    const packed = new Uint8Array(4 * this.#order.length);
    this.#order.forEach((row, at) => {
      for (let axis = 0; axis < 3; axis++)
        packed[4 * at + axis] = colors?.[3 * row + axis] ?? PLAIN[axis]!;
      packed[4 * at + 3] = open?.[row] ?? 255;
    });
    return packed;
  }
}

/** Discs that close the surface; smaller where no normals say that there is one. */
export function pointRadius(cloud: CloudShape, frame: Frame): number {
  const gap = spacing(cloud.positions) || frame.radius;
  const radius = gap * (cloud.normals ? 0.55 : 0.36);
  return Math.min(Math.max(radius, 0.003 * frame.radius), 0.08 * frame.radius);
}

/** An order whose every beginning is spread over all; always the same for one count. */
function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, at) => at);
  let seed = 1;
  for (let at = count - 1; at > 0; at--) {
    // The generator of Park and Miller (1988).
    seed = (48271 * seed) % 2147483647;
    const other = seed % (at + 1);
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}
