import { BozzettoUpload } from "./element";

export { BozzettoUpload };

if (!customElements.get("bozzetto-upload"))
  customElements.define("bozzetto-upload", BozzettoUpload);

declare global {
  interface HTMLElementTagNameMap {
    "bozzetto-upload": BozzettoUpload;
  }
}
