"""Images for the networks: decoded once, resized, kept in memory while they fit; crops of people."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillery.config.search_network import Resize
from distillery.data.images import read_image
from distillery.engine import distributed
from distillery.engine.randomness import numpy_generator
from distillery.person_search.benchmarks.base import SearchImage
from distillery.person_search.network import Batch

CACHE_BYTES = 1 << 30
"""Decoded images kept in memory; what does not fit is read from disk each time."""

_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)

Pixels = NDArray[np.uint8]


class ImageStore:
    """The images of a split by index, resized for the network.

    Args:
        images: The images.
        resize: Input size; None leaves them as they are.
        cache_bytes: How much decoded data to keep.
    """

    def __init__(
        self, images: Sequence[SearchImage], resize: Resize | None = None, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.images = images
        self._resize = resize
        self._cache: dict[int, tuple[Pixels, float]] = {}
        self._free = cache_bytes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Pixels, float]:
        """Image (H, W, 3) uint8 RGB and its scale: pixels of it to a pixel of the file."""
        if index not in self._cache:
            item = load_resized(self.images[index], self._resize)
            if item[0].nbytes > self._free:
                return item
            self._free -= item[0].nbytes
            self._cache[index] = item
        return self._cache[index]


def load_resized(image: SearchImage, resize: Resize | None) -> tuple[Pixels, float]:
    """Decodes an image and scales its shorter side to `resize.shorter`, unless the longer one would be too long."""
    pixels = read_image(image.path)
    if resize is None:
        return pixels, 1.0
    height, width = pixels.shape[:2]
    scale = min(resize.shorter / min(height, width), resize.longer / max(height, width))
    if scale == 1.0:
        return pixels, 1.0
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8), scale


def normalised(pixels: Tensor) -> Tensor:
    """ImageNet normalisation of (..., 3, H, W) uint8."""
    mean = torch.tensor(_MEAN, device=pixels.device).view(3, 1, 1) * 255
    deviation = torch.tensor(_DEVIATION, device=pixels.device).view(3, 1, 1) * 255
    return (pixels.float() - mean) / deviation


def as_input(pixels: Pixels, stride: int, device: torch.device) -> Tensor:
    """One image (H, W, 3) as a normalised batch (1, 3, H', W'), padded with zeros to multiples of `stride`."""
    return _padded([normalised(_tensor(pixels).to(device))], stride, pixels.shape[:2])


def order(seed: int, step: int, batch: int, count: int) -> NDArray[np.int64]:
    """Indices of the `batch` examples of a step: every epoch is a permutation of all `count`, without a seam."""
    positions = np.arange(step * batch, (step + 1) * batch)
    epochs = {
        epoch: numpy_generator(seed, "order", epoch).permutation(count) for epoch in set((positions // count).tolist())
    }
    return np.array([epochs[position // count][position % count] for position in positions.tolist()], np.int64)


def training_batch(store: ImageStore, *, seed: int, step: int, size: int, stride: int, device: torch.device) -> Batch:
    """The images of a training step, half of them mirrored; depends on (seed, step) alone. Of several ranks each gets
    its share of the images.

    Args:
        store: Training images.
        seed: Seed of the job.
        step: Step, from 0.
        size: Images in the batch.
        stride: Stride of the stem, to which images are padded.
        device: Where the batch goes.
    """
    mirrored = numpy_generator(seed, "mirror", step).random(size) < 0.5
    own = distributed.share(size)
    return images_batch(store, order(seed, step, size, len(store))[own].tolist(), mirrored[own], stride, device)


def images_batch(
    store: ImageStore, indices: Sequence[int], mirrored: NDArray[np.bool_], stride: int, device: torch.device
) -> Batch:
    """Images of a store by index as a batch, padded to the size of the largest of all ranks'.

    Args:
        store: Training images.
        indices: Of the images.
        mirrored: Which of them are mirrored.
        stride: Stride of the stem, to which images are padded.
        device: Where the batch goes.
    """
    images, sizes, boxes, ids = [], [], [], []
    for index, mirror in zip(indices, mirrored, strict=True):
        pixels, scale = store[index]
        people = store.images[index].boxes * np.float32(scale)
        if mirror:
            pixels = pixels[:, ::-1]
            people = np.stack(
                [pixels.shape[1] - people[:, 2], people[:, 1], pixels.shape[1] - people[:, 0], people[:, 3]], 1
            )
        images.append(normalised(_tensor(pixels).to(device)))
        sizes.append((pixels.shape[0], pixels.shape[1]))
        boxes.append(torch.from_numpy(people).to(device))
        ids.append(torch.from_numpy(store.images[index].ids).to(device))
    largest = distributed.largest([max(side) for side in zip(*sizes, strict=True)])
    return Batch(_padded(images, stride, largest), sizes, boxes, ids)


def crop(pixels: Pixels, box: NDArray[np.float32], size: tuple[int, int]) -> Pixels:
    """Cuts a box out of an image and resizes it to (height, width) = `size`.

    Args:
        pixels: (H, W, 3).
        box: (4,) x1, y1, x2, y2; cut at the border, at least one pixel remains.
        size: Height and width of the result.
    """
    height, width = pixels.shape[:2]
    x1 = int(np.clip(np.floor(box[0]), 0, width - 1))
    y1 = int(np.clip(np.floor(box[1]), 0, height - 1))
    x2 = int(np.clip(np.ceil(box[2]), x1 + 1, width))
    y2 = int(np.clip(np.ceil(box[3]), y1 + 1, height))
    part = np.ascontiguousarray(pixels[y1:y2, x1:x2])
    return np.asarray(cv2.resize(part, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.uint8)


def jittered(box: NDArray[np.float32], jitter: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """Moves each edge of a box (4,) by up to `jitter` of the box's size."""
    extent = np.array([box[2] - box[0], box[3] - box[1]] * 2)
    return np.asarray(box + generator.uniform(-jitter, jitter, 4) * extent, np.float32)


def augmented(pixels: Pixels, colour: float, erasing: float, generator: np.random.Generator) -> Pixels:
    """A crop (H, W, 3) mirrored, tinted and partly erased at random.

    Args:
        pixels: The crop; it is not changed.
        colour: Largest change of each channel's gain, and of all together.
        erasing: Probability of filling a rectangle of 2 to 20 % of the area with noise.
        generator: Source of chance.
    """
    height, width = pixels.shape[:2]
    if generator.random() < 0.5:
        pixels = pixels[:, ::-1]
    if colour:
        gains = (1 + generator.uniform(-colour, colour)) * (1 + generator.uniform(-colour, colour, 3))
        pixels = np.clip(pixels * gains, 0, 255).astype(np.uint8)
    if generator.random() < erasing:
        area, ratio = generator.uniform(0.02, 0.2) * height * width, np.exp(generator.uniform(-1.2, 1.2))
        rows = min(height, max(1, round(float(np.sqrt(area * ratio)))))
        columns = min(width, max(1, round(float(np.sqrt(area / ratio)))))
        top, left = generator.integers(0, height - rows + 1), generator.integers(0, width - columns + 1)
        pixels = pixels.copy()
        noise = generator.integers(0, 256, (rows, columns, 3), np.uint8)
        pixels[top : top + rows, left : left + columns] = noise
    return pixels


def crops_as_input(crops: Sequence[Pixels], device: torch.device) -> Tensor:
    """Equal crops (H, W, 3) as a normalised batch (N, 3, H, W)."""
    stacked = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    return normalised(stacked.to(device)).contiguous()


def _tensor(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _padded(images: Sequence[Tensor], stride: int, largest: Sequence[int]) -> Tensor:
    """Stacks images of any size, padded with zeros on the right and below to multiples of `stride` that hold the
    height and width of `largest`."""
    height, width = (-(-side // stride) * stride for side in largest)
    batch = images[0].new_zeros(len(images), 3, height, width)
    for row, image in zip(batch, images, strict=True):
        row[:, : image.shape[1], : image.shape[2]] = image
    return batch
