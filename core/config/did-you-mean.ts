/** The nearest of the known names, for messages. */

/**
 * Edits that turn a into b: insertions, deletions, substitutions and swaps of neighbours (optimal string
 * alignment).
 */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    const above = rows[i - 1]!;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let edits = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, rows[i - 2]![j - 2]! + 1);
      }
      row.push(edits);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** Case and separators do not count: batch_size is batchSize. */
const plain = (name: string) => name.toLowerCase().replace(/[-_\s.]/g, "");

const startsAlike = (a: string, b: string) =>
  Math.min(a.length, b.length) >= 3 && (a.startsWith(b) || b.startsWith(a));

/**
 * The known name that was probably meant: at most a third of its letters differ (always one), or one of both starts
 * with the other. Undefined where none is near.
 */
export function didYouMean(typed: string, known: readonly string[]): string | undefined {
  const wanted = plain(typed);
  const near = known
    .map((name) => ({ name, distance: editDistance(wanted, plain(name)) }))
    .filter(({ name, distance }) => distance <= Math.max(1, Math.floor(plain(name).length / 3)))
    .sort((a, b) => a.distance - b.distance);
  if (near[0]) return near[0].name;
  return known.find((name) => startsAlike(wanted, plain(name)));
}
