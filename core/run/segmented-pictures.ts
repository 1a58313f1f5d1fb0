/** Foreground found in test images, for the report: cut-outs, so that what is missing or too much shows. */
import { maskOf, Overlap, type Segmentation } from "../eval/segmentation.ts";
import type { RgbImage } from "../report/images.ts";
import type { ReportData } from "../report/report-data.ts";
import { imageOf } from "./image-of.ts";

/** What lies in the place of the background: a colour that is rare in pictures. */
const BACKDROP = [58, 64, 92] as const;

export function segmentedPictures(
  { set, found }: Segmentation,
  network: string,
  seed: number,
): NonNullable<ReportData["segmentations"]> {
  const examples = found.map(({ image: index, maps }) => {
    const image = imageOf(set.images, index);
    const truth = maskOf(set, index);
    const found = maps.map(({ by, mask }) => {
      const overlap = new Overlap();
      overlap.add(mask, truth);
      return { by, image: cutOut(image, mask), overlap: overlap.foreground };
    });
    const known = { by: "true mask", image: cutOut(image, truth) };
    return { name: set.images.captions[index]!, image, maps: [known, ...found] };
  });
  const note =
    `${examples.length} test images drawn at random (seed ${seed}), cut out by their masks and by what the ` +
    `${network}'s patch tokens say; with the foreground's IoU.`;
  return { title: "What is foreground", note, examples };
}

function cutOut({ data, ...size }: RgbImage, mask: Uint8Array): RgbImage {
  return { ...size, data: data.map((value, i) => (mask[Math.floor(i / 3)] ? value : BACKDROP[i % 3]!)) };
}
