// The fields of a model's own parameters, built from what its card says of them.

const LABELS = {
  steps: "Steps", guidance_scale: "Guidance", candidates: "Candidates", sampler: "Sampler",
  num_points: "Points", seed: "Seed",
};
const CHOICES = { ddim: "DDIM", euler: "Euler", heun: "Heun", dpmpp_2m: "DPM-Solver++ 2M", ddpm: "DDPM" };
const WIDEST_SLIDER = 64; // values that a thumb can still find

export class Options {
  constructor(place) {
    this.place = place;
    this.chosen = new Map(); // name -> what was last entered, over all models
  }

  /** Show the fields of this model, with what was entered before where it still fits. */
  offer(card) {
    const known = Object.keys(LABELS);
    const rank = (item) => (known.indexOf(item.name) + 1) || known.length + 1;
    const parameters = [...(card?.parameters ?? [])].sort((a, b) => rank(a) - rank(b));
    this.place.replaceChildren(...parameters.map((parameter) => this.row(parameter)));
  }

  /** Only what differs from the default: the service knows the rest. */
  write(form) {
    for (const control of this.place.querySelectorAll("[name]")) {
      if (control.value !== control.dataset.default) form.append(control.name, control.value);
    }
  }

  row(parameter) {
    const row = document.createElement("label");
    row.className = "row";
    row.title = parameter.description;
    const title = document.createElement("span");
    title.textContent = LABELS[parameter.name] ?? parameter.name.replaceAll("_", " ");
    const control = CONTROLS[kind(parameter)](parameter);
    control.name = parameter.name;
    row.append(title, control);
    if (control.type === "range") row.append(readout(control, parameter));
    const before = this.chosen.get(parameter.name);
    if (before !== undefined) restore(control, before);
    control.addEventListener("input", () => this.chosen.set(parameter.name, control.value));
    return row;
  }
}

function kind(parameter) {
  if (parameter.kind === "string") return "select";
  const span = parameter.maximum - parameter.minimum;
  return parameter.maximum !== null && parameter.minimum !== null && span <= WIDEST_SLIDER ? "slider" : "number";
}

const CONTROLS = {
  select(parameter) {
    const control = document.createElement("select");
    control.replaceChildren(...parameter.choices.map((choice) => new Option(CHOICES[choice] ?? choice, choice)));
    control.value = control.dataset.default = parameter.default;
    return control;
  },
  slider(parameter) {
    const control = document.createElement("input");
    const step = parameter.kind === "integer" ? 1 : 0.1;
    Object.assign(control, { type: "range", min: parameter.minimum, max: parameter.maximum, step });
    control.value = parameter.default;
    control.dataset.default = control.value;
    return control;
  },
  number(parameter) {
    const control = document.createElement("input");
    Object.assign(control, { type: "number", inputMode: "numeric", min: parameter.minimum, max: parameter.maximum });
    control.placeholder = parameter.name === "seed" ? "drawn" : parameter.default;
    control.dataset.default = "";
    return control;
  },
};

function readout(control, parameter) {
  const output = document.createElement("output");
  const say = () => {
    const value = Number(control.value);
    output.textContent = parameter.name === "guidance_scale" && value === 1 ? "off" : value;
  };
  control.addEventListener("input", say);
  control.addEventListener("restored", say);
  say();
  return output;
}

/** What another model had; out of bounds or unknown here, the default stays. */
function restore(control, value) {
  const before = control.value;
  control.value = value;
  if (control.value !== value || !control.checkValidity()) control.value = before;
  control.dispatchEvent(new Event("restored"));
}
