import { ease, fitDistance, UNIT_FRAME, type Frame } from "./framing";
import { START } from "./pose";

const GLIDE_S = 0.6;

/** Which frame is looked at, and the way over to it from the one before. */
export class Reframing {
  #from: Frame = UNIT_FRAME;
  #to: Frame = UNIT_FRAME;
  #share = 1;

  get arrived(): boolean {
    return this.#share >= 1;
  }

  get radius(): number {
    return Math.max(this.#from.radius, this.#to.radius);
  }

  set(frame: Frame, glide: boolean): void {
    this.#from = glide ? this.#to : frame;
    this.#to = frame;
    this.#share = glide ? 0 : 1;
  }

  tick(seconds: number): void {
    this.#share = Math.min(this.#share + seconds / GLIDE_S, 1);
  }

  /** Where the camera looks at zoom 1, and from how far. The tilt is not followed: it would zoom. */
  aim(aspect: number): { center: [number, number, number]; distance: number } {
    const share = ease(this.#share);
    const mix = (a: number, b: number) => a + share * (b - a);
    const [from, to] = [this.#from, this.#to];
    const axis = (at: 0 | 1 | 2) => mix(from.center[at], to.center[at]);
    return {
      center: [axis(0), axis(1), axis(2)],
      distance: mix(fitDistance(from, START.tilt, aspect), fitDistance(to, START.tilt, aspect)),
    };
  }
}
