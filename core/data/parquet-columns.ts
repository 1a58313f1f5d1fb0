/** Which columns of a parquet file hold images and labels. */
import { parquetSchema, type FileMetaData, type SchemaTree } from "hyparquet";

export interface LabelColumn {
  readonly name: string;
  /** Of the values 0, 1, …; absent where the values are all there is. */
  readonly classNames?: readonly string[];
}

const IMAGE_NAMES = ["image", "img"];
const LABEL_NAMES = ["label", "labels", "cls", "class"];

/** The one that the metadata calls an image, or is named so, or the only one with bytes. */
export function imageColumn(metadata: FileMetaData): string | undefined {
  const withBytes = parquetSchema(metadata).children.filter(hasBytes).map(nameOf);
  const features = featuresOf(metadata);
  return (
    withBytes.find((name) => features[name]?._type === "Image") ??
    IMAGE_NAMES.find((name) => withBytes.includes(name)) ??
    (withBytes.length === 1 ? withBytes[0] : undefined)
  );
}

/** The one that the metadata calls a class label, or is named so. */
export function labelColumn(metadata: FileMetaData): LabelColumn | undefined {
  const flat = parquetSchema(metadata)
    .children.filter(({ children }) => children.length === 0)
    .map(nameOf);
  const features = featuresOf(metadata);
  const classed = flat.find((name) => features[name]?._type === "ClassLabel");
  const name = classed ?? LABEL_NAMES.find((label) => flat.includes(label));
  if (name === undefined) return undefined;
  const { names } = features[name] ?? {};
  const named = Array.isArray(names) && names.every((label) => typeof label === "string");
  return { name, classNames: named ? names : undefined };
}

const nameOf = ({ element }: SchemaTree) => element.name;

/** Binary and no text, or a struct with such a field "bytes". */
function hasBytes({ element, children }: SchemaTree): boolean {
  if (element.repetition_type === "REPEATED") return false;
  if (children.length > 0)
    return children.some((child) => child.element.name === "bytes" && isBinary(child.element));
  return isBinary(element);
}

const isBinary = ({ type, converted_type, logical_type }: SchemaTree["element"]) =>
  type === "BYTE_ARRAY" && converted_type === undefined && logical_type === undefined;

type Features = Record<string, { readonly _type?: unknown; readonly names?: unknown } | undefined>;

/** What Hugging Face's `datasets` says of the columns. */
function featuresOf({ key_value_metadata }: FileMetaData): Features {
  const text = key_value_metadata?.find(({ key }) => key === "huggingface")?.value;
  try {
    const { info } = JSON.parse(text ?? "{}") as { info?: { features?: Features } };
    return info?.features ?? {};
  } catch {
    return {};
  }
}
