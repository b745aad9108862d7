import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { differing, pictureName, requestOfForm, requestOfJob, snippet } from "./snippets";
import { makeArtifact, makeJob, makeModel } from "./testing";

const base = { server: "http://127.0.0.1:8000", picture: "duck.png", keyed: false };
const card = makeModel();

/** What a real shell hands to curl, one line per call. */
function callsOf(text: string): string[][] {
  const script = `curl() { printf '%s\\0' "$@" >&2; printf '\\n' >&2; echo '{"id":"${"a1".repeat(16)}"}'; }\n${text}`;
  const done = execFileSync("bash", ["-c", `{ ${script}\n} 2>&1 >/dev/null`], { encoding: "utf8" });
  return done
    .split("\n")
    .filter(Boolean)
    .map((line) => line.split("\0").slice(0, -1));
}

describe("differing", () => {
  it("leaves out defaults of the service and of the model, nulls and objects", () => {
    const params = {
      num_points: 4096,
      steps: 8,
      seed: 7,
      outputs: ["points.ply"],
      remove_background: "auto",
      target_faces: null,
      compression: "meshopt",
      metadata: { a: 1 },
    };
    expect(differing(params, card)).toEqual({ steps: 8, seed: 7, compression: "meshopt" });
  });

  it("keeps everything of a model that is not known", () => {
    expect(differing({ num_points: 4096 }, undefined)).toEqual({ num_points: 4096 });
  });
});

describe("curl", () => {
  it("sends what made the job and fetches its files", () => {
    const request = requestOfJob(
      makeJob({ params: { ...makeJob().params, steps: 8 } }),
      card,
      base,
    );
    const [submit, ...fetches] = callsOf(snippet("curl", request));
    expect(submit).toEqual([
      ..."-sS --fail-with-body -H".split(" "),
      "Prefer: wait=60",
      ..."-F image=@duck.png -F model=bozzetto-xs".split(" "),
      ..."-F steps=8 -F seed=7 -F outputs=points.ply,mesh.glb".split(" "),
      "http://127.0.0.1:8000/reconstruct",
    ]);
    const files = `http://127.0.0.1:8000/jobs/${"a1".repeat(16)}/artifacts`;
    expect(fetches).toEqual([
      ["-sSfO", `${files}/points.ply`],
      ["-sSfO", `${files}/mesh.glb`],
    ]);
  });

  it("has a placeholder for the key in every call", () => {
    const request = requestOfForm({}, card, { ...base, keyed: true });
    for (const call of callsOf(snippet("curl", request))) {
      expect(call).toContain("Authorization: Bearer YOUR_API_KEY");
    }
  });

  it("quotes values that a shell would read", () => {
    const request = requestOfForm({ sampler: "a'; $(touch x) `b`" }, card, base);
    expect(callsOf(snippet("curl", request))[0]).toContain("sampler=a'; $(touch x) `b`");
  });
});

describe("python", () => {
  it("is a program that parses, with the fields as arguments", () => {
    const request = requestOfForm({ steps: 8, guidance_scale: 2.5 }, card, {
      ...base,
      keyed: true,
    });
    const text = snippet("python", request);
    execFileSync("python3", ["-c", "import ast, sys; ast.parse(sys.argv[1])", text]);
    expect(text).toContain('Bozzetto("http://127.0.0.1:8000", api_key="YOUR_API_KEY")');
    expect(text).toContain("    steps=8,\n    guidance_scale=2.5,\n");
    expect(text).toContain('client.download(job, "mesh.glb", "mesh.glb")');
  });
});

describe("javascript", () => {
  it("is a module that parses, with the fields as one object", () => {
    const request = requestOfForm({ steps: 8 }, card, base);
    const text = snippet("javascript", request);
    execFileSync("node", ["--input-type=module", "--check"], { input: text });
    expect(text).toContain('  model: "bozzetto-xs",\n  steps: 8,\n');
    expect(text).toContain('outputs: ["points.ply", "mesh.glb"]');
  });
});

describe("html", () => {
  it("shows the object on screen, or else lets the visitor make one", () => {
    const job = makeJob({ artifacts: [makeArtifact("mesh.glb")] });
    const shown = snippet("html", requestOfJob(job, card, base));
    expect(shown).toContain(`mesh="http://127.0.0.1:8000/jobs/${job.id}/artifacts/mesh.glb"`);
    expect(shown).not.toContain("bozzetto-upload");
    const blank = snippet("html", requestOfForm({ model: "draft" }, card, base));
    expect(blank).toContain('server="http://127.0.0.1:8000" model="draft" for="object"');
  });
});

describe("pictureName", () => {
  it.each([
    [new File([], "duck.png"), "duck.png"],
    [new File([], "my duck (1).png", { type: "image/png" }), "picture.png"],
    [new File([], '";rm -rf.png', { type: "image/webp" }), "picture.webp"],
    [new Blob([], { type: "image/jpeg" }), "picture.jpg"],
    [null, "picture.png"],
  ])("takes plain names and replaces others", (blob, name) => {
    expect(pictureName(blob)).toBe(name);
  });
});
