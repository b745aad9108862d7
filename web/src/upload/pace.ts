import type { Progress } from "bozzetto-client";

const SHORTEST_LOOK = 1; // seconds

/** How long the steps still take, by those that were seen; the stages around them are short. */
export class Pace {
  #first: { step: number; steps: number; at: number } | null = null;

  /** Null while it is too early to tell, or where nothing is counted. `now` in seconds. */
  secondsLeft(
    { stage, step, steps }: Pick<Progress, "stage" | "step" | "steps">,
    now: number,
  ): number | null {
    const first = this.#first;
    if (stage !== "reconstruct" || steps <= 1) {
      this.#first = null;
      return null;
    }
    if (!first || first.steps !== steps || step < first.step) {
      this.#first = { step, steps, at: now }; // also when another worker begins anew
      return null;
    }
    const [done, elapsed] = [step - first.step, now - first.at];
    if (done < 1 || elapsed < SHORTEST_LOOK || step >= steps) return null;
    return (elapsed / done) * (steps - step);
  }
}
