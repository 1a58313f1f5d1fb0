/** Columns of text for the terminal. */

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

/** Lines of equal columns, the titles first. Columns without a value in any row are left out. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const shown = columns.map((_, i) => i).filter((i) => rows.some((row) => row[i] !== ""));
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    shown
      .map((i) =>
        columns[i]!.align === "right" ? cells[i]!.padStart(widths[i]!) : cells[i]!.padEnd(widths[i]!),
      )
      .join("  ")
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)];
}
