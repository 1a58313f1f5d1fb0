/** The one colour scheme. Colours are left out where the output is no terminal, and by NO_COLOR. */
import colors from "picocolors";

export const theme = {
  heading: colors.bold,
  accent: colors.cyan,
  good: colors.green,
  warning: colors.yellow,
  error: colors.red,
  quiet: colors.dim,
} as const;

export type Style = (text: string) => string;
