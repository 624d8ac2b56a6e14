"""The report as one HTML file that needs nothing else: no script, no other file, no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from unet_seg_ros.replay.report.gallery import Bad, Gallery
from unet_seg_ros.replay.report.style import CSS

STRIP = 4
"""Pictures of the film strip."""


def page(title: str, under: str, parts: Iterable[str]) -> str:
    """A whole HTML document; ``title`` and ``under`` are text, ``parts`` are HTML."""
    body = "\n".join(part for part in parts if part)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{CSS}</style>\n</head>\n<body>\n<main>\n<header><h1>{escape(title)}</h1><p>{escape(under)}</p></header>\n"
        f"{body}\n</main>\n</body>\n</html>\n"
    )


def section(title: str, *parts: str, kind: str = "") -> str:
    """Empty where there are no parts."""
    inner = "\n".join(part for part in parts if part)
    return f"<section{_class(kind)}><h2>{escape(title)}</h2>\n{inner}\n</section>" if inner else ""


def verdict(passed: bool | None, lines: Sequence[str], problems: Sequence[str]) -> str:
    """What a reader looks for first; ``passed`` is None where nothing was required."""
    kind, says = {True: ("pass", "Passed"), False: ("fail", "Failed"), None: ("", "No requirements")}[passed]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    inner = f"<ul>{items}</ul>" if items else ""
    inner += "".join(f"<p>Problem: {escape(problem)}</p>" for problem in problems)
    return f'<section class="verdict{" " + kind if kind else ""}"><h2>{says}</h2>{inner}</section>'


def cards(figures: Iterable[tuple[str, str]]) -> str:
    """The key figures: value and what it is."""
    inner = "".join(
        f'<div class="card"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for value, name in figures
    )
    return f'<div class="cards">{inner}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Cells are HTML; the head is text."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    start = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f'<div class="scroll"><table{_class(kind)}>{start}<tbody>{body}</tbody></table></div>'


def facts(pairs: Mapping[str, Any]) -> str:
    """Names and values, nested ones flattened: what made a report."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in flat(pairs))
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def flat(pairs: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as dotted names."""
    found: list[tuple[str, str]] = []
    for key, value in pairs.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found += flat(value, f"{name}.")
        elif value not in (None, "", []):
            found.append((name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)))
    return found


def plot(svg: str, caption: str = "") -> str:
    """On a phone it is not shrunk below what can be read, but scrolled."""
    under = f'<p class="note">{escape(caption)}</p>' if caption else ""
    return f'<div class="scroll">{svg}</div>{under}'


def swatch(name: str, color: Sequence[int]) -> str:
    """A class's name after its colour."""
    rgb = ",".join(str(int(part)) for part in color)
    return f'<span class="swatch" style="background:rgb({rgb})"></span>{escape(name)}'


def bar(share: float | None) -> str:
    """0..1 as a length."""
    return "" if share is None else f'<span class="bar"><i style="width:{100 * share:.1f}%"></i></span>'


def confusion(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Rows are labels, columns predictions, the last one void; cells are per cent of their row."""
    shown = [i for i, row in enumerate(matrix) if sum(row)]
    columns = [j for j in range(len(matrix[0])) if j in shown or any(matrix[i][j] for i in shown)]
    titles = [*names, "void"]
    head = "".join(f"<th><span>{escape(titles[j])}</span></th>" for j in columns)
    rows = []
    for i in shown:
        shares = [100 * matrix[i][j] / sum(matrix[i]) for j in columns]
        cells = "".join(_cell(share, i == j) for share, j in zip(shares, columns, strict=True))
        rows.append(f"<tr><th>{escape(names[i])}</th>{cells}</tr>")
    return (
        f'<div class="scroll"><table class="confusion"><thead><tr><th>label \\ prediction</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(percent: float, right: bool) -> str:
    color = "53,165,108" if right else "214,65,58"
    strength = min(1.0, 0.08 + percent / 100) if percent >= 0.5 else 0.0
    text = f"{percent:.0f}" if percent >= 0.5 else ""
    return f'<td style="background:rgba({color},{strength:.2f})">{text}</td>'


def films(gallery: Gallery, videos: Mapping[str, tuple[bytes, float]], legend: str) -> str:
    """Each camera's drive: the video (the file and how much faster it goes by) and a film strip."""
    parts = []
    for camera, pictures in gallery.films.items():
        steps = [round(i * (len(pictures) - 1) / max(STRIP - 1, 1)) for i in range(min(STRIP, len(pictures)))]
        strip = "".join(_figure(pictures[i].jpeg, f"{pictures[i].at_ns / 1e9:.1f} s") for i in steps)
        film = _video(*videos[camera], pictures[0].jpeg, camera) if camera in videos else ""
        parts.append(f'<div class="film">{film}<div class="strip pictures">{strip}</div></div>')
    return "".join(parts) + f'<div class="legend">{legend}</div>' if parts else ""


def _video(webm: bytes, speed: float, poster: bytes, camera: str) -> str:
    faster = f", {speed:.1f} times as fast as driven" if speed > 1.05 else ""
    source = f"data:video/webm;base64,{base64.b64encode(webm).decode()}"
    return (
        f'<figure><video controls muted loop playsinline poster="{_jpeg(poster)}" src="{source}"></video>'
        f"<figcaption>{escape(camera + faster)}</figcaption></figure>"
    )


def worst(frames: Sequence[Bad]) -> str:
    """The worst frames: what went in, what it is, what was seen, what is wrong."""
    parts = []
    for bad in frames:
        kind = "tiles three" if len(bad.tiles) == 3 else "tiles"
        tiles = "".join(_figure(tile, name) for name, tile in bad.tiles.items())
        parts.append(
            f'<div class="worst"><h3>{escape(bad.camera)}, {bad.at_ns / 1e9:.2f} s: {escape(bad.why)}</h3>'
            f'<div class="pictures {kind}">{tiles}</div></div>'
        )
    return "".join(parts)


def _figure(jpeg: bytes, caption: str) -> str:
    name = escape(caption)
    return f'<figure><img loading="lazy" alt="{name}" src="{_jpeg(jpeg)}"><figcaption>{name}</figcaption></figure>'


def _jpeg(picture: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
