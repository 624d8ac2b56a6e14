"""Projects masks to the ground: makes a grid of costs in metres from a mask and the camera's calibration. Imports no
ROS."""
