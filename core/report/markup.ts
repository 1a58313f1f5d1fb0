/** Text that is HTML already. Everything else is escaped where it is put in. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Content = Markup | string | number | undefined | readonly Content[];

const ESCAPES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** HTML from a template: strings are escaped, markup is kept, lists are joined, undefined is left out. */
export function markup(template: TemplateStringsArray, ...values: Content[]): Markup {
  return new Markup(
    template.map((piece, i) => piece + (i < values.length ? render(values[i]) : "")).join(""),
  );
}

function render(content: Content): string {
  if (content === undefined) return "";
  if (content instanceof Markup) return content.text;
  if (typeof content === "object") return content.map(render).join("");
  return String(content).replace(/[&<>"']/g, (c) => ESCAPES[c]!);
}
