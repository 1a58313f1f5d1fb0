/** 0.3684 -> "36.8 %", with a space that does not break. */
export function percent(value: number): string {
  if (Number.isNaN(value)) return "not finite";
  return `${(value * 100).toFixed(1)}\u00a0%`;
}

/** At most four significant digits; very small and very large numbers with an exponent. */
export function number(value: number): string {
  if (Number.isNaN(value)) return "not finite";
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-3 || size >= 1e7))
    return value
      .toExponential(2)
      .replace(/\.?0+e/, "e")
      .replace("e+", "e");
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(4)));
}

/** 5025 seconds -> "1 h 24 min". */
export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** "teacherTemp" -> "Teacher temp": a name of the log as a title. */
export function title(name: string): string {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[-_]/g, " ")
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
