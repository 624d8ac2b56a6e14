"""Semantic segmentation of driving video with UNets, as a ROS 2 lifecycle node."""

import sys

from unet_seg_ros.share_folder import version

# OpenVINO and NNCF report their use over the internet from the moment that they are imported, and keep an identity in
# HOME. They do without where the package that does this is missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

__version__ = version()
