import { between, close, limited, panned, START, type Pose } from "./pose";

/** Seconds in which a third of the way to where the camera is going is left. */
const LAG_S = 0.075;
const GLIDE_LAG_S = 0.2;
/** A full turn in 18 s. */
const TURNTABLE = (2 * Math.PI) / 18;
/** How long a flick goes on. */
const FLICK_S = 0.18;

/** The camera: where it is, where it is going, and how it gets there. No drawing, no events. */
export class Orbit {
  now: Pose = START;
  /** Turns by itself. */
  turntable = false;
  /** Held by a hand, so that the turntable rests. */
  held = false;
  /** Whether movement that nobody drives is left out. */
  still = false;
  #goal: Pose = START;
  #lag = LAG_S;

  get moving(): boolean {
    return !close(this.now, this.#goal) || this.#turning;
  }

  get #turning(): boolean {
    return this.turntable && !this.held && !this.still;
  }

  turn(right: number, up: number): void {
    this.#go({ ...this.#goal, turn: this.#goal.turn + right, tilt: this.#goal.tilt + up });
  }

  zoom(factor: number): void {
    this.#go({ ...this.#goal, zoom: this.#goal.zoom * factor });
  }

  pan(right: number, up: number): void {
    this.#go(panned(this.#goal, right, up));
  }

  /** A hand let go at this speed, radians per second. */
  flick(right: number, up: number): void {
    if (!this.still) this.turn(right * FLICK_S, up * FLICK_S * 0.5);
  }

  reset(): void {
    // Not all the way round again after many turns.
    const turns = Math.round((this.now.turn - START.turn) / (2 * Math.PI));
    this.now = { ...this.now, turn: this.now.turn - turns * 2 * Math.PI };
    this.#go(START, GLIDE_LAG_S);
  }

  /** At once, without a way there. */
  place(pose: Pose): void {
    this.now = this.#goal = limited(pose);
  }

  /** Moves on by so many seconds. */
  tick(seconds: number): void {
    if (this.#turning) {
      const turn = TURNTABLE * seconds;
      this.now = { ...this.now, turn: this.now.turn + turn };
      this.#goal = { ...this.#goal, turn: this.#goal.turn + turn };
    }
    const next = between(this.now, this.#goal, 1 - Math.exp(-seconds / this.#lag));
    this.now = close(next, this.#goal) ? this.#goal : next;
  }

  #go(goal: Pose, lag = LAG_S): void {
    this.#goal = limited(goal);
    this.#lag = lag;
    if (this.still) this.now = this.#goal;
  }
}
