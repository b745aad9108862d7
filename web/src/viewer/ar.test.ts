import { expect, it } from "vitest";
import { sceneViewerLink } from "./ar";

it("asks Android for Scene Viewer with an address that it can read", () => {
  const file = "https://host.example/jobs/j1/artifacts/mesh.glb?a=1&b=2";
  const link = sceneViewerLink(file, "A chair & more");
  const [address, intent] = link.split("#Intent;");
  const query = new URL(address!.replace("intent:", "https:")).searchParams;
  expect(query.get("file")).toBe(file);
  expect(query.get("title")).toBe("A chair & more");
  expect(intent!.split(";")).toContain(`S.browser_fallback_url=${encodeURIComponent(file)}`);
  expect(intent!.endsWith(";end;")).toBe(true);
});
