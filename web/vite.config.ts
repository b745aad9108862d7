import { defineConfig } from "vite";

const SERVER = process.env["BOZZETTO_SERVER"] ?? "http://127.0.0.1:8000";
const API = ["/reconstruct", "/jobs", "/models", "/livez", "/readyz", "/openapi.json"];

/** Whoever copies one of these files finds what it may be used for. */
const NOTICES: Record<string, string> = {
  three: "/*! three.js, MIT licence: see licences.txt */",
  meshopt: "/*! meshoptimizer, MIT licence: see licences.txt */",
};

export default defineConfig({
  base: "/static/",
  resolve: {
    alias: {
      "bozzetto-client": new URL("../clients/javascript/src/index.ts", import.meta.url).pathname,
    },
  },
  server: { proxy: Object.fromEntries(API.map((path) => [path, SERVER])) },
  esbuild: { legalComments: "inline" },
  build: {
    target: "es2022",
    outDir: "../service/gateway/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 550, // kB; three.js, which is loaded after the first paint
    // Preloads would be addressed from the root of the page, and the elements live on other sites too.
    modulePreload: false,
    rollupOptions: {
      input: {
        page: "index.html",
        "bozzetto-viewer": "src/viewer/index.ts",
        "bozzetto-upload": "src/upload/index.ts",
      },
      preserveEntrySignatures: "allow-extension",
      output: {
        // The files are committed and other sites name them, so no hashes.
        entryFileNames: "[name].js",
        chunkFileNames: "[name].js",
        assetFileNames: "[name][extname]",
        manualChunks: chunkOf,
        banner: ({ name }) => NOTICES[name] ?? "",
      },
    },
  },
});

/** three.js changes seldom and the elements often: apart, a commit of the latter stays small. */
function chunkOf(id: string): string | undefined {
  if (id.includes("/node_modules/three/")) return "three";
  if (id.includes("/node_modules/meshoptimizer/")) return "meshopt";
  const shared = ["/src/shared/", "/clients/javascript/", "vite/preload-helper"];
  return shared.some((part) => id.includes(part)) ? "shared" : undefined;
}
