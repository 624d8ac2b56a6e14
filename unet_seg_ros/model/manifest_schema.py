"""The type and the bounds of every field of a bundle's manifest. They are checked before a network is built.

A manifest comes from outside. Its texts are logged and published, and its numbers decide how much memory is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from unet_seg_ros.text import VALUE, one_line, quoted

MAX_TEXT = 2**20
"""Largest size of a manifest in bytes."""
MAX_NAME = 100
MAX_TERMS = 4000
MAX_PIXELS = 2**26
MAX_MEAN = 100.0
MAX_RANGE = 1e9
"""Largest number in ``int8_ranges``; those of a network are below a thousand."""
STD = 1e-3, 1e3
"""Bounds of the standard deviation of RGB in 0..1. Beyond them the network's input could overflow."""


class _Field(NamedTuple):
    """``must_be`` completes the sentence "NAME must be …"."""

    holds: Callable[[Any], bool]
    must_be: str


def _text(longest: int, lines: bool = False) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        if not isinstance(value, str) or len(value) > longest:
            return False
        return (value.replace("\n", " ") if lines else value).isprintable()

    return holds


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and low <= value <= high


_NAME = _Field(_text(MAX_NAME), f"printable text of at most {MAX_NAME} characters")


def _all(holds: Callable[[Any], bool], shortest: int, longest: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, tuple) and shortest <= len(value) <= longest and all(map(holds, value))


def _texts(value: Any) -> bool:
    text = _text(MAX_TERMS)
    return isinstance(value, Mapping) and len(value) <= 1000 and all(text(k) and text(v) for k, v in value.items())


def _ranges(value: Any) -> bool:
    """Names with pairs of numbers. ``Manifest`` checks that the first number of a pair is the smaller one."""
    pair = _all(_number(-MAX_RANGE, MAX_RANGE), 2, 2)
    return (
        isinstance(value, Mapping)
        and len(value) <= 10_000
        and all(map(_NAME.holds, value))
        and all(map(pair, value.values()))
    )


_BOOLEAN = _Field(lambda value: type(value) is bool, "true or false")
MANIFEST = {
    "name": _Field(lambda value: bool(value) and _NAME.holds(value), _NAME.must_be),
    "config": _Field(lambda value: isinstance(value, Mapping), "an object"),
    "max_pixels": _Field(_whole(1, MAX_PIXELS), f"a whole number of at most {MAX_PIXELS}"),
    "class_names": _Field(_all(lambda name: bool(name) and _NAME.holds(name), 1, 255), "1 to 255 printable names"),
    "class_ids": _Field(_all(_whole(0, 255), 1, 255), "indices into class_names or 255, at most 255 of them"),
    "palette": _Field(_all(_all(_whole(0, 255), 3, 3), 1, 255), "1 to 255 RGB triples of whole numbers in 0..255"),
    "mean": _Field(_all(_number(-MAX_MEAN, MAX_MEAN), 3, 3), f"finite: 3 numbers of at most {MAX_MEAN:g}"),
    "std": _Field(_all(_number(*STD), 3, 3), f"3 numbers above 0, from {STD[0]:g} to {STD[1]:g}"),
    "data": _Field(_texts, "an object of texts"),
    "data_terms": _Field(_text(MAX_TERMS, lines=True), f"printable text of at most {MAX_TERMS} characters"),
    "metrics": _Field(lambda value: isinstance(value, Mapping), "an object"),
    "code_version": _NAME,
    "reference_confidence": _Field(_number(0, 1), "a number in 0..1"),
    "int8_checks": _Field(lambda value: isinstance(value, Mapping), "an object"),
    "int8_ranges": _Field(_ranges, f"an object of pairs of numbers up to {MAX_RANGE:g}, each a lower and a higher one"),
}
CONFIG = {
    "widths": _Field(_all(_whole(1, 4096), 2, 8), "2 to 8 whole numbers from 1 to 4096"),
    "depths": _Field(_all(_whole(1, 64), 2, 8), "2 to 8 whole numbers from 1 to 64"),
    "stem_stride": _Field(_whole(1, 2), "1 or 2"),
    "residual": _BOOLEAN,
    "context": _BOOLEAN,
    "decoder_convs": _Field(_whole(1, 16), "a whole number from 1 to 16"),
    "num_classes": _Field(_whole(1, 255), "a whole number from 1 to 255"),
    "norm": _BOOLEAN,
}


def check(values: Mapping[str, Any], schema: Mapping[str, _Field]) -> None:
    """Raises ValueError that names the first field that is unknown or has a wrong value."""
    for name, value in values.items():
        if name not in schema:
            raise ValueError(f"unknown field {quoted(name)}; the known fields are {', '.join(schema)}")
        if not schema[name].holds(value):
            raise ValueError(f"{name} must be {schema[name].must_be}, not {one_line(value, VALUE)}")
