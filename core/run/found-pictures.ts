/** Examples of a retrieval for the report: queries drawn at random, so that none is chosen for its answer. */
import type { Evaluation } from "../eval/evaluator.ts";
import type { Found } from "../eval/task.ts";
import { Random } from "../random.ts";
import type { ReportData, RetrievalExample } from "../report/report-data.ts";
import { imageOf } from "./image-of.ts";

type Section = NonNullable<ReportData["retrievals"]>[number];

const QUERIES = 8;
const ANSWERS = 5;

/** One section per retrieval task. Query i is answered by bank image i. */
export function foundPictures(found: Evaluation["found"], network: string, seed: number): Section[] {
  return found.map(({ trained, rawPixels }): Section => {
    const { task, queries } = trained;
    const order = new Random(seed, "report queries", task).permutation(queries.count);
    const examples = [...order.subarray(0, QUERIES)].map((query): RetrievalExample => ({
      query: { name: queries.captions[query]!, image: imageOf(queries, query) },
      answers: [
        { by: network, neighbours: answers(trained, query) },
        { by: "raw pixels", neighbours: answers(rawPixels, query) },
      ],
    }));
    const note = `${examples.length} queries drawn at random (seed ${seed}), each with its nearest images, best first.`;
    return { title: `What is found: ${task}`, note, examples };
  });
}

function answers({ bank, neighbours }: Found, query: number) {
  const { k, indices } = neighbours;
  return [...indices.subarray(query * k, query * k + Math.min(k, ANSWERS))].map((row) => ({
    name: bank.captions[row]!,
    image: imageOf(bank, row),
    right: row === query,
  }));
}
