/**
 * Foreground from attention, by DINO's protocol (arXiv 2104.14294, fig. 4 and its code): of each head, the
 * patches that the class token attends to most, up to 60 % of the attention that all patches get; compared with
 * the mask by the Jaccard index of each image.
 */

/** Share of the patches' attention that is kept. */
export const KEPT_MASS = 0.6;

/**
 * The patches of largest attention that together hold the share, the last of them included.
 *
 * @param attention [N], not negative
 * @returns [N] 1 where kept, 0 elsewhere
 */
export function keepMass(attention: Float32Array, share = KEPT_MASS): Uint8Array {
  const order = Int32Array.from(attention, (_, i) => i).sort(
    (a, b) => attention[b]! - attention[a]! || a - b,
  );
  const total = attention.reduce((sum, value) => sum + value, 0);
  const kept = new Uint8Array(attention.length);
  let mass = 0;
  for (const patch of order) {
    if (mass >= share * total) break;
    kept[patch] = 1;
    mass += attention[patch]!;
  }
  return kept;
}

/**
 * Intersection over union in pixels of whole patches and a mask.
 *
 * @param patches [N] 0 or 1
 * @param fractions [N] share of each patch's pixels that the mask has
 */
export function jaccard(patches: Uint8Array, fractions: Float32Array): number {
  let intersection = 0;
  let union = 0;
  for (let i = 0; i < fractions.length; i++) {
    if (patches[i]) intersection += fractions[i]!;
    union += patches[i] ? 1 : fractions[i]!;
  }
  return union > 0 ? intersection / union : 0;
}
