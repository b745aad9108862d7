import {
  BufferAttribute,
  BufferGeometry,
  Group,
  LinearFilter,
  LinearMipmapLinearFilter,
  Mesh,
  SRGBColorSpace,
  Texture,
  type RawShaderMaterial,
} from "three";
import { PLAIN } from "./cloud_object";
import { unreadable } from "./errors";
import type { Frame } from "./framing";
import { MESH_FRAGMENT, MESH_VERTEX, WIRE_FRAGMENT } from "./glsl";
import { OVER, shader, type Light } from "./materials";
import { openness } from "./occlusion";
import type { MeshShape, Surface } from "./shapes";

/** Surfaces with their pictures decoded: what may fail happens before anything is shown. */
export async function decodeImages(mesh: MeshShape): Promise<(ImageBitmap | null)[]> {
  try {
    return await Promise.all(
      mesh.surfaces.map(({ image }) =>
        image ? createImageBitmap(image, { colorSpaceConversion: "none" }) : null,
      ),
    );
  } catch {
    throw unreadable("The picture in the file cannot be read.");
  }
}

export class MeshObject {
  readonly group = new Group();
  readonly #wires: Mesh[] = [];
  readonly #materials: RawShaderMaterial[] = [];
  readonly #uniforms = { presence: { value: 1 } };

  constructor(
    readonly mesh: MeshShape,
    images: (ImageBitmap | null)[],
    samples: Float32Array,
    frame: Frame,
    private readonly light: Light,
  ) {
    mesh.surfaces.forEach((surface, at) => this.#add(surface, images[at] ?? null, samples, frame));
  }

  set presence(presence: number) {
    this.#uniforms.presence.value = presence;
    this.group.visible = presence > 0;
  }

  set wireframe(shown: boolean) {
    for (const wire of this.#wires) wire.visible = shown;
  }

  dispose(): void {
    for (const wire of this.#wires) wire.geometry.dispose();
    for (const material of this.#materials) {
      (material.uniforms.map?.value as Texture | undefined)?.dispose();
      material.dispose();
    }
  }

  #add(surface: Surface, image: ImageBitmap | null, samples: Float32Array, frame: Frame): void {
    const { positions, normals, uv, index } = surface;
    const count = positions.length / 3;
    const geometry = new BufferGeometry();
    const put = (name: string, array: Float32Array | Uint8Array, width = 3) =>
      geometry.setAttribute(name, new BufferAttribute(array, width, array instanceof Uint8Array));
    put("position", positions);
    put("normal", normals);
    put("color", surface.colors ?? fallback(count, image !== null));
    put("uv", uv ?? new Float32Array(2 * count), 2);
    put("open", openness(positions, normals, samples, frame), 1);
    geometry.setIndex(new BufferAttribute(index, 1));
    const map = image && textureOf(image);
    const skin = shader(
      MESH_VERTEX,
      MESH_FRAGMENT,
      {
        ...this.light.uniforms,
        ...this.#uniforms,
        map: { value: map },
        mapped: { value: map !== null },
      },
      // Behind the lines of the wireframe.
      { polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 1 },
    );
    const lines = shader(
      MESH_VERTEX,
      WIRE_FRAGMENT,
      { ...this.light.uniforms, ...this.#uniforms },
      { ...OVER, wireframe: true },
    );
    this.#materials.push(skin, lines);
    const wire = new Mesh(geometry, lines);
    wire.visible = false;
    this.#wires.push(wire);
    for (const part of [new Mesh(geometry, skin), wire]) {
      part.frustumCulled = false;
      this.group.add(part);
    }
  }
}

function textureOf(image: ImageBitmap): Texture {
  const texture = new Texture(image);
  texture.colorSpace = SRGBColorSpace;
  texture.flipY = false;
  texture.minFilter = LinearMipmapLinearFilter;
  texture.magFilter = LinearFilter;
  texture.anisotropy = 4;
  texture.needsUpdate = true;
  return texture;
}

function fallback(count: number, textured: boolean): Uint8Array {
  if (textured) return new Uint8Array(3 * count).fill(255);
  return Uint8Array.from({ length: 3 * count }, (_, at) => PLAIN[at % 3]!);
}
