/** The evaluations that a run can be asked for. */

/** By name in `evaluation.protocols` and `relata eval`. */
export const PROTOCOLS = ["knn", "linear", "logistic", "few-shot", "cluster"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Each in a line, for help. */
export const PROTOCOL_SUMMARIES: Readonly<Record<Protocol, string>> = {
  knn: "nearest neighbours, with retrieval and foreground where they fit",
  linear: "linear probe: SGD, several learning rates",
  logistic: "logistic regression at its optimum",
  "few-shot": "episodes of a few labelled images a class, and a few of every class",
  cluster: "k-means against the classes: NMI and ARI",
};

/** Learning rates of the linear probe, for 256 images: the sweep of DINOv2 (arXiv 2304.07193). */
export const LINEAR_LRS: readonly number[] = [
  1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1,
];
