"""scikit-learn's figures on features of a few noisy classes; prints labelled.golden.json.

    python3 labelled.reference.py > labelled.golden.json && npx prettier --write labelled.golden.json

With sizes (train test dim classes seed) it prints them for features of those sizes, which the slow test compares with:

    python3 labelled.reference.py 2000 500 96 20 1
"""

import json
import sys

import numpy as np
import sklearn
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler


def make(train, test, dim, classes, seed):
    """Classes that overlap; columns of different scale and mean, as a network's are. Rounded, to be read back exactly."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(classes, dim))
    labels = np.concatenate([np.arange(classes), random.integers(classes, size=train + test - classes)])
    noise = random.normal(size=(train + test, dim)) * dim**0.25
    rows = (centers[labels] + noise) * random.uniform(0.2, 2, size=dim) + random.normal(size=dim)
    rows = np.round(rows, 3).astype(np.float32)
    return rows[:train], labels[:train], rows[train:], labels[train:]


def knn(x, y, queries, k, temperature):
    model = KNeighborsClassifier(
        n_neighbors=k, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1 - d) / temperature)
    )
    return model.fit(x, y).predict(queries).tolist()


def logistic(x, y, queries, targets, c, standardise):
    x, queries = x.astype(np.float64), queries.astype(np.float64)
    if standardise:
        scaler = StandardScaler().fit(x)
        x, queries = scaler.transform(x), scaler.transform(queries)
    model = LogisticRegression(C=c, tol=1e-8, max_iter=10000).fit(x, y)
    scores = model.decision_function(x)
    if scores.ndim == 1:
        scores = np.stack([-scores / 2, scores / 2], 1)
    log_sum = np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1)) + scores.max(1)
    own = scores[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return {
        "c": c,
        "standardise": standardise,
        # The sum over rows plus |W|^2 / (2 C).
        "objective": float((log_sum - own).sum() + (model.coef_**2).sum() / (2 * c)),
        "predictions": model.predict(queries).tolist(),
        "accuracy": float(model.score(queries, targets)),
    }


def figures(train, test, dim, classes, seed):
    x, y, queries, targets = make(train, test, dim, classes, seed)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    kmeans = KMeans(classes, n_init=10, random_state=0).fit(unit)
    two = y < 2
    return {
        "shape": [train, test, dim, classes],
        "train": np.round(x.ravel().astype(float), 3).tolist(),
        "trainLabels": y.tolist(),
        "test": np.round(queries.ravel().astype(float), 3).tolist(),
        "testLabels": targets.tolist(),
        "knn": [{"k": k, "temperature": t, "predictions": knn(x, y, queries, k, t)} for k, t in [(7, 0.07), (20, 0.3)]],
        "logistic": [
            logistic(x, y, queries, targets, c, standardise) for c in [1.0, 0.05] for standardise in [False, True]
        ],
        "logisticOfTwo": logistic(x[two], y[two], queries[targets < 2], targets[targets < 2], 1.0, False),
        "kmeans": {"inertia": float(kmeans.inertia_)},
    }


def scores(labels, clusters):
    labels, clusters = np.asarray(labels), np.asarray(clusters)
    return {
        "labels": labels.tolist(),
        "clusters": clusters.tolist(),
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
    }


def clusterings():
    random = np.random.default_rng(7)
    labels = random.integers(5, size=80)
    near = np.where(random.uniform(size=80) < 0.7, labels, random.integers(5, size=80))
    return [
        scores(labels, near),
        scores(labels, (labels + 2) % 5),
        scores(labels, random.integers(9, size=80)),
        scores(labels, np.zeros(80, int)),
        scores(labels, np.arange(80)),
        scores([0, 0, 1, 1], [0, 1, 0, 1]),
        scores([3, 3, 3], [1, 1, 1]),
        scores([0, 1, 2], [2, 0, 1]),
    ]


sizes = [int(size) for size in sys.argv[1:]]
golden = {"made_by": f"test/core/eval/labelled.reference.py, scikit-learn {sklearn.__version__}"}
golden |= figures(*(sizes or [90, 40, 6, 4, 0]))
if not sizes:
    golden["clusterings"] = clusterings()
print(json.dumps(golden))
