"""The figures of signals.ts in NumPy, float64: python3 signals.reference.py > signals.golden.json"""

import json

import numpy as np

generator = np.random.default_rng(0)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def rounded(x):
    return np.asarray(x, np.float32).astype(np.float64)


# featureStd: 2 views of 5 images, 4 channels
features = rounded(generator.normal(0.5, 1, (2, 5, 4)))
z = features / np.linalg.norm(features, axis=-1, keepdims=True)
feature_std = np.sqrt(z.var(axis=1, ddof=1).mean())

# relationVariation: 4 samples, the third does not count
relation = rounded(generator.normal(1, 0.3, (4, 2, 3)))
counted = np.array([1, 1, 0, 1])
kept = relation[counted == 1]
mean = kept.mean(0)
variation = np.sqrt(((kept - mean) ** 2).mean(0).sum() / (mean**2).sum())

# targetSignals: 6 rows over 5 prototypes, the last is no target
targets = rounded(softmax(3 * generator.normal(size=(6, 5))))
student = softmax(generator.normal(size=(6, 5)))
used = np.array([1, 1, 1, 1, 1, 0])
rows, predicted = targets[used == 1], student[used == 1]
entropies = -(rows * np.log(rows)).sum(-1)
cross = -(rows * np.log(predicted)).sum(-1).mean()
kl = (rows * (np.log(rows) - np.log(predicted))).sum(-1).mean()
mean_target = rows.mean(0)
print(
    json.dumps(
        {
            "features": features.ravel().tolist(),
            "featureStd": feature_std,
            "relation": relation.ravel().tolist(),
            "counted": counted.tolist(),
            "relationVariation": variation,
            "targets": targets.ravel().tolist(),
            "used": used.tolist(),
            "crossEntropy": cross,
            "targetEntropy": entropies.mean() / np.log(5),
            "klDivergence": kl,
            "prototypesUsed": len(set(rows.argmax(-1))) / 5,
            "prototypePerplexity": np.exp(-(mean_target * np.log(mean_target)).sum()),
        },
        indent=1,
    )
)
