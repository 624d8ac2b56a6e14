"""Semantic segmentation of driving video with UNets, as a ROS 2 lifecycle node."""

from unet_seg_ros.share import version

__version__ = version()
