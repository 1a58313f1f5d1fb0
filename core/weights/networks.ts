/**
 * Which networks a file of weights holds, by the names of its tensors:
 *
 *   DINO, iBOT, SERE    student.module.backbone.blocks.0…, student.module.head.mlp.0…, teacher.backbone.…
 *   their backbones     blocks.0.norm1.weight …, as timm's models, with or without a prefix such as "module."
 *   relata              student/backbone.blocks.0…, student/projection.mlp.0…
 */
import { officialName } from "./official-name.ts";
import type { StoredTensor } from "./stored-tensor.ts";

/** A network as it is told to people: a file that does not say has a "network". */
export type StoredRole = NetworkRole | "network";

/** What a run has of every method. */
export type NetworkRole = "student" | "teacher";

/** One network of a file. */
export class StoredNetwork {
  readonly role: StoredRole;
  /** What the names of its backbone's tensors begin with. */
  private readonly backbonePrefix: string;
  /** What the names of all of its tensors begin with. */
  private readonly prefix: string;
  private readonly byName: ReadonlyMap<string, StoredTensor>;

  constructor(role: StoredRole, backbonePrefix: string, tensors: readonly StoredTensor[]) {
    this.role = role;
    this.backbonePrefix = backbonePrefix;
    this.prefix = backbonePrefix.replace(/(?<=^|[./])backbone\.$/, "");
    this.byName = new Map(
      tensors.filter(({ name }) => name.startsWith(this.prefix)).map((tensor) => [tensor.name, tensor]),
    );
  }

  /** Its tensors, heads included. */
  get tensors(): readonly StoredTensor[] {
    return [...this.byName.values()];
  }

  /** The tensor of one of relata's parameters, such as "backbone.cls_token" or "projection.mlp.0.weight". */
  find(parameter: string): StoredTensor | undefined {
    for (const name of this.namesOf(parameter)) {
      const tensor = this.byName.get(name);
      if (tensor) return tensor;
    }
    return undefined;
  }

  /** The backbone's tensors by their names in it, such as "blocks.0.norm1.weight". */
  backbone(): ReadonlyMap<string, StoredTensor> {
    const own = this.tensors.filter(({ name }) => name.startsWith(this.backbonePrefix));
    return new Map(own.map((tensor) => [tensor.name.slice(this.backbonePrefix.length), tensor]));
  }

  private namesOf(parameter: string): string[] {
    const inBackbone = /^backbone\.(.*)/.exec(parameter)?.[1];
    if (inBackbone !== undefined) {
      const names = inBackbone === "register_tokens" ? [inBackbone, "reg_token"] : [inBackbone];
      return names.map((name) => this.backbonePrefix + name);
    }
    return [parameter, ...otherNames(parameter)].map((name) => this.prefix + name);
  }
}

/** What else a head's parameter may be called; newer PyTorch keeps a weight norm's parts as a parametrisation. */
function otherNames(parameter: string): string[] {
  const name = officialName(parameter);
  const parametrised = name
    .replace(/\.weight_g$/, ".parametrizations.weight.original0")
    .replace(/\.weight_v$/, ".parametrizations.weight.original1");
  return [name, parametrised].filter((other) => other !== parameter);
}

/** A tensor that every vision transformer has once. */
const ANCHOR = /^(.*?)patch_embed\.proj\.weight$/;
/** relata's own, of any backbone. */
const OWN = /^((student|teacher)\/backbone\.)/;

/** The networks, at most one of each role; none where there is no backbone. */
export function networksOf(tensors: readonly StoredTensor[]): readonly StoredNetwork[] {
  const prefixes = new Set(
    tensors.flatMap(({ name }) => (OWN.exec(name) ?? ANCHOR.exec(name) ?? []).slice(1, 2)),
  );
  const byRole = new Map<StoredRole, string>();
  for (const prefix of prefixes) if (!byRole.has(roleOf(prefix))) byRole.set(roleOf(prefix), prefix);
  // Beside networks that say what they are, the others are optimizer state and the like.
  if (byRole.has("student")) byRole.delete("network");
  const alone = byRole.get("network");
  if (byRole.has("teacher") && alone !== undefined) {
    byRole.delete("network");
    byRole.set("student", alone); // a model and its moving average
  }
  return Array.from(byRole, ([role, prefix]) => new StoredNetwork(role, prefix, tensors));
}

function roleOf(prefix: string): StoredRole {
  const words = prefix.split(/[./]/);
  if (words.some((word) => /^(teacher|ema|.+_ema)$/.test(word))) return "teacher";
  return words.includes("student") ? "student" : "network";
}
