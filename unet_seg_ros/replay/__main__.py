"""Play a drive to the segmentation node over real DDS and leave what came out: a bag, a video, pictures, figures.

SOURCE is a rosbag2 (folder, .mcap or .db3), a video file, or an image folder (in Cityscapes layout, with labels, or
flat). The node runs in a process of its own, on a DDS domain that no car uses, and gets the frames at their real rate.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from unet_seg_ros.labels import GROUPINGS


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status is 2 where something that can be put right is wrong."""
    parser = argparse.ArgumentParser(
        prog="replay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, metavar="SOURCE")
    parser.add_argument("--output", type=Path, required=True, help="folder for all that it leaves")
    parser.add_argument("--model", default="", help="name of a shipped model or path of a bundle (default: the node's)")
    parser.add_argument("--device", default="", help="auto, cpu, cuda or cuda:N (default: the node's)")
    parser.add_argument(
        "--grouping", choices=GROUPINGS, default="cityscapes19", help="classes to compare with labels (%(default)s)"
    )
    parser.add_argument("--rate", type=_rate, metavar="HZ", help="frames per second of an image folder (10)")
    parser.add_argument("--node", default="", help="play to this running node, such as /segmentation")
    parser.add_argument("--factor", type=float, default=1.0, help="play so many times as fast (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        from unet_seg_ros.replay.run import Options, ReplayError, replay
    except ImportError as error:
        print(
            f"replay: {error}. Source a ROS 2 workspace in which unet_seg_ros and unet_seg_msgs are built and run "
            "python3 -m pip install -r requirements/run.txt, or use `make demo`, which brings its own ROS 2.",
            file=sys.stderr,
        )
        return 2
    _end_on_signals()
    try:
        how = Options(options.model, options.device, options.grouping, options.rate, options.node, options.factor)
        return replay(options.source, options.output, how)
    except ReplayError as error:
        print(f"replay: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before or after the drive: during it, what was played is summed up
        return 130


def _end_on_signals() -> None:
    """A kill or a closed terminal ends the replay as Ctrl-C does, else its node would run on by itself."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)


def _rate(text: str) -> float:
    rate = float(text)  # argparse reports a ValueError
    if not 0.01 <= rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not from 0.01 to 1000 Hz")
    return rate


if __name__ == "__main__":
    sys.exit(main())
