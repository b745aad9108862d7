import { BozzettoViewer } from "./element";

export { BozzettoViewer };
export { ViewerError } from "./errors";

if (!customElements.get("bozzetto-viewer"))
  customElements.define("bozzetto-viewer", BozzettoViewer);

declare global {
  interface HTMLElementTagNameMap {
    "bozzetto-viewer": BozzettoViewer;
  }
}
