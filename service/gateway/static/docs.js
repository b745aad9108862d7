// The API reference, drawn from /openapi.json.

const make = (tag, text, ...children) => {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};

/** Text with `code` in it. */
const prose = (tag, text) =>
  make(tag, "", ...text.split("`").map((part, i) => (i % 2 ? make("code", part) : part)));

const table = (rows) =>
  make(
    "table",
    "",
    make(
      "tbody",
      "",
      ...rows.map((cells) => make("tr", "", ...cells.map((cell) => prose("td", cell)))),
    ),
  );

function describe(schema = {}) {
  const one = schema.anyOf?.find((item) => item.type !== "null") || schema;
  const parts = [
    one.enum ? one.enum.join(" | ") : one.format === "binary" ? "file" : one.type || "",
  ];
  if (one.type === "array") parts[0] = "file, one or more";
  if (one.minimum !== undefined) parts.push(`${one.minimum} to ${one.maximum}`);
  if (schema.default !== undefined && schema.default !== null)
    parts.push(`default ${schema.default}`);
  return parts.filter(Boolean).join(", ");
}

function operation(method, path, item) {
  const section = make("section");
  const title = make("h2", "", make("b", method.toUpperCase()), document.createTextNode(path));
  section.id = item.operationId;
  section.append(title, ...(item.description || "").split("\n\n").map((text) => prose("p", text)));
  const form = item.requestBody?.content["multipart/form-data"];
  const fields = form ? Object.entries(form.schema.properties) : [];
  const named = new Set(fields.map(([name]) => name));
  const parameters = (item.parameters || []).filter((parameter) => !named.has(parameter.name));
  const groups = [
    [
      "Form fields, or query with a raw picture as the body",
      fields.map(([name, schema]) => [name, describe(schema), schema.description || ""]),
    ],
    [
      "Parameters",
      parameters.map((p) => [
        p.name,
        `${p.in}, ${describe(p.schema)}`,
        p.description || p.schema.description || "",
      ]),
    ],
    [
      "Answers",
      Object.entries(item.responses).map(([status, response]) => [status, response.description]),
    ],
  ];
  for (const [heading, rows] of groups)
    if (rows.length) section.append(make("h3", heading), table(rows));
  return section;
}

try {
  const document_ = await (await fetch("/openapi.json")).json();
  const sections = Object.entries(document_.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, item]) => operation(method, path, item)),
  );
  document.getElementById("operations").replaceChildren(...sections);
} catch (error) {
  document
    .getElementById("operations")
    .replaceChildren(make("p", `The document cannot be read: ${error.message}`));
}
