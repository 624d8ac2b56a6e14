"""The rules of Autoware's image diagnostics (autoware_image_diagnostics), implemented again for comparison.

The grey image is shrunk to 480 rows and divided into 5×5 blocks. A block is dark if its mean is below 10; else blocked
if more than 90 % of its pixels are at most 10 and its frequency value is below 0.3; else of low visibility if the
frequency value is below 4 and the mean below 230; else backlit if the mean is above 230. The frequency value is the
mean of the logarithm of the real part of the block's Fourier transform. More than 10 dark, 3 blocked, 2 low-visibility
or 2 backlit blocks are a warning, more than 20, 5, 4 or 3 an error. The documentation does not say how negative real
parts count; here they get the result of OpenCV's logarithm.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ROWS = 480
BLOCKS = 5
WARN = (10, 3, 2, 2)
ERROR = (20, 5, 4, 3)
"""Largest numbers of dark, blocked, low-visibility and backlit blocks."""


def level(frame: NDArray[np.uint8]) -> int:
    """0 (normal), 1 (warning) or 2 (error) for a frame uint8[H, W, 3] RGB."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (grey.shape[1] * ROWS // grey.shape[0], ROWS))
    height, width = ROWS // BLOCKS, grey.shape[1] // BLOCKS
    counts = np.zeros(4, int)
    for y in range(BLOCKS):
        for x in range(BLOCKS):
            state = _state(grey[y * height : (y + 1) * height, x * width : (x + 1) * width])
            if state:
                counts[state - 1] += 1
    if (counts > ERROR).any():
        return 2
    return int((counts > WARN).any())


def _state(block: NDArray[Any]) -> int:
    """0 normal, 1 dark, 2 blocked, 3 low visibility, 4 backlit."""
    mean = int(cv2.mean(block)[0])
    black = 1 - np.count_nonzero(block > 10) / block.size
    real = np.ascontiguousarray(cv2.dft(block.astype(np.float32), flags=cv2.DFT_COMPLEX_OUTPUT)[..., 0])
    frequency = float(cv2.mean(cv2.log(real))[0])
    if mean < 10:
        return 1
    if black > 0.9 and frequency < 0.3:
        return 2
    if frequency < 4 and mean < 230:
        return 3
    return 4 if mean > 230 else 0
