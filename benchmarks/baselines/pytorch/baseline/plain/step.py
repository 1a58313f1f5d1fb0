import torch
from torch import Tensor

from ..overlap import sampling_grid
from ..step import Batch, Means, Network, Terms, TrainingStep
from .losses import channel_relation, cross_entropy, mean_of_masked, mean_over_pairs, pixel_relation, resample


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return ((q @ k.mT) * q.shape[-1] ** -0.5).softmax(-1) @ v


class PlainStep(TrainingStep):
    attend = staticmethod(attend)
    adam_options = {}

    def terms(
        self, images: dict[str, Tensor], batch: Batch, centers: dict[str, Tensor], temps: dict[str, Tensor]
    ) -> tuple[Terms, Means]:
        spec = self.spec
        with torch.no_grad():
            teacher = self.outputs(self.teacher, "global", images["global"])
        student = {
            group: self.outputs(
                self.student, group, x, keep=batch.keep.get(group), mask=batch.mask if group == "global" else None
            )
            for group, x in images.items()
        }
        teachers = views_of(teacher, 2)
        students = [view for group, x in student.items() for view in views_of(x, spec.views[group])]
        rects = [view for group in images for view in batch.rects[group].chunk(spec.views[group])]

        def prototypes(name: str, t: int, s: int) -> Tensor:
            target = (teachers[t][name] - centers[name]) / temps[name]
            return cross_entropy(target, students[s][name] / getattr(spec, name).student_temp)

        def pixel(t: int, s: int) -> Tensor:
            points = spec.pixel.overlap_side["global" if s < 2 else "local"]
            target = resample(teachers[t]["pixel"], sampling_grid(rects[t], rects[s], points))
            logits = resample(students[s]["pixel"], sampling_grid(rects[s], rects[t], points))
            return cross_entropy(target / spec.pixel.teacher_temp, logits).mean()

        def channel(t: int, s: int) -> Tensor:
            return cross_entropy(teachers[t]["channel"] / spec.channel.teacher_temp, students[s]["channel"]).mean()

        terms = {"dino": mean_over_pairs(len(students), lambda t, s: prototypes("dino", t, s).mean())}
        means = {"dino": teacher["dino"].float().mean(0, keepdim=True)}
        if spec.ibot:
            masks = batch.mask.chunk(2)
            terms["ibot"] = sum(mean_of_masked(prototypes("ibot", v, v), masks[v]) for v in range(2)) / 2
            means["ibot"] = teacher["ibot"].float().mean((0, 1)).unsqueeze(0)
        if spec.pixel:
            terms["pixel"] = mean_over_pairs(len(students), pixel)
        if spec.channel:
            terms["channel"] = mean_over_pairs(len(students), channel)
        return terms, means

    def outputs(
        self, network: Network, group: str, images: Tensor, keep: Tensor | None = None, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What each loss compares, by its name: logits dino [B, K] and ibot [B, N, K], relations pixel [B, h, N, N] and
        channel [B, D, D]. Local views have patch logits too, which no loss reads, as in iBOT's code."""
        spec = self.spec
        tokens = network.backbone(images, keep=keep, mask=mask)
        normed = network.backbone.norm(tokens)
        features = network.head.features(normed if spec.ibot else normed[:, :1])
        outputs = {"dino": network.head.logits(features[:, 0])}
        if spec.ibot:
            outputs["ibot"] = network.head.logits(features[:, 1:])
        if spec.pixel:
            outputs["pixel"] = pixel_relation(network.relation("pixel", group, tokens[:, 1:]), spec.vit.num_heads)
        if spec.channel:
            related = network.relation("channel", group, tokens[:, 1:])
            outputs["channel"] = channel_relation(related, spec.channel.divisor[group])
        return outputs

    def gradient_norms(self) -> Tensor:
        return torch.tensor([p.grad.norm().item() for p in self.trained.values()])

    def clip(self, norms: Tensor) -> None:
        for p, norm in zip(self.trained.values(), norms.tolist()):
            factor = self.spec.optimizer.clip / (norm + 1e-6)
            if factor < 1:
                p.grad.mul_(factor)

    def follow(self, momentum: float) -> None:
        for follower, followed in zip(self.followers, self.followed):
            follower.mul_(momentum).add_((1 - momentum) * followed)


def views_of(outputs: dict[str, Tensor], count: int) -> list[dict[str, Tensor]]:
    """The outputs of each view."""
    return [dict(zip(outputs, view)) for view in zip(*(x.chunk(count) for x in outputs.values()))]
