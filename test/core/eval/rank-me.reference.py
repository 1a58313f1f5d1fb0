"""RankMe (arXiv 2210.02885, eq. 1 and 2) by NumPy's SVD in float64: python3 rank-me.reference.py > rank-me.golden.json"""

import json

import numpy as np

generator = np.random.default_rng(0)


def rank_me(z):
    singular = np.linalg.svd(z, compute_uv=False)
    p = singular / singular.sum() + 1e-7
    return float(np.exp(-(p * np.log(p)).sum()))


def case(name, z):
    z = z.astype(np.float32)
    return {
        "name": name,
        "shape": list(z.shape),
        "values": [float(v) for v in z.ravel()],
        "rankMe": rank_me(z.astype(np.float64)),
    }


normal = generator.standard_normal
cases = [
    case("more images than channels", normal((20, 6)) + 1),
    case("more channels than images", normal((5, 12))),
    case("three directions of eight", normal((16, 3)) @ normal((3, 8))),
    case("nearly one direction", np.ones((12, 1)) @ normal((1, 7)) + 1e-3 * normal((12, 7))),
]
print(json.dumps(cases, indent=1))
