import { DataTexture, LinearFilter, Mesh, PlaneGeometry, RedFormat, Vector4 } from "three";
import type { Frame } from "./framing";
import { SHADOW_FRAGMENT, SHADOW_VERTEX } from "./glsl";
import { OVER, shader } from "./materials";
import { contactShadow, SHADOW_REACH, SHADOW_SIZE } from "./shadow";

/** The shade that an object throws on the ground that it stands on. */
export class Ground {
  readonly plane: Mesh;
  readonly #texture = new DataTexture(
    new Uint8Array(SHADOW_SIZE ** 2),
    SHADOW_SIZE,
    SHADOW_SIZE,
    RedFormat,
  );
  readonly #uniforms = {
    map: { value: this.#texture },
    place: { value: new Vector4() },
    strength: { value: 1 },
  };

  constructor() {
    this.#texture.minFilter = this.#texture.magFilter = LinearFilter;
    this.plane = new Mesh(
      new PlaneGeometry(2, 2),
      shader(SHADOW_VERTEX, SHADOW_FRAGMENT, this.#uniforms, OVER),
    );
    this.plane.frustumCulled = false;
    this.plane.renderOrder = 1;
  }

  /** @param samples points of the object, [N * 3]. */
  cast(samples: Float32Array, frame: Frame): void {
    const { image } = this.#texture;
    image.data?.set(contactShadow(samples, frame));
    this.#texture.needsUpdate = true;
    const [x, , z] = frame.center;
    this.#uniforms.place.value.set(x, frame.ground, z, SHADOW_REACH * frame.radius);
  }

  /** The ground is not seen from below. */
  prepare(tilt: number): void {
    const strength = Math.min(Math.max((tilt + 0.02) / 0.12, 0), 1);
    this.#uniforms.strength.value = strength;
    this.plane.visible = strength > 0;
  }

  dispose(): void {
    this.#texture.dispose();
    this.plane.geometry.dispose();
  }
}
