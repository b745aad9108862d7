// Two views of the same picture, turned together.

/** The part of `<bozzetto-viewer>` that is needed here. */
export interface Posed extends EventTarget {
  /** Serialised pose; setting it moves the camera. */
  camera: string;
}

/** Whoever is moved takes the other along. The second starts in the pose of the first. */
export function keepInStep(first: Posed, second: Posed, signal: AbortSignal): void {
  let following = false;
  const link = (from: Posed, to: Posed) => {
    from.addEventListener(
      "bozzetto-camera",
      () => {
        if (following || to.camera === from.camera) return;
        // A view may tell of a move that it was asked to make: that one must not come back.
        following = true;
        to.camera = from.camera;
        following = false;
      },
      { signal },
    );
  };
  link(first, second);
  link(second, first);
  second.camera = first.camera;
}
