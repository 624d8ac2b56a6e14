"""Rules of the project: dependencies point in one direction, and files are short."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_LINES = 400
MAX_FUNCTION_LINES, MAX_ARGUMENTS = 40, 7
MAX_LINES_OF = {"unet_seg_ros/ros/node.py": 250}
NOT_OURS = {"build", "install", "log"}
ROS = re.compile(
    r"(rclpy|launch\w*|ament_\w+|rosidl_\w+|ros2\w+|cv_bridge|tf2\w*|\w+_msgs|\w+_interfaces|\w+_srvs)(\.|$)"
)
OPTIONAL = {("unet_seg_ros/data/ros_images.py", "cv_bridge")}  # imported inside the function that needs it
READS_DRIVES = {"training/model_report.py", "training/pseudo_label.py"}  # the replay's readers need no ROS
READERS = ("unet_seg_ros.replay.source", "unet_seg_ros.replay.errors", "unet_seg_ros.replay.topics")
# A wing is a folder of modules. A module imports from its own wing and from the wings that are listed after it. ""
# stands for the modules of the package itself that are not named here.
WINGS = {
    "unet_seg_ros": [{"replay"}, {"ros"}, {"segmenter"}, {"engine"}, {"model"}, {"metrics", "ground"}, {"data"}],
    "unet_seg_ros.replay": [{"__main__"}, {"run"}, {"judge", "report", "live"}, {"labels", "record"}, {"source"}, {""}],
    "training": [{""}, {"evaluation", "exporting"}, {"run"}, {"optimise"}, {"data"}, {"town"}, {"config"}],
}


def sources(*folders: str) -> list[str]:
    """Python files under ``folders``, relative to the repository; hidden folders and colcon's outputs left out."""
    found = []
    for folder in folders:
        for parent, names, files in os.walk(ROOT / folder):
            names[:] = [name for name in names if not name.startswith(".") and name not in NOT_OURS]
            found += [(Path(parent) / name).relative_to(ROOT).as_posix() for name in files if name.endswith(".py")]
    return sorted(found)


RUN_TIME = sources("unet_seg_ros")
SHELLS = ("unet_seg_ros/ros/", "unet_seg_ros/replay/")
CORE = [path for path in RUN_TIME if not path.startswith(SHELLS)]


def imports(source: str, package: str) -> set[str]:
    """Absolute names of all that a module of ``package`` imports, at any depth; ``from a import b`` gives a and a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            above = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return found


def imports_of(path: str) -> set[str]:
    return imports((ROOT / path).read_text(encoding="utf-8"), ".".join(Path(path).parent.parts))


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def module_name(path: str) -> str:
    return ".".join(Path(path).with_suffix("").parts).removesuffix(".__init__")


def test_all_forms_of_imports_are_found() -> None:
    assert imports("import a.b as c", "p") == {"a.b"}
    assert imports("def f():\n    from a import b, c", "p") == {"a", "a.b", "a.c"}
    assert imports("from . import a", "p.q") == {"p.q", "p.q.a"}
    assert imports("from ..a import b", "p.q") == {"p.a", "p.a.b"}
    assert all(ROS.match(name) for name in ("rclpy", "rclpy.node", "sensor_msgs.msg", "launch_ros.actions"))
    assert not any(ROS.match(name) for name in ("numpy", "torch.nn", "unet_seg_ros.ros", "rosbags.rosbag2"))


def test_the_modules_are_found() -> None:
    assert {"unet_seg_ros/data/labels.py", "unet_seg_ros/model/unet.py"} <= set(CORE)
    assert set(RUN_TIME) - set(CORE)


@pytest.mark.parametrize("path", CORE)
def test_the_core_imports_neither_ros_nor_its_shells(path: str) -> None:
    for name in imports_of(path):
        assert not ROS.match(name) or (path, name.split(".")[0]) in OPTIONAL, name
        assert not within(name, "unet_seg_ros.ros"), name
        assert not within(name, "unet_seg_ros.replay"), name


@pytest.mark.parametrize("path", RUN_TIME)
def test_run_time_does_not_import_training(path: str) -> None:
    assert [name for name in imports_of(path) if within(name, "training")] == []


@pytest.mark.parametrize("path", sources("training"))
def test_training_imports_neither_ros_nor_the_shells(path: str) -> None:
    for name in imports_of(path):
        assert not ROS.match(name), name
        assert not within(name, "unet_seg_ros.ros"), name
        reader = path in READS_DRIVES and any(within(name, part) for part in READERS)
        assert reader or not within(name, "unet_seg_ros.replay"), name


def test_the_node_does_not_know_the_replay() -> None:
    for path in sources("unet_seg_ros/ros"):
        assert [name for name in imports_of(path) if within(name, "unet_seg_ros.replay")] == []


def rank(package: str, name: str) -> int | None:
    """The rank of the wing of module ``name`` in ``package``, 0 is the highest; None outside ``package``'s wings."""
    inside = name.removeprefix(f"{package}.").split(".")[0] if name.startswith(f"{package}.") else None
    ranks = {wing: rank for rank, wings in enumerate(WINGS[package]) for wing in wings}
    return None if inside is None else ranks.get(inside, ranks.get(""))


def test_the_rank_of_a_module_is_that_of_its_wing() -> None:
    replay = "unet_seg_ros.replay"
    names = ("__main__", "run.offline", "judge.verdict", "live.player", "record.recorder", "source.bag", "options")
    assert [rank(replay, f"{replay}.{name}") for name in names] == [0, 1, 2, 2, 3, 4, 5]
    assert rank(replay, "unet_seg_ros.segmenter") is None


@pytest.mark.parametrize("package", WINGS)
def test_wings_import_only_from_the_wings_below(package: str) -> None:
    wrong = set()
    for path in sources(package.replace(".", "/")):
        own = rank(package, module_name(path))
        for name in imports_of(path):
            other = rank(package, name)
            if own is None or other is None or other > own:
                continue
            wing, theirs = (one.removeprefix(f"{package}.").split(".")[0] for one in (module_name(path), name))
            beside = other == own and (wing == theirs or "" in WINGS[package][own])
            if not beside:
                wrong.add(f"{path} imports {name}")
    assert wrong == set()


def test_importing_the_core_does_not_import_ros() -> None:
    """Indirect imports count too."""
    script = (
        "import importlib, sys\n"
        "before = set(sys.modules)\n"
        f"for name in {[module_name(path) for path in CORE]!r}:\n"
        "    importlib.import_module(name)\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "unet_seg_ros.data.labels" in loaded
    assert [name for name in loaded if ROS.match(name) or within(name, "training")] == []


def test_files_are_short() -> None:
    lengths = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in sources(".")}
    too_long = {path: n for path, n in lengths.items() if n > MAX_LINES_OF.get(path, MAX_LINES)}
    assert too_long == {}


def long_functions(source: str) -> list[str]:
    """Names of the functions with more than 40 lines, from ``def`` to the last one, or 7 arguments, ``self`` left
    out."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = {one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES or len(names - {"self", "cls"}) > MAX_ARGUMENTS:
                found.append(node.name)
    return found


def test_long_functions_are_found() -> None:
    lines = "\n".join(["    x = 1"] * MAX_FUNCTION_LINES)
    assert long_functions(f"def f():\n{lines}\n") == ["f"]
    assert long_functions(f'def f():\n    """One\n    two."""\n{lines[:-10]}\n') == ["f"]
    assert long_functions(f"def f():\n{lines[:-10]}\n") == []
    assert long_functions("def f(a, b, c, d, e, f, g, *, h): ...") == ["f"]
    assert long_functions("def f(self, a, b, c, d, e, f, g): ...") == []


@pytest.mark.parametrize("path", sources("unet_seg_ros", "training", "tools", "benchmarks", "launch"))
def test_functions_are_short(path: str) -> None:
    assert long_functions((ROOT / path).read_text(encoding="utf-8")) == []
