"""Labels from a model's own masks: which pixels are labelled.

Self-training as in Zou et al. 2018 (class-balanced self-training, arXiv:1810.07911). A network is less sure of rare
classes; with one threshold for all, their pixels would get no label. So each class has its own threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unet_seg_ros.data.labels import NUM_CLASSES, TRAIN_ID_TO_ID, VOID

Image = NDArray[np.uint8]

SURE = 0.9
"""A pixel with at least this confidence is always kept."""
DOUBTFUL = 0.35
"""A pixel with a lower confidence is never kept. At 0.5 a model that is new to a camera lost its poles and fences."""


class Confidences:
    """Counts of pixels by class and confidence, ``counts[class, confidence]``, int64[19, 256]."""

    def __init__(self) -> None:
        self.counts = np.zeros((NUM_CLASSES, 256), np.int64)

    def add(self, mask: Image, confidence: Image) -> None:
        """Add a frame: train ids (255 = void, left out) and confidence 0..255, both H×W uint8."""
        known = mask < NUM_CLASSES
        joint = mask[known].astype(np.int64) * 256 + confidence[known]
        self.counts += np.bincount(joint, minlength=NUM_CLASSES * 256).reshape(NUM_CLASSES, 256)

    def thresholds(self, share: float) -> NDArray[np.uint8]:
        """For each class the least confidence 0..255 with which a pixel is kept, uint8[19].

        It is chosen so that the ``share`` (0..1) of the class's pixels with the highest confidence is kept, but not
        below ``DOUBTFUL`` and not above ``SURE``. It is ``SURE`` for a class without pixels.

        Raises ValueError for a share outside 0..1.
        """
        if not 0 < share <= 1:
            raise ValueError(f"the share of a class's pixels to keep must be above 0 and at most 1, not {share}")
        at_least = self.counts[:, ::-1].cumsum(axis=1)[:, ::-1]  # pixels of this confidence or a higher one
        enough = at_least >= np.ceil(share * at_least[:, :1])
        quantile = 255 - enough[:, ::-1].argmax(axis=1)
        low, high = (int(np.ceil(255 * value)) for value in (DOUBTFUL, SURE))
        quantile[at_least[:, 0] == 0] = high
        return np.asarray(quantile.clip(low, high), np.uint8)


def sure_labels(mask: Image, confidence: Image, thresholds: NDArray[np.uint8]) -> Image:
    """Label ids H×W uint8 of the pixels that reach their class's threshold, 0 (unlabeled) of all others.

    ``mask`` are train ids and ``confidence`` 0..255, both H×W uint8; ``thresholds`` is uint8[19]. Raises ValueError if
    mask and confidence differ in size.
    """
    if mask.shape != confidence.shape:
        raise ValueError(f"the mask is {mask.shape} (height, width), the confidence {confidence.shape}")
    least = np.full(256, VOID, np.uint8)
    least[:NUM_CLASSES] = thresholds
    sure = (mask < NUM_CLASSES) & (confidence >= least[mask])
    return TRAIN_ID_TO_ID[np.where(sure, mask, np.uint8(VOID))]
