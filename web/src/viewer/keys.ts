import { LIGHTINGS } from "./attributes";
import type { Lighting } from "./materials";
import type { Orbit } from "./orbit";
import type { Kind } from "./shapes";

const STEP = Math.PI / 24;

/** What keys act on. */
export interface Keyed {
  show: Kind;
  lighting: Lighting;
  wireframe: boolean;
  turntable: boolean;
  resetCamera(): void;
  saveScreenshot(): Promise<void>;
  toggleFullscreen(): Promise<void>;
  showHelp(): void;
}

/** What a key does; null where it is not ours. */
export function keyAction(event: KeyboardEvent, viewer: Keyed, orbit: Orbit): (() => void) | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const move = (right: number, up: number) => () =>
    event.shiftKey ? orbit.pan(right * 0.06, up * 0.06) : orbit.turn(right * STEP, up * STEP);
  switch (event.key) {
    case "ArrowLeft":
      return move(-1, 0);
    case "ArrowRight":
      return move(1, 0);
    case "ArrowUp":
      return move(0, 1);
    case "ArrowDown":
      return move(0, -1);
    case "+":
    case "=":
      return () => orbit.zoom(1.15);
    case "-":
    case "_":
      return () => orbit.zoom(1 / 1.15);
    case "0":
    case "Home":
      return () => viewer.resetCamera();
    case "?":
      return () => viewer.showHelp();
  }
  switch (event.key.toLowerCase()) {
    case "p":
      return () => (viewer.show = viewer.show === "mesh" ? "points" : "mesh");
    case "l":
      return () => {
        const next = LIGHTINGS.indexOf(viewer.lighting) + 1;
        viewer.lighting = LIGHTINGS[next % LIGHTINGS.length]!;
      };
    case "w":
      return () => (viewer.wireframe = !viewer.wireframe);
    case "t":
      return () => (viewer.turntable = !viewer.turntable);
    case "s":
      return () => void viewer.saveScreenshot();
    case "f":
      return () => void viewer.toggleFullscreen();
    default:
      return null;
  }
}
