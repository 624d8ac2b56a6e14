"""The command ``segmentation``. All its options except --help are those of ROS."""

from __future__ import annotations

import argparse

from unet_seg_ros.ros.parameter_table import TABLE

EPILOG = "Options go after --ros-args: -p NAME:=VALUE, --params-file FILE, -r __ns:=/ego, --log-level debug"


def check_arguments(args: list[str]) -> None:
    """Print help if --help is given, and refuse arguments that ROS does not know. Both end the process."""
    own, ros = [], False
    for arg in args:
        if arg in ("--ros-args", "--"):
            ros = arg == "--ros-args"
        elif not ros:
            own.append(arg)
    parser = argparse.ArgumentParser(
        prog="segmentation",
        description="The lifecycle node that segments camera images. Its parameters are:\n\n"
        + "\n".join(f"  {spec.name:<34}{spec.description.split('. ')[0].rstrip('.')}" for spec in TABLE),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(own)
