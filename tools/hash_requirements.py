"""Writes requirements/hashes.txt: each run-time package with its version and SHA-256, for this Python and system.

``python -m tools.hash_requirements`` asks pip which packages it would install from the pinned lists.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).parent.parent / "requirements"
LISTS = ("run.txt", "ros.txt")


def report() -> dict[str, Any]:
    """pip's plan for an empty environment. Raises CalledProcessError if pip finds none."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    command += [part for name in LISTS for part in ("-r", str(REQUIREMENTS / name))]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def lines(plan: dict[str, Any]) -> list[str]:
    """Lines of requirements with hashes, sorted by name. Raises ValueError for a package without one."""
    found = []
    for item in plan["install"]:
        about, digest = item["metadata"], item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if not digest:
            raise ValueError(f"{about['name']}: pip gives no SHA-256")
        found.append(f"{about['name'].lower().replace('_', '-')}=={about['version']} --hash=sha256:{digest}")
    return sorted(found)


def main() -> None:
    made_for = f"Python {sys.version_info.major}.{sys.version_info.minor}, {platform.system()} {platform.machine()}"
    header = f"# Made by tools.hash_requirements from {', '.join(LISTS)} for {made_for}; install with --require-hashes."
    (REQUIREMENTS / "hashes.txt").write_text("\n".join([header, *lines(report()), ""]))


if __name__ == "__main__":
    main()
