"""One training step: both networks, all losses, gradients, clip, AdamW, EMA, centers."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .heads import ProjectionHead, RelationHead
from .losses import centered, channel_loss, dino_loss, ibot_loss, pixel_loss
from .spec import Schedule, Spec
from .vit import VisionTransformer


@dataclass(frozen=True)
class Batch:
    pixels: dict[str, Tensor]
    """[count * B, S, S, 3] by view group, 0..255, view by view."""
    rects: dict[str, Tensor]
    """[count * B, 5]: x, y, width, height, flip of each crop."""
    keep: dict[str, Tensor]
    """[2 * depth, count * B] of the student's residual branches: 0 where dropped, else 1 / probability. May be empty."""
    mask: Tensor | None
    """[2 B, N] of the student's global views, true where masked."""
    masked: Tensor | None
    """[M] indices of those patches."""


class Network(nn.Module):
    """Backbone and heads, by the names of the official checkpoints."""

    def __init__(self, spec: Spec, student: bool):
        super().__init__()
        D = spec.vit.embed_dim
        self.backbone = VisionTransformer(spec.vit, masked=student and spec.ibot is not None)
        self.head = ProjectionHead(D, spec.head)
        names = [name for name, relation in (("pixel", spec.pixel), ("channel", spec.channel)) if relation]
        for name in names:
            self.backbone.add_module(f"{name}_sere", RelationHead(D, predicts=student))
            if student and spec.views.get("local"):
                self.backbone.add_module(f"{name}_sere_local", RelationHead(D, predicts=True))

    def relations(self, name: str, patches: dict[str, Tensor]) -> dict[str, Tensor]:
        """Features to relate, by view group."""
        suffix = {"global": "", "local": "_local"}
        return {group: self.backbone.get_submodule(f"{name}_sere{suffix[group]}")(x) for group, x in patches.items()}


class TrainingStep:
    def __init__(self, spec: Spec, compile_mode: str | None = None):
        self.spec = spec
        self.student = Network(spec, student=True)
        self.teacher = Network(spec, student=False).requires_grad_(False)
        self.centers = {name: torch.zeros(1, spec.head.out_dim) for name in ("dino", "ibot") if getattr(spec, name)}
        self.trained = {name: p for name, p in self.student.named_parameters() if p.requires_grad}
        followers = dict(self.teacher.named_parameters())
        both = [(followers[name], p) for name, p in self.student.named_parameters() if name in followers]
        self.followers, self.followed = map(list, zip(*both))
        decayed = [p for name, p in self.trained.items() if self.decays(name)]
        others = [p for name, p in self.trained.items() if not self.decays(name)]
        adam = spec.optimizer
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed}, {"params": others, "weight_decay": 0}],
            betas=tuple(adam.betas),
            eps=adam.eps,
            fused=True,
        )
        std = torch.tensor(spec.pixels.std) * 255
        self.scale = 1 / std
        self.shift = -torch.tensor(spec.pixels.mean) * 255 / std
        self.losses = self.compute if compile_mode is None else torch.compile(self.compute, mode=compile_mode)

    def decays(self, name: str) -> bool:
        return self.trained[name].ndim > 1 or (self.spec.optimizer.decay_biases and name.endswith(".bias"))

    @torch.no_grad()
    def load(self, network: str, values: Iterable[tuple[str, Tensor]]) -> None:
        """Sets every weight and statistic; linear layers take the values of 1 x 1 convolutions.

        Others among the values are left out, such as heads that a teacher does not use."""
        state = getattr(self, network).state_dict()
        missing = {name for name in state if not name.endswith("num_batches_tracked")}
        for name, value in values:
            if name in missing:
                state[name].copy_(value.reshape(state[name].shape))
                missing.remove(name)
        if missing:
            raise ValueError(f"there are no values for the {network}'s {', '.join(sorted(missing))}")

    def compute(
        self, batch: Batch, centers: dict[str, Tensor], temps: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Loss terms and their weighted sum `total`; the means of the teacher's logits for the centers."""
        spec = self.spec
        bf16 = spec.precision == "bf16"
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            images = {
                group: torch.addcmul(self.shift, x.float(), self.scale).permute(0, 3, 1, 2)
                for group, x in batch.pixels.items()
            }
            related = [name for name in ("pixel", "channel") if getattr(spec, name)]
            with torch.no_grad():
                targets, means, patches = self.teach(images["global"], batch, centers, temps)
                teachers = {name: self.teacher.relations(name, {"global": patches})["global"] for name in related}

            backbone, head = self.student.backbone, self.student.head
            tokens = {
                group: backbone(
                    x,
                    keep=batch.keep.get(group),
                    mask=batch.mask if group == "global" else None,
                    cls_only=not related and (group == "local" or spec.ibot is None),
                )
                for group, x in images.items()
            }
            rows = [x[:, 0] for x in tokens.values()]
            if spec.ibot:
                rows.append(tokens["global"][:, 1:].flatten(0, 1)[batch.masked])
            logits = head.logits(head.features(backbone.norm(torch.cat(rows))))
            views = sum(len(x) for x in tokens.values())

            terms = {"dino": dino_loss(targets["dino"], logits[:views], spec.dino.student_temp)}
            if spec.ibot:
                counts = batch.mask.sum(1, keepdim=True).expand_as(batch.mask)
                weights = 1 / (len(batch.mask) * counts.flatten()[batch.masked])
                terms["ibot"] = ibot_loss(targets["ibot"], logits[views:], weights, spec.ibot.student_temp)
            students = {
                name: self.student.relations(name, {group: x[:, 1:] for group, x in tokens.items()}) for name in related
            }
            if spec.pixel:
                heads = spec.vit.num_heads
                terms["pixel"] = pixel_loss(teachers["pixel"], students["pixel"], batch.rects, spec.pixel, heads)
            if spec.channel:
                terms["channel"] = channel_loss(teachers["channel"], students["channel"], spec.channel)
        terms["total"] = sum(getattr(spec, name).weight * term for name, term in terms.items())
        return terms, means

    def teach(
        self, images: Tensor, batch: Batch, centers: dict[str, Tensor], temps: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        """The teacher's distributions over prototypes and mean logits by loss, and its patch tokens before the norm."""
        spec = self.spec
        backbone, head = self.teacher.backbone, self.teacher.head
        tokens = backbone(images, cls_only=spec.ibot is None and spec.pixel is None and spec.channel is None)
        normed = backbone.norm(tokens if spec.ibot else tokens[:, :1])
        features = head.features(normed)
        cls = features[:, 0]
        if spec.ibot:
            of_patches = features[:, 1:].flatten(0, 1)
            # The last layer is linear: the mean of all patches' logits is the logits of their mean.
            rows = torch.cat([cls, of_patches[batch.masked], of_patches.mean(0, keepdim=True)])
        else:
            rows = cls
        logits = head.logits(rows)
        of_cls, of_masked = logits[: len(cls)], logits[len(cls) : -1]
        targets = {"dino": centered(of_cls, centers["dino"], temps["dino"])}
        means = {"dino": of_cls.float().mean(0, keepdim=True)}
        if spec.ibot:
            targets["ibot"] = centered(of_masked, centers["ibot"], temps["ibot"])
            means["ibot"] = logits[-1:].float()
        return targets, means, tokens[:, 1:]

    def forward(self, batch: Batch, schedule: Schedule) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        temps = {"dino": torch.tensor(schedule.dino_temp), "ibot": torch.tensor(schedule.ibot_temp)}
        return self.losses(batch, self.centers, temps)

    def gradients(self, batch: Batch, schedule: Schedule) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Leaves gradients in the student's weights."""
        self.optimizer.zero_grad(set_to_none=True)
        terms, means = self.forward(batch, schedule)
        terms["total"].backward()
        return terms, means

    def gradient_norms(self) -> list[Tensor]:
        return torch._foreach_norm([p.grad for p in self.trained.values()])

    @torch.no_grad()
    def update(self, schedule: Schedule, norms: list[Tensor]) -> None:
        """Clips each tensor's gradient by its norm, then AdamW, then the teacher follows."""
        clip = self.spec.optimizer.clip
        if clip > 0:
            factors = (clip / (torch.stack(norms) + 1e-6)).clamp(max=1)
            torch._foreach_mul_([p.grad for p in self.trained.values()], list(factors.unbind()))
        for group in self.optimizer.param_groups:
            group["lr"] = schedule.lr
        self.optimizer.param_groups[0]["weight_decay"] = schedule.weight_decay
        self.optimizer.step()
        torch._foreach_lerp_(self.followers, self.followed, 1 - schedule.momentum)

    def move_centers(self, means: dict[str, Tensor]) -> None:
        for name, mean in means.items():
            self.centers[name].lerp_(mean, 1 - getattr(self.spec, name).center_momentum)

    def step(self, batch: Batch, schedule: Schedule) -> dict[str, float]:
        """The loss terms and the gradient's norm. A loss or gradient that is not finite changes nothing."""
        terms, means = self.gradients(batch, schedule)
        norms = self.gradient_norms()
        scalars = numbers(terms, norms)
        if not all(map(torch.isfinite, (terms["total"], torch.stack(norms).sum()))):
            raise FloatingPointError(f"the step is not finite: {scalars}")
        self.update(schedule, norms)
        self.move_centers(means)
        return scalars


def numbers(terms: dict[str, Tensor], norms: list[Tensor] | None = None) -> dict[str, float]:
    scalars = {name: term.item() for name, term in terms.items()}
    if norms is not None:
        scalars["gradNorm"] = torch.stack(norms).norm().item()
    return scalars
