/** What a schema says about itself: the keys at a path, and a table of all options. */
import { z } from "zod";

export type Path = readonly PropertyKey[];

/** One option, for tables and help. */
export interface OptionDescription {
  /** Dotted: "train.lr". */
  readonly path: string;
  /** "number", "one of fp32, bf16", "[number, number]" … */
  readonly type: string;
  readonly required: boolean;
  readonly default?: unknown;
  readonly description?: string;
}

type Node = z.core.JSONSchema.BaseSchema;

const trees = new WeakMap<z.ZodType, Node>();

function treeOf(schema: z.ZodType): Node {
  let tree = trees.get(schema);
  if (!tree) {
    tree = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
    trees.set(schema, tree);
  }
  return tree;
}

/** The objects that a value at this node may be. */
function objectsOf(node: Node): Node[] {
  const choices = [...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.allOf ?? [])] as Node[];
  return [...(node.properties ? [node] : []), ...choices.flatMap(objectsOf)];
}

function childrenOf(node: Node, key: PropertyKey): Node[] {
  if (typeof key === "number") {
    const items = (node.prefixItems?.[key] ?? node.items) as Node | boolean | undefined;
    return typeof items === "object" ? [items] : [];
  }
  return objectsOf(node).flatMap((object) => {
    const child = object.properties?.[String(key)];
    return typeof child === "object" ? [child as Node] : [];
  });
}

/** The keys that an object at a path of the schema may have; none where there is no object. */
export function keysAt(schema: z.ZodType, path: Path): string[] {
  let nodes = [treeOf(schema)];
  for (const key of path) nodes = nodes.flatMap((node) => childrenOf(node, key));
  return [...new Set(nodes.flatMap(objectsOf).flatMap((object) => Object.keys(object.properties ?? {})))];
}

/** Every option of a schema, in the order in which it is declared; after a choice, what is in its objects. */
export function describeOptions(schema: z.ZodType): OptionDescription[] {
  return describeObject(treeOf(schema), "");
}

function describeObject(object: Node, prefix: string): OptionDescription[] {
  return Object.entries(object.properties ?? {}).flatMap(([key, value]) => {
    const node = value as Node;
    const path = prefix + key;
    if (node.properties) return describeObject(node, `${path}.`);
    const option: OptionDescription = {
      path,
      type: typeName(node),
      required: object.required?.includes(key) ?? false,
      default: node.default,
      description: node.description,
    };
    return [option, ...objectsOf(node).flatMap((choice) => describeObject(choice, `${path}.`))];
  });
}

function typeName(node: Node): string {
  if (node.enum) return `one of ${node.enum.join(", ")}`;
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.anyOf) return node.anyOf.map((choice) => typeName(choice as Node)).join(" or ");
  if (node.prefixItems) return `[${node.prefixItems.map((item) => typeName(item as Node)).join(", ")}]`;
  if (node.type === "array") return `list of ${typeName((node.items ?? {}) as Node)}`;
  return String(node.type ?? "any");
}
