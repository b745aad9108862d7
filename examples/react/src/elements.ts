// The two elements as React 19 sees them: attributes as props, `onbozzetto-...` for their events.
// Only what this example uses is typed; the rest is in the README of the repository's web folder.
import type { DetailedHTMLProps, HTMLAttributes } from "react";

export interface Job {
  id: string;
  status: "queued" | "running" | "succeeded" | "failed" | "canceled" | "expired";
  error: { code: string; detail: string; hint: string | null } | null;
  artifacts: { name: string; url: string; bytes: number }[];
}

type ElementProps = DetailedHTMLProps<HTMLAttributes<HTMLElement>, HTMLElement>;

interface UploadProps extends ElementProps {
  server?: string;
  "api-key"?: string;
  model?: string;
  outputs?: string;
  for?: string;
  "onbozzetto-submit"?: (event: CustomEvent<{ job: Job }>) => void;
  "onbozzetto-progress"?: (event: CustomEvent<{ progress: { percent: number; stage: string } }>) => void;
  "onbozzetto-done"?: (event: CustomEvent<{ job: Job }>) => void;
  "onbozzetto-error"?: (event: CustomEvent<{ error: Error }>) => void;
}

interface ViewerProps extends ElementProps {
  mesh?: string;
  points?: string;
  show?: "points" | "mesh";
  lighting?: "studio" | "soft" | "flat" | "normals";
  label?: string;
  turntable?: boolean;
  "onbozzetto-load"?: (event: CustomEvent<{ kind: "points" | "mesh" }>) => void;
}

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "bozzetto-upload": UploadProps;
      "bozzetto-viewer": ViewerProps;
    }
  }
}

/** Load the elements from the server that makes the objects; loading them twice is no harm. */
export function loadElements(server: string): void {
  for (const name of ["bozzetto-upload", "bozzetto-viewer"]) {
    const script = document.createElement("script");
    script.type = "module";
    script.src = `${server}/static/${name}.js`;
    document.head.append(script);
  }
}
