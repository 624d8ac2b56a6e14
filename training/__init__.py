"""Training of networks, offline; runs from the clone."""

import unet_seg_ros  # noqa: F401  (before NNCF is imported, so that nothing is reported over the internet)
