"""Measures on recorded drives how good and how fast the segmentation is, and writes a report with figures and a
verdict.

SOURCE is a rosbag2 (folder, .mcap or .db3), a video file, an image folder (in Cityscapes layout, with labels, or flat),
or a folder of bags. The mode offline, the default, runs every frame through the network, as fast as it can. The mode
live plays the drive at its own rate over DDS to a node in a process of its own, as in a car.
"""

from __future__ import annotations

import argparse
import logging
import math
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from unet_seg_ros.files import write_atomically
from unet_seg_ros.text import last_words, never_fail_to_print, one_line

if TYPE_CHECKING:
    from unet_seg_ros.replay.options import Options
    from unet_seg_ros.replay.result import Result

LONGEST = 10_000
"""Most characters of a line of an error; the list of all metrics is the longest."""
INSTALL = "python3 -m pip install -r requirements/run.txt"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. The exit status is 1 if a requirement does not hold or a metric is worse than the baseline, 2
    if something went wrong that the user can put right, 3 after an error of this program, 130 after Ctrl-C."""
    never_fail_to_print()
    given = _parser().parse_args(arguments)
    _end_on_signals()
    logging.basicConfig(format="replay: %(message)s")
    logging.getLogger("unet_seg_ros").setLevel(logging.INFO)
    try:
        return _run(given)
    except ImportError as error:
        print(
            f"replay: {error}. Run {INSTALL}; for --mode live, source a ROS 2 workspace in which unet_seg_ros and "
            "unet_seg_msgs are built, or use `make demo`, which brings its own ROS 2.",
            file=sys.stderr,
        )
        return 2
    except MemoryError:
        print("replay: out of memory; use fewer --jobs or a shorter drive", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # during the drive, Ctrl-C is handled elsewhere and a report is written
        return 130
    except Exception as error:  # status 1 would mean that a requirement does not hold
        log = _traceback_file(given.output)
        print(f"replay: unexpected {type(error).__name__}: {last_words(error)}{log}", file=sys.stderr)
        return 3


def _traceback_file(output: Path) -> str:
    """Write the traceback to a file; returns the end of a sentence that names it, empty if it could not be written."""
    path = output / "error.log"
    try:
        write_atomically(path, traceback.format_exc())
    except OSError:
        return ""
    return f"; see {path}, and please report it"


def _run(given: argparse.Namespace) -> int:
    from unet_seg_ros.replay.errors import ReplayError
    from unet_seg_ros.replay.judge.baseline import Baseline
    from unet_seg_ros.replay.judge.requirements import parse
    from unet_seg_ros.replay.judge.verdict import Gate, exit_status
    from unet_seg_ros.replay.run.many_drives import Workers, expanded, replay_many
    from unet_seg_ros.replay.run.one_drive import replay_one

    try:
        options = _options(given)
        baseline = Baseline(given.baseline) if given.baseline else None
        gate = Gate(parse(given.require, options.mode, options.grouping, options.regions), baseline)
        sources = expanded(given.sources)
        if sources == given.sources and len(sources) == 1:
            if given.scheduler:
                raise ValueError("--scheduler is for several drives")
            result = replay_one(sources[0], given.output, options, gate)
        elif options.select:
            raise ValueError("--select is for one drive")
        else:
            title = given.sources[0] if len(given.sources) == 1 else given.output
            result = replay_many(sources, given.output, options, gate, Workers(given.jobs, given.scheduler), title)
    except (ReplayError, ValueError) as error:
        print("replay: " + "\n".join(one_line(line, LONGEST) for line in str(error).split("\n")), file=sys.stderr)
        return 2
    with suppress(BrokenPipeError):  # the reader ended, as in `| head`; the report is already written
        _say(result, given.output)
    return exit_status(result)


def _say(result: Result, output: Path) -> None:
    from unet_seg_ros.replay.result import PAGE, RECORDING

    report = result.report
    for problem in report["problems"]:
        print(f"replay: {one_line(problem)}", file=sys.stderr)
    for check in report["verdict"]:
        print(f"{'holds' if check['passed'] else 'FAILS'}: {check['line']}")
    for change in report["baseline"]:
        print(
            f"{'WORSE' if change['worse'] else 'not worse'}: {change['metric']} {change['value']:.4g}, baseline "
            f"{change['baseline']:.4g}, difference {change['low']:+.4g} to {change['high']:+.4g} (95 %)"
        )
    recorded = f"; {RECORDING} opens in Foxglove and RViz" if (output / RECORDING).exists() else ""
    print(f"The report is in {output}; open {PAGE} first{recorded}.", flush=True)


def _options(given: argparse.Namespace) -> Options:
    """Raises ValueError."""
    from unet_seg_ros.replay.labels_option import LabelSource
    from unet_seg_ros.replay.options import Options, load_grouping, load_ignored, load_regions, parse_selection

    mode = given.mode or ("live" if given.node else "offline")
    _check(given, mode)
    return Options(
        mode=mode,
        model=given.model,
        device=given.device,
        threads=given.threads,
        grouping=load_grouping(given.grouping),
        regions=load_regions(given.regions) if given.regions else (),
        labels=LabelSource.parse(given.labels, given.label_ids == "train"),
        topics=tuple(given.topic),
        rate=given.rate,
        against=given.against,
        record=not given.no_recording,
        node=given.node,
        factor=given.factor,
        ignore=load_ignored(given.ignore) if given.ignore else {},
        unknown_below=given.unknown_below,
        calibration=given.calibration,
        assume_latency=given.assume_latency,
        select=parse_selection(*given.select) if given.select else None,
    )


def _check(given: argparse.Namespace, mode: str) -> None:
    """Raises ValueError for values that are not possible, and for options of the other mode."""
    offline_only = {
        **{"against": given.against, "threads": given.threads, "no-recording": given.no_recording},
        **{"ignore": given.ignore, "unknown-below": given.unknown_below, "select": given.select},
        "assume-latency": given.assume_latency is not None,
    }
    live_only = {"node": given.node, "factor": given.factor != 1.0}
    for name, value in (live_only if mode == "offline" else offline_only).items():
        if value:
            raise ValueError(f"--{name} is for --mode {'live' if mode == 'offline' else 'offline'}")
    if mode == "live" and (given.jobs > 1 or given.scheduler):
        raise ValueError(
            "--jobs and --scheduler are for --mode offline; live drives at the same time slow each other down"
        )
    if given.jobs < 1 or given.threads < 0 or not 0 < given.factor < math.inf:
        raise ValueError("--jobs must be at least 1, --threads not negative, --factor more than 0")
    if given.assume_latency is not None and not 0 <= given.assume_latency < math.inf:
        raise ValueError("--assume-latency must be a number of seconds, 0 or more")
    if not 0 <= given.unknown_below <= 1:
        raise ValueError("--unknown-below must be 0 to 1")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="replay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sources", type=_path, nargs="+", metavar="SOURCE")
    add("--output", type=_path, default=Path("replay"), help="folder for the report (%(default)s)")
    add("--mode", choices=("offline", "live"), help="default: offline; live if --node is given")
    add("--model", default="", help="name of a shipped model or path of a bundle (default: the node's)")
    add("--device", default="", help="auto, cpu, cuda or cuda:N (default: the node's)")
    add("--topic", action="append", default=[], help="play this topic of a bag; repeat for more (default: all cameras)")
    add("--rate", type=_rate, metavar="HZ", help="frames per second of an image folder (10)")
    add("--calibration", type=_path, metavar="YAML", help="record grids; parameter file with camera positions")
    truth = parser.add_argument_group("ground truth").add_argument
    truth("--labels", action="append", default=[], metavar="WHERE", help="folder, TOPIC or CAMERA=TOPIC of the bag")
    truth("--label-ids", choices=("label", "train"), default="label", help="the labels hold these ids (%(default)s)")
    truth("--grouping", default="cityscapes19", metavar="NAME", help="cityscapes19, categories, camvid11 or a YAML")
    truth("--regions", type=_path, metavar="YAML", help="regions to measure alone: name: [x0, y0, x1, y1, …]")
    gate = parser.add_argument_group("verdict").add_argument
    gate("--require", action="append", default=[], metavar="RULE", help="such as 'miou>=0.6', or a YAML list; repeat")
    gate("--baseline", type=_path, metavar="JSON", help="fail if significantly worse than this report.json")
    offline = parser.add_argument_group("offline").add_argument
    offline("--against", default="", metavar="MODEL", help="a second model; measure how often both agree")
    offline("--ignore", type=_path, metavar="YAML", help="areas that show the car: camera: [polygon or PNG, …]")
    offline("--unknown-below", type=float, default=0.0, metavar="P", help="less probable pixels become unlabeled")
    offline("--assume-latency", type=float, metavar="S", help="streaming_miou: each mask arrives after S seconds")
    offline("--select", nargs=2, metavar=("N", "FOLDER"), help="write the N frames that are most worth labelling")
    offline("--threads", type=int, default=0, help="CPU threads of the network (default: PyTorch's choice)")
    offline("--no-recording", action="store_true", help="write no drive.mcap")
    offline("--jobs", type=int, default=1, metavar="N", help="replay N drives at once, each in a process")
    offline("--scheduler", default="", metavar="ADDRESS", help="run the drives by this dask.distributed scheduler")
    live = parser.add_argument_group("live").add_argument
    live("--node", default="", help="play to this running node, such as /segmentation")
    live("--factor", type=float, default=1.0, help="play this many times as fast as recorded (%(default)s)")
    return parser


def _end_on_signals() -> None:
    """Handle SIGTERM and SIGHUP like Ctrl-C, so that the node does not keep running after the replay."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)


def _path(text: str) -> Path:
    if not text:  # such as a variable of the shell that is not set; Path would make it the current folder
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def _rate(text: str) -> float:
    rate = float(text)  # argparse reports a ValueError
    if not 0.01 <= rate <= 1000:
        raise argparse.ArgumentTypeError(f"must be 0.01 to 1000 Hz, not {text}")
    return rate


if __name__ == "__main__":
    sys.exit(main())
