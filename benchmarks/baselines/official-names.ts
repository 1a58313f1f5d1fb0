/** The official name of a network's variable: "student/projection.mlp.0.weight" -> "student.head.mlp.0.weight". */
export function officialName(variable: string): string {
  return variable
    .replace("/projection.cls.", ".head.")
    .replace("/projection.", ".head.")
    .replace("/ibot.maskToken", ".backbone.masked_embed")
    .replace(/\/(pixel|channel)-relation\.head\./, ".backbone.$1_sere.")
    .replace(/\/(pixel|channel)-relation\.localHead\./, ".backbone.$1_sere_local.")
    .replace("/backbone.", ".backbone.");
}
