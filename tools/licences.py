"""Writes docs/licences.md: each installed dependency of the project with the licence that its metadata names.

``python -m tools.licences``, in the environment that ``make test`` makes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LISTS = {"run.txt": "run time", "ros.txt": "run time", "training.txt": "training", "cluster.txt": "cluster",
         "docs.txt": "documents", "dev.txt": "development"}  # fmt: skip
NAME = re.compile(r"^([A-Za-z0-9._-]+)")
KNOWN = (
    ("Apache License", "Apache-2.0"), ("BSD", "BSD"), ("MIT License", "MIT"), ("Permission is hereby granted", "MIT"),
    ("Redistribution and use in source and binary forms", "BSD"), ("freely, subject to the following", "Zlib"),
)  # fmt: skip
"""Words in a licence's text, and the licence's name."""


def licence(package: Distribution) -> str:
    """From the metadata (expression or classifiers), a ROS package's package.xml, or the text of the licence."""
    about: Any = package.metadata
    if expression := about.get("License-Expression"):
        return str(expression)
    classifiers = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License")]
    if classifiers:
        return ", ".join(classifiers)
    name = re.sub(r"^ros-(jazzy-|kilted-)?", "", about["Name"]).replace("-", "_")
    manifest = Path(sys.prefix) / "share" / name / "package.xml"
    if manifest.is_file():
        return ", ".join(re.findall(r"<license[^>]*>([^<]+)</license>", manifest.read_text(encoding="utf-8")))
    texts = [str(about.get("License") or "")]
    texts += [f.read_text() for f in package.files or () if "licen" in f.name.lower() or "copying" in f.name.lower()]
    return next((known for text in texts for words, known in KNOWN if words in text), "not named in its metadata")


def packages(name: str, seen: set[str]) -> Iterable[Distribution]:
    """A package and its requirements, if they are installed and not in ``seen``."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return
    seen.add(key)
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return
    yield found
    for requirement in found.requires or ():
        if "extra ==" not in requirement and (match := NAME.match(requirement)):
            yield from packages(match[1], seen)


def rows() -> list[str]:
    """Rows of the table, in order of use and name."""
    seen: set[str] = set()
    found = []
    for name, use in LISTS.items():
        lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
        mine = [p for line in lines if (m := NAME.match(line)) for p in packages(m[1], seen)]
        for package in sorted(mine, key=lambda package: package.metadata["Name"].lower()):
            found.append(f"| {package.metadata['Name']} | {package.version} | {licence(package)} | {use} |")
    return found


def main() -> None:
    head = [
        "# Licences of the dependencies",
        "",
        "Made by `python -m tools.licences`. The project itself is under the Apache License 2.0; its weights are not,",
        "see `models/LICENSE`.",
        "",
        "| package | version | licence | used by |",
        "|---|---|---|---|",
    ]
    (ROOT / "docs" / "licences.md").write_text("\n".join([*head, *rows(), ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
