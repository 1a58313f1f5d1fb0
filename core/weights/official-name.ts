/**
 * What the checkpoints of DINO, iBOT and SERE call a parameter of a network: "projection.mlp.0.weight" is
 * "head.mlp.0.weight"; those of the backbone have one name.
 */
export function officialName(parameter: string): string {
  return parameter
    .replace(/^projection\.cls\./, "head.")
    .replace(/^projection\.patch\.last_layer\./, "head.last_layer2.")
    .replace(/^projection\./, "head.")
    .replace(/^ibot\.maskToken$/, "backbone.masked_embed")
    .replace(/^(pixel|channel)-relation\.head\./, "backbone.$1_sere.")
    .replace(/^(pixel|channel)-relation\.localHead\./, "backbone.$1_sere_local.");
}
