"""Golden values of the patch kernel alignment: the equations of the plugin's page in float64, not the paper's code.

python3 reference.py > golden.json && npx prettier --write golden.json   # torch 1.13
"""

import json
import math

import torch

PAIRS, POINTS, TEACHER_DIM, STUDENT_DIM = 3, 5, 4, 6


def features(dim, step):
    """[PAIRS, POINTS, dim]; pairs differ in scale, and all features share an offset."""
    values = [
        [[(1 + p) * (0.4 + math.sin(1.3 * p + step * i * (d + 1))) for d in range(dim)] for i in range(POINTS)]
        for p in range(PAIRS)
    ]
    return torch.tensor(values, dtype=torch.float64)


def kernel(x):
    return x @ x.transpose(1, 2)


def losses(k_t, k_s):
    h = torch.eye(POINTS, dtype=torch.float64) - torch.ones(POINTS, POINTS, dtype=torch.float64) / POINTS
    hsic = lambda a, b: torch.einsum("pij,pji->p", a @ h, b @ h)  # tr(A H B H)
    return 1 - hsic(k_t, k_s) / (hsic(k_t, k_t) * hsic(k_s, k_s)).sqrt()


teacher = features(TEACHER_DIM, 0.7)
student = features(STUDENT_DIM, 1.1).requires_grad_()
weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)

k_s = kernel(student)
k_s.retain_grad()
each = losses(kernel(teacher), k_s)
(each * weights).sum().backward()

h = torch.eye(POINTS, dtype=torch.float64) - 1 / POINTS
spectra = torch.linalg.eigvalsh(h @ kernel(teacher) @ h)
ranks = spectra.sum(1) ** 2 / (spectra**2).sum(1)

rounded = lambda x: [float(f"{v:.10g}") for v in x.detach().flatten().tolist()]
print(
    json.dumps(
        {
            "pairs": PAIRS,
            "points": POINTS,
            "teacherDim": TEACHER_DIM,
            "studentDim": STUDENT_DIM,
            "weights": rounded(weights),
            "losses": rounded(each),
            "kernelGradient": rounded(k_s.grad),
            "featureGradient": rounded(student.grad),
            "effectiveRanks": rounded(ranks),
        }
    )
)
