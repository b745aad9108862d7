// What a job can be told, as descriptions of form fields; drawn by controls.ts.

import type { Model, Parameter } from "bozzetto-client";

export interface FieldSpec {
  name: string;
  label: string;
  hint: string;
  control: "select" | "slider" | "number" | "text";
  /** As the control has it: "" of a number or text field means the server's own choice. */
  initial: string;
  numeric: boolean;
  choices: readonly (readonly [value: string, label: string])[];
  min?: number | undefined;
  max?: number | undefined;
  step?: number | "any" | undefined;
  placeholder?: string | undefined;
}

const LABELS: Record<string, string> = {
  steps: "Steps",
  guidance_scale: "Guidance",
  candidates: "Candidates",
  sampler: "Sampler",
  num_points: "Points",
  label: "Class",
  camera: "Camera",
  seed: "Seed",
};
const SAMPLERS: Record<string, string> = {
  ddim: "DDIM",
  euler: "Euler",
  heun: "Heun",
  dpmpp_2m: "DPM-Solver++ 2M",
  ddpm: "DDPM",
  pndm: "PNDM",
};
/** Of what is possible, what people can enter; the API's documentation has the rest. */
const CAMERA_HINT =
  'Where the picture was taken from, as {"elevation": 20, "distance": 2.5}: degrees above the ' +
  "object, and its diameters away.";
const WIDEST_SLIDER = 64; // values that a thumb can still find

/** The model's own parameters, the well-known ones first; not those that leave no choice. */
export function modelFields(model: Model | undefined): FieldSpec[] {
  const known = Object.keys(LABELS);
  const rank = ({ name }: FieldSpec) => known.indexOf(name) + 1 || known.length + 1;
  const open = ({ minimum, maximum }: Parameter) => minimum === null || minimum !== maximum;
  return (model?.parameters ?? [])
    .filter(open)
    .map(fieldOf)
    .sort((a, b) => rank(a) - rank(b));
}

export function fieldOf(parameter: Parameter): FieldSpec {
  const { name, kind, minimum, maximum, choices } = parameter;
  const common = {
    name,
    label: LABELS[name] ?? name.replaceAll("_", " "),
    hint: parameter.description,
    numeric: kind === "integer" || kind === "number",
    choices: choices.map((choice) => [choice, SAMPLERS[choice] ?? choice] as const),
  };
  const initial = String(parameter.default);
  if (kind === "string") return { ...common, control: "select", initial };
  if (kind === "camera") {
    return { ...common, hint: CAMERA_HINT, control: "text", initial: "", placeholder: initial };
  }
  const bounds = { min: minimum ?? undefined, max: maximum ?? undefined };
  const few = minimum !== null && maximum !== null && maximum - minimum <= WIDEST_SLIDER;
  if (few) {
    return { ...common, ...bounds, control: "slider", initial, step: kind === "integer" ? 1 : 0.1 };
  }
  const placeholder = name === "seed" ? "drawn" : initial;
  const step = kind === "integer" ? 1 : "any";
  return { ...common, ...bounds, control: "number", initial: "", placeholder, step };
}

export const BACKGROUND: FieldSpec = {
  name: "remove_background",
  label: "Background",
  hint: "whether the object has to be cut out of the picture first",
  control: "select",
  initial: "auto",
  numeric: false,
  choices: [
    ["auto", "Remove if needed"],
    ["always", "Always remove"],
    ["never", "Keep"],
  ],
};

export const MESH_FIELDS: readonly FieldSpec[] = [
  {
    name: "target_faces",
    label: "Faces",
    hint: "triangles of the mesh, about; fewer make a smaller file",
    control: "number",
    initial: "",
    numeric: true,
    choices: [],
    min: 100,
    max: 200_000,
    step: 1,
    placeholder: "20000",
  },
  {
    name: "texture_size",
    label: "Colours",
    hint: "of mesh.glb: one per vertex, or a picture wrapped around it",
    control: "select",
    initial: "",
    numeric: true,
    choices: [
      ["", "Per vertex"],
      ["512", "Texture, 512 pixels"],
      ["1024", "Texture, 1024 pixels"],
      ["2048", "Texture, 2048 pixels"],
      ["4096", "Texture, 4096 pixels"],
    ],
  },
  {
    name: "compression",
    label: "Compression",
    hint: "of GLB files; not every program reads compressed ones",
    control: "select",
    initial: "none",
    numeric: false,
    choices: [
      ["none", "None"],
      ["quantized", "Quantised"],
      ["meshopt", "Meshopt"],
    ],
  },
];

/** One row of the choice of files. */
export interface FileGroup {
  title: string;
  files: readonly (readonly [name: string, label: string])[];
}

const STEMS: Record<string, string> = { points: "Points", mesh: "Mesh" };
const FORMATS: Record<string, string> = { webp: "WebP" };
const PICTURES = "Pictures";

/** Files by what they show, each under the name of its format. */
export function fileGroups(names: readonly string[]): FileGroup[] {
  const groups = new Map<string, [string, string][]>();
  for (const name of names) {
    const [stem = "", format = ""] = name.split(".");
    const title = STEMS[stem] ?? PICTURES;
    groups.set(title, [
      ...(groups.get(title) ?? []),
      [name, FORMATS[format] ?? format.toUpperCase()],
    ]);
  }
  return [...groups].map(([title, files]) => ({ title, files }));
}

/** What is asked for when nobody chose: the points come first, so that a viewer has something to show. */
export function usualOutputs(model: Model | undefined, asked: string | null): string[] {
  if (asked)
    return asked
      .split(",")
      .map((name) => name.trim())
      .filter(Boolean);
  return [...new Set(["points.ply", ...(model?.default_outputs ?? ["mesh.glb"])])];
}

/** The model of a submit that names none, as far as a worker serves it. */
export function firstModel(models: readonly Model[], asked: string | null): Model | undefined {
  return (
    models.find((model) => model.id === asked) ??
    models.find((model) => model.default && model.ready) ??
    models.find((model) => model.ready) ??
    models.find((model) => model.default) ??
    models[0]
  );
}
