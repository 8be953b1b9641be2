// The OpenAPI document, with a form to try each route.

import { get, hasKey, onKey } from "./api.js";
import { $, element } from "./dom.js";

function row(cells, tag = "td") {
  const line = element("tr");
  line.append(...cells.map((cell) => element(tag, cell)));
  return line;
}

function table(head, rows) {
  const made = element("table");
  made.append(row(head, "th"), ...rows.map((cells) => row(cells)));
  return made;
}

function kind(schema = {}) {
  const bounds = [
    schema.minimum === undefined ? "" : `from ${schema.minimum}`,
    schema.maximum === undefined ? "" : `to ${schema.maximum}`,
  ].filter((b) => b && !b.includes("e+") && b.length < 14);
  return [schema.format ?? schema.type ?? "", ...bounds].join(" ");
}

function tryIt(path, parameters) {
  const form = element("form");
  const output = element("pre");
  output.hidden = true;
  for (const p of parameters) {
    const line = element("div", "", "line");
    const label = element("label", p.name);
    const input = element("input");
    input.name = p.name;
    input.required = p.required;
    input.value = p.schema?.default ?? (p.required ? p.schema?.examples?.[0] : "") ?? "";
    input.id = label.htmlFor = `${path}-${p.name}`;
    line.append(label, input);
    form.append(line);
  }
  const line = element("div", "", "line");
  line.append(element("button", "Try it"));
  form.append(line, output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = [...new FormData(form)].filter(([, value]) => value);
    output.hidden = false;
    try {
      output.textContent = JSON.stringify(await get(path, given), null, 2);
    } catch (error) {
      output.textContent = `${error.status ?? ""} ${error.message}`;
    }
  });
  return form;
}

function route(path, method, about) {
  const node = element("details", "", "card");
  const title = element("summary");
  title.append(element("span", method.toUpperCase(), "method"), element("code", path));
  node.append(title, element("p", about.description ?? about.summary));
  const parameters = about.parameters ?? [];
  if (parameters.length) {
    const rows = parameters.map((p) => [
      p.required ? p.name : `${p.name} (optional)`,
      kind(p.schema),
      p.description ?? p.schema?.description ?? "",
      String(p.schema?.examples?.[0] ?? p.schema?.default ?? ""),
    ]);
    node.append(table(["parameter", "type", "meaning", "example"], rows));
  }
  const answers = Object.entries(about.responses).map(([code, r]) => [code, r.description]);
  node.append(table(["answer", "meaning"], answers));
  if (path !== "/metrics") node.append(tryIt(path, parameters));
  return node;
}

async function begin() {
  let found;
  try {
    found = await get("/openapi.json");
  } catch (error) {
    $("key-form").hidden = error.status !== 401;
    $("summary").textContent = error.message;
    return;
  }
  $("key-form").hidden = true;
  $("openapi").hidden = hasKey(); // a browser that follows a link sends no key
  $("summary").textContent = `${found.info.summary} Version ${found.info.version}.`;
  const routes = Object.entries(found.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, about]) => route(path, method, about)),
  );
  routes[0].open = true;
  $("routes").replaceChildren(...routes);
}

onKey(begin);
begin();
