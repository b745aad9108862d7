import { PerspectiveCamera, Scene, WebGLRenderer } from "three";
import { ViewerError } from "./errors";
import { FIELD } from "./framing";
import { Ground } from "./ground";
import { Light } from "./materials";
import type { Pose } from "./pose";
import { Refinement } from "./refine";
import type { Reframing } from "./reframing";

const MAX_PIXEL_RATIO = 2;

/** The canvas: camera, scene and how a frame is made. It does not know when. */
export class Painter {
  readonly scene = new Scene();
  readonly light = new Light();
  readonly ground = new Ground();
  readonly renderer: WebGLRenderer;
  /** Half the height of the view at the object, in its units. */
  rise = 1;
  readonly #camera = new PerspectiveCamera((FIELD * 180) / Math.PI);
  readonly #refinement: Refinement;
  #inset = 0;

  /** Throws ViewerError `no_webgl`. */
  constructor(private readonly canvas: HTMLCanvasElement) {
    const context = canvas.getContext("webgl2", { antialias: false, alpha: true, stencil: false });
    if (!context) {
      throw new ViewerError(
        "no_webgl",
        "This browser cannot draw in 3D: WebGL 2 is missing or off.",
        false,
      );
    }
    this.renderer = new WebGLRenderer({ canvas, context });
    this.renderer.autoClear = false;
    this.renderer.setClearColor(0, 0);
    this.#refinement = new Refinement(this.renderer);
    this.scene.add(this.ground.plane);
  }

  /** Fits the drawing buffer to the canvas, or to a share of its pixels; false where it has no area. */
  resize(scale = 1): boolean {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return false;
    const ratio = scale * Math.min(devicePixelRatio || 1, MAX_PIXEL_RATIO);
    const fits =
      this.canvas.width === Math.floor(width * ratio) &&
      this.canvas.height === Math.floor(height * ratio);
    if (fits) return true;
    this.renderer.setPixelRatio(ratio);
    this.renderer.setSize(width, height, false);
    return true;
  }

  /** @param inset pixels of the page at the lower edge that the object should leave free. */
  aim(pose: Pose, framing: Reframing, inset: number): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const free = Math.max(height - inset, height / 2);
    const { center, distance } = framing.aim(width / free);
    const away = (distance * height) / free / pose.zoom;
    const { radius } = framing;
    const camera = this.#camera;
    const level = Math.cos(pose.tilt) * away;
    const eye = [
      Math.sin(pose.turn) * level,
      Math.sin(pose.tilt) * away,
      Math.cos(pose.turn) * level,
    ];
    const at = center.map((value, axis) => value + radius * pose.pan[axis]!) as typeof center;
    camera.position.set(at[0] + eye[0]!, at[1] + eye[1]!, at[2] + eye[2]!);
    camera.lookAt(...at);
    camera.aspect = width / height;
    camera.near = Math.max(away - 4 * radius, 0.02 * radius);
    camera.far = away + 6 * radius;
    this.rise = Math.tan(FIELD / 2) * away;
    this.#inset = inset;
    this.light.follow(pose.turn, camera.position);
    this.ground.prepare(pose.tilt);
  }

  /** One frame, as cheap as it gets. */
  draw(): void {
    this.#refinement.restart();
    this.#paint(0, 0);
  }

  /** A better frame of a picture that stands still; whether there are better ones to come. */
  refine(): boolean {
    this.#refinement.add((x, y) => this.#paint(x, y));
    return !this.#refinement.done;
  }

  /** A PNG of what is seen, without a background. */
  async picture(): Promise<Blob> {
    this.#refinement.restart();
    while (this.refine());
    const blob = await new Promise<Blob | null>((resolve) => this.canvas.toBlob(resolve));
    if (!blob) throw new ViewerError("no_picture", "The picture could not be made.", true);
    return blob;
  }

  /** Waits until everything is drawn. */
  finish(): void {
    const gl = this.renderer.getContext();
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  dispose(): void {
    this.ground.dispose();
    this.#refinement.dispose();
    this.renderer.dispose();
    // A page may have sixteen contexts or so; this one is given back at once.
    this.renderer.forceContextLoss();
  }

  #paint(x: number, y: number): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = this.renderer.getPixelRatio();
    this.#camera.setViewOffset(
      width,
      height,
      x / ratio,
      y / ratio + this.#inset / 2,
      width,
      height,
    );
    this.renderer.clear();
    this.renderer.render(this.scene, this.#camera);
  }
}
