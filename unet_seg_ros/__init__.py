"""Semantic segmentation of driving video with UNets, as a ROS 2 lifecycle node."""

__version__ = "0.1.0"
