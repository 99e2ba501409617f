// JSON Schema in words, for people; text and elements out.

import { h } from "./dom.js";

/** Follows a local reference; anything else is itself. */
export function follow(node, document) {
  if (!node?.$ref?.startsWith("#/")) return node ?? {};
  const found = node.$ref
    .slice(2)
    .split("/")
    .reduce((place, step) => place?.[step.replaceAll("~1", "/").replaceAll("~0", "~")], document);
  return follow(found, document);
}

export const refName = (node) => node?.$ref?.split("/").at(-1) ?? null;

/** What a value may be, as text and links: "integer, 1 to 8192". */
export function kindOf(schema, document) {
  const name = refName(schema);
  if (name && schema.$ref.startsWith("#/components/schemas/")) return [h("a", { href: `#schema-${name}` }, name)];
  const plain = follow(schema, document);
  const choices = plain.anyOf ?? plain.oneOf;
  if (choices) return joined(choices.map((choice) => kindOf(choice, document)), " or ");
  if (plain.allOf?.length === 1) return kindOf(plain.allOf[0], document);
  if (plain.const !== undefined) return [JSON.stringify(plain.const)];
  if (plain.enum) {
    const values = plain.enum.map((value) => [h("code", {}, String(value))]);
    return ["one of ", ...joined(values, ", "), limits(plain)];
  }
  const types = [plain.type ?? (plain.properties ? "object" : "anything")].flat();
  const words = types.flatMap((type, position) => [position ? " or " : "", ...(type === "array" ? arrayOf(plain, document) : [type])]);
  return [...words, limits(plain)];
}

function arrayOf(schema, document) {
  const size = schema.minItems !== undefined && schema.minItems === schema.maxItems ? ` of ${schema.minItems}` : "";
  return schema.items ? [`list${size} of `, ...kindOf(schema.items, document)] : ["list"];
}

function limits(schema) {
  const parts = [];
  if (schema.format) parts.push(schema.format);
  if (schema.minimum !== undefined && schema.maximum !== undefined) parts.push(`${schema.minimum} to ${schema.maximum}`);
  else if (schema.minimum !== undefined) parts.push(`at least ${schema.minimum}`);
  else if (schema.maximum !== undefined) parts.push(`at most ${schema.maximum}`);
  if (schema.pattern?.length <= 40) parts.push(`like ${schema.pattern}`);
  if (schema.default !== undefined) parts.push(`${JSON.stringify(schema.default)} unless given`);
  return parts.length ? `, ${parts.join(", ")}` : "";
}

const joined = (lists, glue) => lists.flatMap((list, position) => (position ? [glue, ...list] : list));

/** The properties of an object as rows; null when it has none. Inner objects without a name are shown in place. */
export function propertyRows(schema, document, depth = 0) {
  const plain = follow(schema, document);
  const entries = Object.entries(plain.properties ?? {});
  if (!entries.length || depth > 4) return null;
  const required = new Set(plain.required ?? []);
  return h(
    "dl",
    { class: "rows" },
    entries.map(([name, property]) => {
      const own = refName(property) ? null : follow(property, document);
      const inner = own?.type === "array" && !refName(own.items) ? own.items : own;
      return row(
        name,
        required.has(name) ? "" : "optional",
        kindOf(property, document),
        follow(property, document).description,
        inner ? propertyRows(inner, document, depth + 1) : null,
      );
    }),
  );
}

/** One row of a list: a name, a remark under it, what it may be, and what it means. */
export function row(name, remark, kind, description, inner = null) {
  return h(
    "div",
    {},
    h("dt", {}, h("code", {}, name), remark && [" ", h("span", { class: "quiet" }, remark)]),
    h("dd", {}, kind && h("div", { class: "kind-line" }, kind), prose(description), inner),
  );
}

/** Paragraphs with `code` in them; nothing else of Markdown is read. */
export function prose(text) {
  if (!text) return [];
  return text
    .trim()
    .split(/\n\s*\n/)
    .map((paragraph) =>
      h("p", {}, paragraph.split("`").map((piece, position) => (position % 2 ? h("code", {}, piece) : piece.replace(/\s+/g, " ")))),
    );
}

/** A value that fits a schema: its example if it has one, else made up from its parts. */
export function exampleOf(schema, document, depth = 0) {
  const plain = follow(schema, document);
  const given = plain.example ?? plain.examples?.[0] ?? plain.default ?? plain.const ?? plain.enum?.[0];
  if (given !== undefined || depth > 5) return given ?? null;
  const choice = plain.anyOf?.[0] ?? plain.oneOf?.[0] ?? plain.allOf?.[0];
  if (choice) return exampleOf(choice, document, depth + 1);
  const type = [plain.type].flat()[0];
  if (type === "array") return plain.items ? [exampleOf(plain.items, document, depth + 1)] : [];
  if (type === "object" || plain.properties) {
    const required = Object.keys(plain.properties ?? {}).filter((name) => plain.required?.includes(name));
    return Object.fromEntries(required.map((name) => [name, exampleOf(plain.properties[name], document, depth + 1)]));
  }
  return { string: "…", integer: plain.minimum ?? 1, number: plain.minimum ?? 1, boolean: true }[type] ?? null;
}
