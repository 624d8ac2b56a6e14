"""Whether to believe what is seen: signals of a frame, of its mask and of the frames before it, and what they come to.

``Monitor`` is the way in, one for each camera. Nothing here imports ROS.
"""
