"""Judges whether a frame and its mask can be trusted, from signals of the frame, of its mask and of earlier frames.

Use one ``Monitor`` for each camera. Nothing here imports ROS.
"""
