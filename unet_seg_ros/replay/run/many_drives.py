"""Replays several drives, in this process or by workers of dask.distributed, and writes one report of all.

The report is computed from the sums of counts, so it does not depend on how the drives were distributed.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from tqdm import tqdm

from unet_seg_ros.engine.threads import usable_cores
from unet_seg_ros.replay.errors import ReplayError
from unet_seg_ros.replay.judge.verdict import Gate
from unet_seg_ros.replay.options import Options
from unet_seg_ros.replay.report.gallery import Gallery
from unet_seg_ros.replay.report.writer import write
from unet_seg_ros.replay.result import FIGURES, Result
from unet_seg_ros.replay.run.evaluation import Evaluation, Speed
from unet_seg_ros.replay.run.interruption import finishing
from unet_seg_ros.replay.run.one_drive import replay_one
from unet_seg_ros.replay.run.output_folder import clear
from unet_seg_ros.replay.schema import Frames, MadeBy
from unet_seg_ros.replay.source.bag import is_bag
from unet_seg_ros.replay.source.bag_reader import METADATA, bag_files
from unet_seg_ros.text import last_words, listed, never_fail_to_print, one_line

logger = logging.getLogger(__name__)

NO_DRIVES = {
    *(".txt", ".md", ".csv", ".json", ".yaml", ".yml", ".html", ".pdf"),
    *(".log", ".sh", ".py", ".db3-wal", ".db3-shm"),
}
"""Suffixes of files that are certainly not drives."""


@dataclass(frozen=True)
class Workers:
    """Where drives are replayed: in ``jobs`` processes on this machine, or by the dask.distributed ``scheduler`` at an
    address; with 1 and empty, in this process."""

    jobs: int = 1
    scheduler: str = ""


def expanded(sources: Sequence[Path]) -> list[Path]:
    """The drives. A folder that is not a drive but holds bags is replaced by its bags, in order of their names. A drive
    that occurs twice counts twice, which is logged."""
    found: list[Path] = []
    for source in sources:
        found += _bags_in(source) or [source]
    seen: dict[Path, Path] = {}
    for source in found:
        for file in bag_files(source) if source.is_dir() and is_bag(source) else [source]:
            other = seen.setdefault(file.resolve(), source)
            if other is not source:
                logger.warning("%s: the same drive as %s: its frames count twice", source, other)
                break
    return found


def _bags_in(folder: Path) -> list[Path]:
    """The bags in a folder that is not itself a bag. Other files that may be meant as drives are logged."""
    if not folder.is_dir() or (folder / METADATA).exists():
        return []
    files = bag_files(folder)
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    folders = [path for path in entries if path.is_dir() and is_bag(path) and not (path / FIGURES).exists()]
    if not folders and len(files) < 2:
        return []
    others = [path.name for path in entries if path not in (*files, *folders) and path.suffix.lower() not in NO_DRIVES]
    if others:
        logger.warning("%s: its bags are replayed; these are not bags and are left out: %s", folder, listed(others))
    return sorted([*files, *folders])


def replay_many(
    sources: Sequence[Path], output: Path, options: Options, gate: Gate, workers: Workers, title: Path
) -> Result:
    """Write the folder ``output`` with a folder for each drive; ``title`` is the title of the report.

    A drive that cannot be replayed is left out and named in the problems. Raises ReplayError if no drive could be.
    """
    start = perf_counter()
    names = folder_names(sources)
    folders = [output / name for name in names]
    try:
        for folder in (output, *folders):
            clear(folder, [*sources, *gate.files()])
        tasks = list(zip(sources, folders, strict=True))
        done, interrupted = _all(tasks, options, workers)
        total, gallery = _total(done, names, options, perf_counter() - start, title)
        if interrupted:
            total.interrupted = True
            total.report["problems"].append(f"interrupted: {len(done)} of {len(sources)} drives were replayed")
        with finishing(total):
            gate.add_verdict(total)
            write(output, total, gallery, options.grouping)
    except OSError as error:
        raise ReplayError(str(error)) from error
    return total


def folder_names(sources: Sequence[Path]) -> list[str]:
    """A unique folder name for each drive, made from the end of its path."""
    names: list[str] = []
    for source in sources:
        name = re.sub(r"[^\w.-]+", "_", source.absolute().stem).lstrip(".-") or "drive"
        numbered = (name if number == 1 else f"{name}_{number}" for number in itertools.count(1))
        names.append(next(one for one in numbered if one not in names))
    return names


def _task(source: Path, output: Path, options: Options) -> Result | str:
    """The work of a worker: replay a drive. If that is not possible, returns a line that says why."""
    never_fail_to_print()
    try:
        return replay_one(source, output, options, Gate())
    except ReplayError as error:
        return str(error)
    except Exception as error:  # only this drive is lost, not the finished ones
        return one_line(f"{source}: unexpected {type(error).__name__}: {last_words(error)}")


def _all(tasks: list[tuple[Path, Path]], options: Options, workers: Workers) -> tuple[dict[int, Result | str], bool]:
    """The results of the finished tasks by number, and whether Ctrl-C ended the others."""
    done: dict[int, Result | str] = {}
    try:
        here = ((index, _task(source, output, options)) for index, (source, output) in enumerate(tasks))
        for index, result in here if workers == Workers() else _shared(tasks, options, workers):
            done[index] = result
            if isinstance(result, Result) and result.interrupted:
                return done, True
    except KeyboardInterrupt:
        return done, True
    return done, False


def _shared(tasks: list[tuple[Path, Path]], options: Options, workers: Workers) -> Iterator[tuple[int, Result | str]]:
    try:
        from distributed import as_completed
    except ImportError as error:
        raise ReplayError(
            f"--jobs and --scheduler need dask.distributed ({error}): "
            "python3 -m pip install -r requirements/cluster.txt"
        ) from error
    workers = replace(workers, jobs=min(workers.jobs, len(tasks)))
    if workers.jobs > 1 and not options.threads:  # the processes share the cores
        options = replace(options, threads=max(1, usable_cores() // workers.jobs))
    options = options.absolute()  # workers run in other folders
    with _client(workers) as client:
        futures = {
            client.submit(_task, source.resolve(), output.resolve(), options, pure=False): index
            for index, (source, output) in enumerate(tasks)
        }
        for future in tqdm(as_completed(list(futures)), total=len(tasks), unit="drive"):
            try:
                yield futures[future], future.result()
            except Exception as error:  # the worker died, or has another version of this package
                yield futures[future], f"{tasks[futures[future]][0]}: the worker failed: {str(error) or repr(error)}"


@contextmanager
def _client(workers: Workers) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if workers.scheduler:
        try:
            with Client(workers.scheduler, timeout=15) as client:
                yield client
        except (OSError, TimeoutError, ValueError) as error:
            raise ReplayError(f"--scheduler {workers.scheduler}: {error}") from error
        return
    cluster = LocalCluster(workers.jobs, threads_per_worker=1, dashboard_address=None, silence_logs="ERROR")
    with cluster, Client(cluster) as client:
        yield client


def _total(
    done: dict[int, Result | str], names: Sequence[str], options: Options, seconds: float, title: Path
) -> tuple[Result, Gallery]:
    """The result of all drives; ``names`` are the folders of their own reports."""
    evaluation = Evaluation(options, {})
    for text in (found for _, found in sorted(done.items()) if isinstance(found, str)):
        evaluation.problems.add(text, text)
    results = {names[index]: found for index, found in sorted(done.items()) if isinstance(found, Result)}
    if not results:
        raise ReplayError("; ".join(evaluation.problems.lines()) or "interrupted before the first drive was done")
    for name, result in results.items():
        evaluation.merge(name, result)
    reports = [result.report for result in results.values()]
    first = next(iter(results.values()))
    evaluation.class_names, evaluation.gallery.palette = first.class_names, first.palette
    counted = _frames([report["frames"] for report in reports])
    made: MadeBy = {**reports[0]["made_by"], "bag": {"path": str(title), "drives": len(results)}}
    return evaluation.result(made, counted, Speed(rate=counted["processed"] / seconds), seconds), evaluation.gallery


def _frames(parts: Sequence[Frames]) -> Frames:
    dropped: Counter[str] = Counter()
    for part in parts:
        dropped.update(part["dropped"])
    received = [part["received"] for part in parts]
    return {
        "sent": sum(part["sent"] for part in parts),
        "received": None if None in received else sum(count or 0 for count in received),
        "processed": sum(part["processed"] for part in parts),
        "dropped": dict(dropped),
    }
