"""Damage to bytes and to values, drawn from a seeded generator."""

from __future__ import annotations

import random
import struct
import zlib
from typing import Any

NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
TEXTS = (
    *("", " ", "a", "rgb8", "/", "//", "/a", "a/b", "/front/image_raw", "y", "no", "null", "~", "1", "-1", "1e999"),
    *("=1+1", "\n", "a\nb", "\x00", "\x1b[31m", "\ud800", "\u202e", "é", "漢字", "x" * 300, "x" * 5000, "../../etc"),
    *(
        "road",
        "sidewalk",
        "image",
        "front=/front/image",
        "true",
        "TRUE",
        "0",
        "nan",
        "inf",
        "*a",
        "&a b",
        "<<",
        "!!python/x",
    ),
)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A few changes: flipped bits, other bytes, numbers at the limits, parts missing, repeated or from elsewhere."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not found:
            break
        at, length = rng.randrange(len(found)), rng.choice((1, 2, 4, 8, 16, 100))
        kind = rng.randrange(8)
        if kind == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            found[at] = rng.randrange(256)
        elif kind == 2:
            number = rng.choice(NUMBERS)
            size = rng.choice((1, 2, 4, 8))
            order = rng.choice(("big", "little"))
            found[at : at + size] = (number % 256**size).to_bytes(size, order)  # type: ignore[arg-type]
        elif kind == 3:
            del found[at : at + length]
        elif kind == 4:
            found[at:at] = found[at : at + length] * rng.choice((1, 2, 30))
        elif kind == 5:
            other = rng.randrange(len(found))
            found[at : at + length] = found[other : other + length]
        elif kind == 6:
            del found[at:]
        else:
            found[at:at] = rng.randbytes(length)
    return bytes(found)


def with_checksums(png: bytes) -> bytes:
    """A PNG whose chunks have correct checksums again, so that the contents of the chunks are read."""
    found, at = [png[:8]], 8
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        body = png[at + 4 : at + 8 + length]
        found.append(png[at : at + 4] + body + struct.pack(">I", zlib.crc32(body)))
        at += 12 + length
    return b"".join(found)


def value(rng: random.Random, depth: int = 0) -> Any:
    """Anything that YAML or JSON can hold."""
    kind = rng.randrange(8 if depth < 4 else 6)
    if kind == 0:
        return rng.choice(TEXTS)
    if kind == 1:
        return rng.choice((1, -1)) * rng.choice(NUMBERS)
    if kind == 2:
        return rng.choice((0.5, -1.5, 1e-300, 1e308, float("inf"), float("nan")))
    if kind in (3, 4):
        return rng.choice((None, True, False, [], {}, "road", 0.25, 3))
    if kind == 5:
        return rng.random()
    size = rng.choice((0, 1, 2, 3, 19))
    if kind == 6:
        return [value(rng, depth + 1) for _ in range(size)]
    return {rng.choice(TEXTS): value(rng, depth + 1) for _ in range(size)}


def changed(whole: Any, rng: random.Random) -> Any:
    """A copy of nested values in which one thing is another."""
    if isinstance(whole, dict) and whole and rng.random() < 0.85:
        key = rng.choice(list(whole))
        found = {**whole, key: changed(whole[key], rng)}
        if rng.random() < 0.1:
            del found[key]
        if rng.random() < 0.1:
            found[rng.choice((1, 0.5, None, True, *TEXTS))] = found.pop(key, None)
        return found
    if isinstance(whole, list) and whole and rng.random() < 0.7:
        at = rng.randrange(len(whole))
        return [*whole[:at], changed(whole[at], rng), *whole[at + 1 :]]
    return value(rng)
