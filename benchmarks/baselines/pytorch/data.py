"""DINO's views of images with torchvision, on one thread: what `npm run bench:data` compares with.

    python data.py pil|tensor SPEC

"pil" is DINO's own pipeline: PIL images up to ToTensor. "tensor" is torchvision's v2 on uint8 tensors, decoded by
torchvision too, which its documentation recommends for speed. SPEC is JSON: the sizes, counts and scales of the crops,
mean and std. Each line of standard input is a JSON list of image files; the answer is the CPU seconds that all of
their views took.
"""

import json
import random
import sys
import time

import torch
import torchvision
from PIL import Image, ImageFilter, ImageOps
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

BICUBIC = v2.InterpolationMode.BICUBIC
SIGMA = (0.1, 2.0)
# PIL's filter of three boxes reaches six pixels for the largest sigma.
BLUR_KERNEL = 13


class PilBlur:
    def __init__(self, p):
        self.p = p

    def __call__(self, image):
        if random.random() >= self.p:
            return image
        return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(*SIGMA)))


class PilSolarize:
    def __init__(self, p):
        self.p = p

    def __call__(self, image):
        return ImageOps.solarize(image) if random.random() < self.p else image


def colour(lib, blur, solarise):
    """All up to the floats, which differ."""
    return [
        lib.RandomHorizontalFlip(0.5),
        lib.RandomApply([lib.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.8),
        lib.RandomGrayscale(0.2),
        blur,
        *([solarise] if solarise else []),
    ]


def pil_view(size, scale, blur, solarise, normalise):
    lib = torchvision.transforms
    return lib.Compose(
        [
            lib.RandomResizedCrop(size, scale=scale, interpolation=BICUBIC),
            *colour(lib, PilBlur(blur), PilSolarize(solarise) if solarise else None),
            lib.ToTensor(),
            lib.Normalize(*normalise),
        ]
    )


def tensor_view(size, scale, blur, solarise, normalise):
    gaussian = v2.RandomApply([v2.GaussianBlur(BLUR_KERNEL, SIGMA)], p=blur)
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=scale, interpolation=BICUBIC, antialias=True),
            *colour(v2, gaussian, v2.RandomSolarize(128, solarise) if solarise else None),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(*normalise),
        ]
    )


def open_pil(path):
    return Image.open(path).convert("RGB")


def open_tensor(path):
    return decode_image(path, ImageReadMode.RGB)


def views_of(spec, make):
    """Blur and solarisation are DINO's: the first global crop, the others, the local ones."""
    normalise = (spec["mean"], spec["std"])
    large, small = spec["global"], spec["local"]
    first, other, local = (1.0, 0.0), (0.1, 0.2), (0.5, 0.0)
    kinds = [(large, first if i == 0 else other) for i in range(large["count"])]
    kinds += [(small, local)] * small["count"]
    return [make(crop["size"], crop["scale"], *rest, normalise) for crop, rest in kinds]


def main():
    kind, spec = sys.argv[1], json.loads(sys.argv[2])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(0)
    make, load = (pil_view, open_pil) if kind == "pil" else (tensor_view, open_tensor)
    views = views_of(spec, make)
    print(json.dumps({"torch": torch.__version__, "torchvision": torchvision.__version__}), flush=True)
    for line in sys.stdin:
        paths = json.loads(line)
        start = time.process_time()
        # All views of a chunk live until it is done, as those of a batch do.
        batch = [[view(image) for view in views] for image in map(load, paths)]
        seconds = time.process_time() - start
        shapes = {tuple(view.shape) for image in batch for view in image}
        assert shapes == {(3, crop["size"], crop["size"]) for crop in (spec["global"], spec["local"]) if crop["count"]}
        print(json.dumps(seconds), flush=True)


main()
