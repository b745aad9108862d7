import { CloudObject, pointRadius } from "./cloud_object";
import { ease, measureFrame, UNIT_FRAME, type Frame } from "./framing";
import type { Lighting } from "./materials";
import { MeshObject } from "./mesh_object";
import { Orbit } from "./orbit";
import { FULL, Pace, type Detail } from "./pace";
import { Painter } from "./painter";
import { Reframing } from "./reframing";
import { sampleSurface } from "./samples";
import type { CloudShape, Kind, MeshShape } from "./shapes";

const FADE_S = 0.45;
const SAMPLES = 20_000;
/** A tab that was asleep goes on where it was. */
const LONGEST_TICK_S = 0.1;

/** Shows one object, and draws only when something has changed. */
export class Stage {
  readonly orbit = new Orbit();
  /** Pixels of the page at the lower edge that controls cover. */
  inset = 0;
  onmove: () => void = () => {};
  onlost: (lost: boolean) => void = () => {};

  readonly #painter: Painter;
  readonly #framing = new Reframing();
  readonly #pace = new Pace();
  readonly #sizes = new ResizeObserver(() => this.#resize());
  readonly #sight = new IntersectionObserver((entries) => {
    // A busy page hears of several at once, the newest last.
    this.#inSight = entries.at(-1)?.isIntersecting ?? true;
    this.redraw();
  });
  #cloud: CloudObject | null = null;
  #mesh: MeshObject | null = null;
  #kind: Kind = "points";
  /** 0 shows the points, 1 the mesh. */
  #blend = 0;
  #size = 1;
  #wires = false;
  #inSight = true;
  #dirty = true;
  #waiting = 0;
  #tickedAt: number | null = null;

  /** Throws ViewerError `no_webgl`. */
  constructor(private readonly canvas: HTMLCanvasElement) {
    this.#painter = new Painter(canvas);
    canvas.addEventListener("webglcontextlost", this.#lost);
    canvas.addEventListener("webglcontextrestored", this.#restored);
    this.#sizes.observe(canvas);
    this.#sight.observe(canvas);
    this.#resize();
  }

  has(kind: Kind): boolean {
    return (kind === "points" ? this.#cloud : this.#mesh) !== null;
  }

  /** @param forming a guess on the way: the frame stays, and points glide over from the last one. */
  setCloud(cloud: CloudShape, forming: boolean): void {
    const measured = measureFrame(cloud.positions);
    const frame = forming ? { ...UNIT_FRAME, ground: measured.ground } : measured;
    frame.ground -= pointRadius(cloud, frame);
    const before = this.#cloud;
    const glides =
      forming && !this.orbit.still && before?.cloud.positions.length === cloud.positions.length;
    const from = glides ? before.now() : null;
    const first = !before && !this.#mesh;
    before?.points.removeFromParent();
    before?.dispose();
    this.#cloud = new CloudObject(cloud, frame, this.#painter.light, from);
    this.#cloud.size = this.#size;
    this.#painter.scene.add(this.#cloud.points);
    if (!this.#mesh) this.#place(cloud.positions, frame, first);
    this.redraw();
  }

  setMesh(mesh: MeshShape, images: (ImageBitmap | null)[]): void {
    const first = !this.#cloud && !this.#mesh;
    const samples = sampleSurface(mesh, SAMPLES);
    const frame = measureFrame(samples);
    this.#mesh?.group.removeFromParent();
    this.#mesh?.dispose();
    this.#mesh = new MeshObject(mesh, images, samples, frame, this.#painter.light);
    this.#mesh.wireframe = this.#wires;
    this.#painter.scene.add(this.#mesh.group);
    this.#place(samples, frame, first);
    this.redraw();
  }

  /** Fades over when the other one is on the screen. */
  show(kind: Kind): void {
    const fades = this.#cloud && this.#mesh && !this.orbit.still;
    this.#kind = kind;
    if (!fades) this.#blend = kind === "mesh" ? 1 : 0;
    this.redraw();
  }

  drop(kind: Kind): void {
    const object = kind === "points" ? this.#cloud?.points : this.#mesh?.group;
    object?.removeFromParent();
    (kind === "points" ? this.#cloud : this.#mesh)?.dispose();
    if (kind === "points") this.#cloud = null;
    else this.#mesh = null;
    this.redraw();
  }

  set pointSize(size: number) {
    this.#size = size;
    if (this.#cloud) this.#cloud.size = size;
    this.redraw();
  }

  set lighting(lighting: Lighting) {
    this.#painter.light.set(lighting);
    this.redraw();
  }

  set wireframe(shown: boolean) {
    this.#wires = shown;
    if (this.#mesh) this.#mesh.wireframe = shown;
    this.redraw();
  }

  redraw(): void {
    this.#dirty = true;
    this.#wait();
  }

  async picture(): Promise<Blob> {
    this.#prepare();
    return this.#painter.picture();
  }

  /**
   * Seconds that so many frames of a turning object take, each drawn to its end as in motion.
   *
   * @param adaptive draws as much as the machine can do smoothly, as in motion; else everything.
   */
  async time(count: number, adaptive: boolean): Promise<number> {
    const pose = this.orbit.now;
    const draw = (turn: number) => {
      this.orbit.place({ ...pose, turn: pose.turn + turn });
      this.#prepare(adaptive ? this.#pace.detail : FULL);
      this.#painter.draw();
      this.#painter.finish();
    };
    draw(0);
    const start = performance.now();
    for (let frame = 1, before = start; frame <= count; frame++) {
      draw((2 * Math.PI * frame) / count);
      const now = performance.now();
      this.#pace.took((now - before) / 1000);
      before = now;
    }
    const seconds = (performance.now() - start) / 1000;
    this.orbit.place(pose);
    this.redraw();
    return seconds;
  }

  dispose(): void {
    this.#sizes.disconnect();
    this.#sight.disconnect();
    this.canvas.removeEventListener("webglcontextlost", this.#lost);
    this.canvas.removeEventListener("webglcontextrestored", this.#restored);
    this.drop("points");
    this.drop("mesh");
    cancelAnimationFrame(this.#waiting);
    this.#painter.dispose();
  }

  /** Stands an object on the ground and in the middle of the view. */
  #place(samples: Float32Array, frame: Frame, first: boolean): void {
    this.#framing.set(frame, !first && !this.orbit.still);
    this.#painter.ground.cast(samples, frame);
  }

  #wait(): void {
    if (!this.#waiting) this.#waiting = requestAnimationFrame(this.#frame);
  }

  // The next frame: a quick one while anything moves, else a finer one until none is.
  readonly #frame = (now: number): void => {
    this.#waiting = 0;
    if (!this.#inSight || !this.canvas.clientWidth) {
      this.#tickedAt = null;
      return;
    }
    const passed = this.#tickedAt === null ? 0 : (now - this.#tickedAt) / 1000;
    const moves = this.#tick(Math.min(passed, LONGEST_TICK_S));
    if (moves && this.#tickedAt === null) this.#pace.begin();
    else if (moves) this.#pace.took(passed);
    // A canvas that changes its size is empty, so it is drawn at once.
    const sized = this.#prepare(moves ? this.#pace.detail : FULL);
    this.#tickedAt = moves ? now : null;
    let more = true;
    if (moves || sized || this.#dirty) this.#painter.draw();
    else more = this.#painter.refine();
    this.#dirty = false;
    if (more) this.#wait();
  };

  /** Moves everything on; whether anything moves. */
  #tick(seconds: number): boolean {
    const before = this.orbit.now;
    this.orbit.tick(seconds);
    if (this.orbit.now !== before) this.onmove();
    const goal = this.#kind === "mesh" ? 1 : 0;
    const step = seconds / FADE_S;
    this.#blend += Math.min(Math.max(goal - this.#blend, -step), step);
    this.#framing.tick(seconds);
    const glides = this.#cloud?.tick(seconds) ?? false;
    return glides || this.orbit.moving || this.#blend !== goal || !this.#framing.arrived;
  }

  /** Puts everything in its place; whether the canvas took another size. */
  #prepare(detail: Detail = FULL): boolean {
    const painter = this.#painter;
    const before = this.canvas.width;
    painter.resize(detail.scale);
    painter.aim(this.orbit.now, this.#framing, this.inset);
    // The surface appears while the points still cover it, then they shrink into it.
    if (this.#mesh) this.#mesh.presence = ease(Math.min(this.#blend * 1.6, 1));
    if (this.#cloud) {
      this.#cloud.presence = this.#mesh ? Math.min((1 - this.#blend) * 1.6, 1) : 1;
      this.#cloud.prepare(painter.renderer, painter.rise, detail.share);
    }
    painter.ground.plane.visible &&= this.#cloud !== null || this.#mesh !== null;
    return this.canvas.width !== before;
  }

  #resize(): void {
    if (!this.#painter.resize()) return;
    this.#prepare();
    // At once, because a canvas of a new size is empty.
    this.#painter.draw();
    this.redraw();
  }

  readonly #lost = (event: Event): void => {
    event.preventDefault();
    cancelAnimationFrame(this.#waiting);
    this.#waiting = 0;
    this.onlost(true);
  };

  readonly #restored = (): void => {
    this.onlost(false);
    this.redraw();
  };
}
