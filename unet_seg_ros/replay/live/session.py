"""Plays a drive over DDS to a node, which the replay starts in its own process or which already runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from unet_seg_ros.replay.errors import SourceError
from unet_seg_ros.replay.live.node_process import NodeProcess
from unet_seg_ros.replay.live.node_status import find_node
from unet_seg_ros.replay.live.played_drive import PlayedDrive
from unet_seg_ros.replay.live.player import Player
from unet_seg_ros.replay.live.ros_domain import isolate, on_the_graph
from unet_seg_ros.replay.record.process_meter import Meter, Sample
from unet_seg_ros.replay.record.recorder import Recorder
from unet_seg_ros.replay.source.drive import Drive
from unet_seg_ros.replay.topics import Target
from unet_seg_ros.ros.bringup import bringup

logger = logging.getLogger(__name__)


@dataclass
class Live:
    """The result of playing, besides the recording. ``resources`` are the node process's, empty if the replay did not
    start the node. ``recording_problem`` says why nothing was recorded, empty if it was."""

    played: PlayedDrive
    resources: list[Sample] = field(default_factory=list)
    recording_problem: str = ""


def play_to_own_node(drive: Drive, bag: Path, log: Path, model: str, device: str, factor: float) -> Live:
    """Start a node with the drive's cameras on its own DDS domain and play the drive to it.

    The node's output goes to ``log``. The drive is played ``factor`` times as fast as recorded. If ``model`` or
    ``device`` is empty, the node's default is used.

    Raises SourceError, and NodeError if the node does not become active.
    """
    cameras = ",".join(f"{name}={topic}" for name, topic in drive.cameras.items())
    arguments = {"cameras": cameras, "transport": drive.transport, "model": model, "device": device}
    try:
        plan = bringup({**arguments, "use_sim_time": "true"})
    except ValueError as error:  # the bag has a topic that is not a ROS name
        raise SourceError(f"{drive.source}: {error}") from error
    isolate(plan)
    process = NodeProcess(plan, log)
    try:
        logger.info("starting the node")
        with Recorder(bag) as recorder, on_the_graph() as node:
            player = Player(node, drive, Target.own(drive.cameras), recorder, process, factor)
            player.wait()
            meter = Meter(process.pid)
            played = player.play()
            resources = meter.stop()
    finally:
        interrupted = process.stop()
    played.interrupted = played.interrupted or interrupted
    return Live(played, resources, recorder.problem)


def play_to_other_node(drive: Drive, bag: Path, name: str, factor: float) -> Live:
    """Play to the running node ``name``, such as /segmentation, on this environment's DDS domain.

    Raises NodeError if it does not run, is not active or does not subscribe to the drive's topics.
    """
    with Recorder(bag) as recorder, on_the_graph() as node:
        player = Player(node, drive, find_node(node, name, drive), recorder, None, factor)
        player.wait()
        played = player.play()
    return Live(played, [], recorder.problem)
