/**
 * npm run bench:data -- [--images folder] [--locals 4] [--chunk 4] [--rounds 80] [--python python3] [--out result.json]
 *
 * Times how images become views (decoding, crops, resampling, colour work, normalisation) by relata and by DINO's
 * pipeline in torchvision, on PIL images and on tensors (baselines/pytorch/data.py). All on one thread, in turn, on the
 * same images; what counts is the CPU time of the process, so that no thread goes unseen. The exit code is 1 where
 * relata makes fewer than 1.5 times as many images a second and core as the faster of the two.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { OwnViews } from "./baselines/own-views.ts";
import { requirePython } from "./baselines/python.ts";
import { TorchvisionSide, type TorchvisionKind } from "./baselines/torchvision-side.ts";
import { command, parseFlags, progress, UsageError, wholeOf } from "./command.ts";
import { emit, makeResult } from "./make-result.ts";
import { makePhotos } from "./photos.ts";
import type { Figure, Formula } from "./result.ts";
import { median, ratioOfMedians } from "./statistics.ts";

const REQUIRED = 1.5;
/** Rounds before those that count: code is compiled, files are in memory. */
const WARMUP = 10;
const PHOTOS = 96;

await command(async () => {
  const { values: flags } = parseFlags({
    options: {
      /** JPEG files; those of photos.ts by default. */
      images: { type: "string" },
      locals: { type: "string", default: "4" },
      chunk: { type: "string", default: "4" },
      rounds: { type: "string", default: "80" },
      python: { type: "string" },
      out: { type: "string" },
    },
  });
  const chunk = wholeOf("chunk", flags.chunk, 1);
  const locals = wholeOf("locals", flags.locals, 0);
  const rounds = wholeOf("rounds", flags.rounds, 1);
  if (flags.images === undefined && chunk > PHOTOS)
    throw new UsageError(`--chunk ${chunk}: at most ${PHOTOS}, of which there are images`);
  const python = requirePython(flags.python);
  const made = flags.images === undefined ? mkdtempSync(join(tmpdir(), "relata-photos-")) : undefined;
  try {
    if (made !== undefined) {
      progress(`making ${PHOTOS} images`);
      await makePhotos(made, PHOTOS);
    }
    const own = await OwnViews.open(made ?? resolve(flags.images!), chunk, locals);
    const pil = await TorchvisionSide.start(python, "pil", own.spec);
    const tensor = await TorchvisionSide.start(python, "tensor", own.spec);
    const samples = {
      pipelineSeconds: [] as number[],
      colourSeconds: [] as number[],
      relataSeconds: [] as number[],
      pilSeconds: [] as number[],
      tensorSeconds: [] as number[],
    };
    for (let round = 1 - WARMUP; round <= rounds; round++) {
      progress(round < 1 ? "warm-up" : `round ${round} of ${rounds}`);
      const { paths, pipelineSeconds, colourSeconds } = await own.next();
      const taken = {
        pipelineSeconds,
        colourSeconds,
        relataSeconds: pipelineSeconds + colourSeconds,
        pilSeconds: await pil.run(paths),
        tensorSeconds: await tensor.run(paths),
      };
      if (round < 1) continue;
      for (const name of Object.keys(samples) as (keyof typeof samples)[]) samples[name].push(taken[name]);
    }
    for (const side of [pil, tensor]) side.close();
    await own.close();
    const fastest = median(samples.pilSeconds) < median(samples.tensorSeconds) ? "pil" : "tensor";
    const ratio = (of: keyof typeof samples, over: keyof typeof samples): Omit<Figure, "unit"> => ({
      of,
      over,
      ...ratioOfMedians(samples[of], samples[over]),
    });
    const speedOver = (kind: TorchvisionKind): Figure => ({
      unit: "times",
      better: "higher",
      ...ratio(`${kind}Seconds`, "relataSeconds"),
    });
    const perSecond = (name: keyof typeof samples): Formula => ({ unit: "1/s", over: name, scale: chunk });
    const milliseconds = (name: keyof typeof samples): Formula => ({
      unit: "ms",
      of: name,
      scale: 1000 / chunk,
    });
    const result = makeResult({
      library: own.assembly.engine.description.library,
      subject: {
        images: flags.images === undefined ? "photos" : basename(resolve(flags.images)),
        views: own.assembly.training.declarations.viewGroups
          .map(({ count, size }) => `${count}x${size}`)
          .join("+"),
        chunk,
        ...tensor.versions,
      },
      samples: Object.fromEntries(Object.entries(samples).map(([name, seconds]) => [name, [seconds]])),
      formulas: {
        relataImagesPerCpuSecond: perSecond("relataSeconds"),
        pilImagesPerCpuSecond: perSecond("pilSeconds"),
        tensorImagesPerCpuSecond: perSecond("tensorSeconds"),
        pipelineMilliseconds: milliseconds("pipelineSeconds"),
        colourMilliseconds: milliseconds("colourSeconds"),
      },
      fitted: {
        speedOverPil: speedOver("pil"),
        speedOverTensor: speedOver("tensor"),
        timeOverFastest: {
          unit: "times",
          better: "lower",
          limit: 1 / REQUIRED,
          ...ratio("relataSeconds", `${fastest}Seconds`),
        },
      },
    });
    return emit(result, flags.out);
  } finally {
    if (made !== undefined) rmSync(made, { recursive: true });
  }
});
