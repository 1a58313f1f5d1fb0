import { officialName as officialParameter } from "../../core/weights/official-name.ts";

/** The official name of a network's variable: "student/projection.mlp.0.weight" -> "student.head.mlp.0.weight". */
export function officialName(variable: string): string {
  const slash = variable.indexOf("/");
  return `${variable.slice(0, slash)}.${officialParameter(variable.slice(slash + 1))}`;
}
