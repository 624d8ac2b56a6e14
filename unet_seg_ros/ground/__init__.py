"""The mask in metres: from a camera's calibration and a mask to a grid of costs on the ground. Imports no ROS."""
