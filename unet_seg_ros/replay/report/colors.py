"""The colours of the report's plots and pictures, except those of classes, which are in the model's manifest and come
with the gallery as a palette. The colours of the page's text and background are in ``page.css``."""

from __future__ import annotations

RIGHT, WRONG, UNKNOWN = (222, 222, 222), (214, 40, 40), (70, 70, 70)
"""RGB of pixels that are predicted correctly, predicted wrongly, or have no label."""
INK = "#010203"
"""Placeholder for the text colour of the page; no plot uses this colour for anything else."""
BLUE, RED, ORANGE, GREEN, GREY = "#3b82c4", "#d64545", "#e08a1e", "#3f9d6b", "#8a8f98"
"""Colours of lines and bars."""
STAGES = {
    "transport": "#8a8f98",
    "wait": "#b9a7d6",
    "decode": "#6cc3c0",
    "preprocess": "#7fb069",
    "forward": "#3b82c4",
    "postprocess": "#e0a030",
}
"""The colours of the stages of a frame, in the order in which they are drawn, from the axis upwards."""
CONFUSION_RIGHT, CONFUSION_WRONG = "53,165,108", "214,65,58"
"""RGB of the cells of the confusion matrix: on the diagonal, and elsewhere."""
