/** Slower than that is not smooth. */
const SLOW_S = 1 / 32;
/** So long a gap is a busy page, not a slow picture. */
const GAP_S = 0.5;
const FRAMES = 3;

export interface Detail {
  /** Of the canvas' pixels along each side. */
  scale: number;
  /** Of the points of a large cloud. */
  share: number;
}

export const FULL: Detail = { scale: 1, share: 1 };
const LEVELS: readonly Detail[] = [
  FULL,
  { scale: 0.75, share: 0.75 },
  { scale: 0.5, share: 0.5 },
  { scale: 0.5, share: 0.25 },
  { scale: 0.4, share: 0.12 },
];

/** How much is drawn in motion, so that motion stays smooth on a slow machine. */
export class Pace {
  #level = 0;
  #slow = 0;

  get detail(): Detail {
    return LEVELS[this.#level]!;
  }

  /** A new movement begins: with a little more than the last one could do. */
  begin(): void {
    this.#level = Math.max(this.#level - 1, 0);
    this.#slow = 0;
  }

  /** A frame of it took so many seconds. */
  took(seconds: number): void {
    if (seconds > GAP_S) return;
    this.#slow = seconds > SLOW_S ? this.#slow + 1 : 0;
    // One late frame is chance.
    if (this.#slow < FRAMES) return;
    this.#level = Math.min(this.#level + 1, LEVELS.length - 1);
    this.#slow = 0;
  }
}
