import { describe, expect, it } from "vitest";
import { keepInStep, type Posed } from "./step";

/** Tells of every move, also of those that it was asked to make, and rounds what it is given. */
class View extends EventTarget implements Posed {
  moves = 0;
  private pose = "0";
  get camera() {
    return this.pose;
  }
  set camera(pose: string) {
    this.pose = Number(pose).toFixed(1);
    this.moves++;
    this.dispatchEvent(new CustomEvent("bozzetto-camera"));
  }
}

describe("keepInStep", () => {
  it("starts both in the pose of the first", () => {
    const [a, b] = [new View(), new View()];
    a.camera = "3";
    keepInStep(a, b, new AbortController().signal);
    expect(b.camera).toBe("3.0");
  });

  it("moves each with the other, once per move", () => {
    const [a, b] = [new View(), new View()];
    keepInStep(a, b, new AbortController().signal);
    a.moves = b.moves = 0;
    a.camera = "1.23";
    expect([a.camera, b.camera]).toEqual(["1.2", "1.2"]);
    b.camera = "4.56";
    expect([a.camera, b.camera]).toEqual(["4.6", "4.6"]);
    expect([a.moves, b.moves]).toEqual([2, 2]);
  });

  it("lets go at the end", () => {
    const [a, b] = [new View(), new View()];
    const end = new AbortController();
    keepInStep(a, b, end.signal);
    end.abort();
    a.camera = "5";
    expect(b.camera).toBe("0.0");
  });
});
