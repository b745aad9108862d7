import type { Orbit } from "./orbit";

/** A drag across the whole height turns by half. */
const TURN_PER_HEIGHT = Math.PI;
const WHEEL = 0.0012;
const WHEEL_LINE = 0.04;
/** A finger that rested before it left did not flick. */
const FLICK_WITHIN_MS = 60;

interface Hand {
  x: number;
  y: number;
  /** Pixels per millisecond, and when that was. */
  speed: [number, number];
  at: number;
}

/**
 * Turns by one finger or the mouse, moves by two fingers, the right button or with shift, zooms by
 * two fingers or the wheel.
 *
 * `changed` is called after each; `reset` on a double click.
 */
export function listen(
  canvas: HTMLCanvasElement,
  orbit: Orbit,
  changed: () => void,
  reset: () => void,
): void {
  const hands = new Map<number, Hand>();
  const middle = () => {
    const all = [...hands.values()];
    const mean = (of: (hand: Hand) => number) =>
      all.reduce((sum, hand) => sum + of(hand), 0) / all.length;
    const [x, y] = [mean((hand) => hand.x), mean((hand) => hand.y)];
    return { x, y, spread: mean((hand) => Math.hypot(hand.x - x, hand.y - y)) };
  };
  const pan = (dx: number, dy: number) => {
    const scale = 2.2 / canvas.clientHeight / orbit.now.zoom;
    orbit.pan(-dx * scale, dy * scale);
  };
  const turn = (dx: number, dy: number) => {
    const scale = TURN_PER_HEIGHT / Math.min(canvas.clientHeight, canvas.clientWidth);
    orbit.turn(-dx * scale, dy * scale);
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    hands.set(event.pointerId, {
      x: event.clientX,
      y: event.clientY,
      speed: [0, 0],
      at: event.timeStamp,
    });
    orbit.held = true;
  });
  canvas.addEventListener("pointermove", (event) => {
    const hand = hands.get(event.pointerId);
    if (!hand) return;
    const before = middle();
    const [dx, dy] = [event.clientX - hand.x, event.clientY - hand.y];
    const passed = Math.max(event.timeStamp - hand.at, 1);
    Object.assign(hand, {
      x: event.clientX,
      y: event.clientY,
      speed: [dx / passed, dy / passed],
      at: event.timeStamp,
    });
    const after = middle();
    if (hands.size > 1) {
      if (before.spread > 0) orbit.zoom(after.spread / before.spread);
      pan(after.x - before.x, after.y - before.y);
    } else if (event.shiftKey || event.buttons & 6) pan(dx, dy);
    else turn(dx, dy);
    changed();
  });
  const leave = (event: PointerEvent) => {
    const hand = hands.get(event.pointerId);
    hands.delete(event.pointerId);
    orbit.held = hands.size > 0;
    if (!hand) return;
    if (event.type === "pointerup" && !orbit.held && event.timeStamp - hand.at < FLICK_WITHIN_MS) {
      const scale = (1000 * TURN_PER_HEIGHT) / canvas.clientHeight;
      orbit.flick(-hand.speed[0] * scale, hand.speed[1] * scale);
    }
    changed();
  };
  canvas.addEventListener("pointerup", leave);
  canvas.addEventListener("pointercancel", leave);
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", reset);
  canvas.addEventListener(
    "wheel",
    (event) => {
      // In a page that scrolls, the wheel is the page's until the picture has been clicked.
      const page = document.scrollingElement;
      const scrolls = page !== null && page.scrollHeight > page.clientHeight + 1;
      if (scrolls && !event.ctrlKey && !canvas.matches(":focus")) return;
      event.preventDefault();
      orbit.zoom(
        Math.exp(-event.deltaY * (event.deltaMode ? WHEEL_LINE : WHEEL) * (event.ctrlKey ? 6 : 1)),
      );
      changed();
    },
    { passive: false },
  );
}
