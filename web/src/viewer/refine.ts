import {
  CustomBlending,
  HalfFloatType,
  Mesh,
  NearestFilter,
  NoBlending,
  OneFactor,
  OrthographicCamera,
  PlaneGeometry,
  Scene,
  Vector2,
  WebGLRenderTarget,
  type RawShaderMaterial,
  type WebGLRenderer,
} from "three";
import { SCREEN_FRAGMENT, SCREEN_VERTEX } from "./glsl";
import { shader } from "./materials";

/** Frames, each a part of a pixel aside, whose mean is a smooth picture. */
export const ROUNDS = 12;

/**
 * Sharpens a picture that stands still: one slightly shifted frame after the other is added up.
 *
 * Smooths points, edges and textures alike and costs nothing while things move.
 */
export class Refinement {
  readonly #frame = new WebGLRenderTarget(1, 1, {
    magFilter: NearestFilter,
    minFilter: NearestFilter,
  });
  readonly #sum = new WebGLRenderTarget(1, 1, {
    type: HalfFloatType,
    depthBuffer: false,
    magFilter: NearestFilter,
    minFilter: NearestFilter,
  });
  readonly #scene = new Scene();
  readonly #eye = new OrthographicCamera();
  readonly #adding: RawShaderMaterial;
  readonly #showing: RawShaderMaterial;
  readonly #screen: Mesh;
  readonly #size = new Vector2();
  #rounds = 0;

  constructor(private readonly renderer: WebGLRenderer) {
    const material = (more: object) =>
      shader(
        SCREEN_VERTEX,
        SCREEN_FRAGMENT,
        { map: { value: null }, weight: { value: 1 } },
        { depthTest: false, depthWrite: false, ...more },
      );
    this.#adding = material({ blending: CustomBlending, blendSrc: OneFactor, blendDst: OneFactor });
    this.#showing = material({ blending: NoBlending });
    this.#screen = new Mesh(new PlaneGeometry(2, 2), this.#adding);
    this.#screen.frustumCulled = false;
    this.#scene.add(this.#screen);
  }

  restart(): void {
    this.#rounds = 0;
  }

  get done(): boolean {
    return this.#rounds >= ROUNDS;
  }

  /** Draws one more frame and shows the mean of those so far. `draw` takes a shift in pixels. */
  add(draw: (x: number, y: number) => void): void {
    const { renderer } = this;
    const size = this.#size;
    renderer.getDrawingBufferSize(size);
    this.#frame.setSize(size.x, size.y);
    this.#sum.setSize(size.x, size.y);
    // The R2 sequence (Roberts 2018), about the pixel's middle.
    const shift = (step: number) => ((0.5 + step * this.#rounds) % 1) - 0.5;
    renderer.setRenderTarget(this.#frame);
    draw(shift(0.7548776662), shift(0.5698402909));
    renderer.setRenderTarget(this.#sum);
    if (this.#rounds === 0) renderer.clear();
    this.#fill(this.#adding, this.#frame, 1);
    this.#rounds++;
    renderer.setRenderTarget(null);
    this.#fill(this.#showing, this.#sum, 1 / this.#rounds);
  }

  dispose(): void {
    this.#frame.dispose();
    this.#sum.dispose();
    this.#adding.dispose();
    this.#showing.dispose();
    this.#screen.geometry.dispose();
  }

  #fill(material: RawShaderMaterial, from: WebGLRenderTarget, weight: number): void {
    material.uniforms.map!.value = from.texture;
    material.uniforms.weight!.value = weight;
    this.#screen.material = material;
    this.renderer.render(this.#scene, this.#eye);
  }
}
