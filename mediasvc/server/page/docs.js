// The OpenAPI document for people.

import { byId, h } from "./dom.js";
import { exampleOf, follow, kindOf, propertyRows, prose, row } from "./schema.js";

const METHODS = ["get", "put", "post", "delete", "options", "head", "patch"];
const OTHER = "Routes";

function operationsOf(api) {
  return Object.entries(api.paths ?? {}).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({
      ...item[method],
      path,
      method,
      id: `${method}${path.replace(/[^\w]+/g, "-")}`.replace(/-$/, ""),
      group: item[method].tags?.[0] ?? OTHER,
      parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])].map((one) => follow(one, api)),
    })),
  );
}

// HEAD answers as GET does: one entry says both.
function merged(operations) {
  const gets = new Set(operations.filter(({ method }) => method === "get").map(({ path }) => path));
  const heads = new Set(operations.filter(({ method }) => method === "head").map(({ path }) => path));
  return operations
    .filter(({ method, path }) => method !== "head" || !gets.has(path))
    .map((operation) => ({ ...operation, alsoHead: operation.method === "get" && heads.has(operation.path) }));
}

const methodMark = (method) => h("span", { class: `method ${method}` }, method.toUpperCase());

const titled = (group) => group.charAt(0).toUpperCase() + group.slice(1);

const breakable = (path) => path.split(/(?=\/)/).flatMap((piece, position) => (position ? [h("wbr"), piece] : [piece]));

function contents(groups, schemas) {
  const list = (items) => h("ul", {}, items.map(([target, ...label]) => h("li", {}, h("a", { href: `#${target}` }, label))));
  const parts = [...groups].flatMap(([group, operations]) => [
    h("h2", {}, titled(group)),
    list(operations.map(({ id, method, path }) => [id, methodMark(method), h("span", {}, breakable(path))])),
  ]);
  if (schemas.length) parts.push(h("h2", {}, "Shapes"), list(schemas.map(([name]) => [`schema-${name}`, name])));
  return parts;
}

function operationPart(operation, api) {
  const also = operation.alsoHead ? h("span", { class: "needs" }, "and HEAD") : null;
  const body = follow(operation.requestBody, api);
  return h(
    "section",
    { class: "operation", id: operation.id, "aria-labelledby": `${operation.id}-title` },
    h("h3", { id: `${operation.id}-title` }, methodMark(operation.method), h("span", {}, breakable(operation.path)), also),
    operation.summary && h("p", {}, h("b", {}, operation.summary)),
    prose(operation.description),
    needsToken(operation, api) && h("p", { class: "needs" }, "Asks for the bearer token where the service has one."),
    operation.parameters.length ? [h("h4", {}, "Parameters"), parameterRows(operation.parameters, api)] : "",
    body.content ? [h("h4", {}, "Body"), contentRows(body.content, api)] : "",
    h("h4", {}, "Answers"),
    answerRows(operation.responses ?? {}, api),
    h("h4", {}, "For example"),
    h("pre", { tabindex: "0", role: "region", "aria-label": `Example of ${operation.method} ${operation.path}` }, h("code", {}, curl(operation, body, api))),
  );
}

const needsToken = (operation, api) => (operation.security ?? api.security ?? []).some((one) => Object.keys(one).length);

function parameterRows(parameters, api) {
  return h(
    "dl",
    { class: "rows" },
    parameters.map((one) =>
      row(one.name, `${one.in}${one.required ? "" : ", optional"}`, kindOf(one.schema ?? {}, api), one.description),
    ),
  );
}

function contentRows(content, api) {
  return h(
    "dl",
    { class: "rows" },
    Object.entries(content).map(([type, { schema }]) =>
      row(type, "", schema ? kindOf(schema, api) : null, "", schema && !schema.$ref ? propertyRows(schema, api) : null),
    ),
  );
}

function answerRows(responses, api) {
  return h(
    "dl",
    { class: "rows" },
    Object.entries(responses).map(([status, response]) => {
      const plain = follow(response, api);
      const kinds = Object.entries(plain.content ?? {}).flatMap(([type, { schema }], position) => [
        position ? "; " : "",
        type,
        ...(schema?.$ref ? [": ", ...kindOf(schema, api)] : []),
      ]);
      return row(status, "", kinds.length ? kinds : null, plain.description);
    }),
  );
}

function curl(operation, body, api) {
  const valueOf = (one) => one.example ?? Object.values(one.examples ?? {})[0]?.value ?? exampleOf(one.schema ?? {}, api);
  const sentIn = (place) => operation.parameters.filter((one) => one.in === place);
  const root = new URL(".", document.baseURI).href.replace(/\/$/, "");
  const path = operation.path.replace(/\{(\w+)\}/g, (whole, name) => {
    const example = sentIn("path").filter((one) => one.name === name).map(valueOf)[0];
    return example && example !== "…" ? String(example) : whole;
  });
  const query = sentIn("query").filter((one) => one.required || one.example !== undefined);
  const [type, content] = Object.entries(body.content ?? {})[0] ?? [];
  const implied = type ? "post" : "get";
  const flags = [query.length ? " --get" : "", operation.method === implied ? "" : ` -X ${operation.method.toUpperCase()}`];
  const lines = [`curl${flags.join("")} ${quoted(root + path)}`];
  lines.push(...query.map((one) => `--data-urlencode ${quoted(`${one.name}=${valueOf(one)}`)}`));
  if (needsToken(operation, api)) lines.push("-H 'Authorization: Bearer …'");
  if (type) {
    const example = valueOf(content);
    lines.push(`-H 'Content-Type: ${type}'`, `-d ${quoted(typeof example === "string" ? example : JSON.stringify(example))}`);
  }
  return lines.join(" \\\n  ");
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function show(api) {
  byId("about").replaceChildren(...prose(api.info?.description ?? ""));
  byId("title").textContent = `${api.info?.title ?? "mediasvc"} over HTTP`;
  if (api.info?.version) byId("about").append(h("p", { class: "quiet" }, `Version ${api.info.version}`));
  const groups = new Map();
  for (const operation of merged(operationsOf(api))) {
    groups.set(operation.group, [...(groups.get(operation.group) ?? []), operation]);
  }
  const schemas = Object.entries(api.components?.schemas ?? {});
  byId("contents").replaceChildren(...contents(groups, schemas));
  byId("operations").replaceChildren(
    ...[...groups].flatMap(([group, operations]) => [h("h2", {}, titled(group)), ...operations.map((one) => operationPart(one, api))]),
    ...(schemas.length ? [h("h2", {}, "Shapes")] : []),
    ...schemas.map(([name, schema]) =>
      h(
        "section",
        { class: "schema", id: `schema-${name}`, "aria-labelledby": `schema-${name}-title` },
        h("h3", { id: `schema-${name}-title` }, name),
        prose(schema.description),
        propertyRows(schema, api) ?? h("p", { class: "kind-line" }, kindOf(schema, api)),
      ),
    ),
  );
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

try {
  const reply = await fetch(new URL("openapi.json", new URL(".", document.baseURI)));
  if (!reply.ok) throw new Error(`The service answered ${reply.status} to openapi.json.`);
  show(await reply.json());
} catch (error) {
  byId("problem").textContent = `The routes cannot be shown. ${error.message}`;
  byId("problem").hidden = false;
}
