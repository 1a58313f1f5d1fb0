import torch
import torch.nn.functional as F
from torch import Tensor

from ..step import Batch, Means, Terms, TrainingStep
from .losses import centered, channel_loss, dino_loss, ibot_loss, pixel_loss


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    if q.dtype == torch.bfloat16:
        # On CPUs the fused kernel's backward pass in bf16 takes twice as long as three products.
        return F.softmax((q * q.shape[-1] ** -0.5) @ k.mT, -1) @ v
    return F.scaled_dot_product_attention(q, k, v)


class TunedStep(TrainingStep):
    attend = staticmethod(attend)
    adam_options = {"fused": True}

    def terms(
        self, images: dict[str, Tensor], batch: Batch, centers: dict[str, Tensor], temps: dict[str, Tensor]
    ) -> tuple[Terms, Means]:
        spec = self.spec
        related = [name for name in ("pixel", "channel") if getattr(spec, name)]
        with torch.no_grad():
            targets, means, patches = self.teach(images["global"], batch, centers, temps)
            teachers = {name: self.teacher.relation(name, "global", patches) for name in related}

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
            name: {group: self.student.relation(name, group, x[:, 1:]) for group, x in tokens.items()}
            for name in related
        }
        if spec.pixel:
            heads = spec.vit.num_heads
            terms["pixel"] = pixel_loss(teachers["pixel"], students["pixel"], batch.rects, spec.pixel, heads)
        if spec.channel:
            terms["channel"] = channel_loss(teachers["channel"], students["channel"], spec.channel)
        return terms, means

    def teach(
        self, images: Tensor, batch: Batch, centers: dict[str, Tensor], temps: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], Means, Tensor]:
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

    def gradient_norms(self) -> Tensor:
        return torch.stack(torch._foreach_norm([p.grad for p in self.trained.values()]))

    def clip(self, norms: Tensor) -> None:
        factors = (self.spec.optimizer.clip / (norms + 1e-6)).clamp(max=1)
        torch._foreach_mul_([p.grad for p in self.trained.values()], list(factors.unbind()))

    def follow(self, momentum: float) -> None:
        torch._foreach_lerp_(self.followers, self.followed, 1 - momentum)
