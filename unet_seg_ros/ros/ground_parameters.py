"""The rows of the parameter table for the grids on the ground, see docs/planners.md. Imports no ROS."""

from __future__ import annotations

from unet_seg_ros.ground.camera import COEFFICIENTS
from unet_seg_ros.ros.parameter_spec import Spec

# The formatter would write each row on many lines.
# fmt: off
GROUND: tuple[Spec, ...] = (
    # ---- the ground in metres
    Spec("ground.frame", "string", "base_link",
         "TF frame of the grids, such as base_link: x points forward, y to the left, and the ground is at z = 0."),
    Spec("ground.odometry_frame", "string", "odom",
         "TF frame that is fixed to the ground, so that cells that were seen before can be moved as the car drives. "
         "If TF does not have it, they are forgotten."),
    Spec("ground.area", "numbers", (0.0, -20.0, 40.0, 20.0),
         "The rectangle that the grids cover: x_min, y_min, x_max, y_max in metres."),
    Spec("ground.resolution", "number", 0.2, "Side of a cell in metres.", 0.01, 10.0),
    Spec("ground.costs", "string", "",
         "A YAML file with the cost of each class. Empty: config/costs.yaml of this package."),
    Spec("ground.memory", "number", 2.0,
         "Seconds after which a cell that is no longer seen is unknown again. 0: at once.", 0.0, 60.0),
    Spec("ground.<camera>.size", "numbers", (),
         "Width and height of the images that the camera was calibrated with. Empty: the calibration comes from "
         "camera_info.", example="ground.camera.size: [1280.0, 720.0]"),
    Spec("ground.<camera>.intrinsics", "numbers", (),
         "The focal lengths and the principal point in pixels: fx, fy, cx, cy.",
         example="ground.camera.intrinsics: [1000.0, 1000.0, 639.5, 359.5]"),
    Spec("ground.<camera>.distortion_model", "string", "plumb_bob",
         "Distortion model, as in sensor_msgs/CameraInfo: plumb_bob, rational_polynomial, equidistant or fisheye.",
         choices=tuple(COEFFICIENTS)),
    Spec("ground.<camera>.distortion", "numbers", (),
         "The distortion coefficients, in the order of sensor_msgs/CameraInfo. Empty: no distortion."),
    *(
        Spec(f"ground.<camera>.{name}", "number", 0.0, description, -low, low)
        for name, description, low in (
            (
                "x",
                "Position of the camera in `ground.frame`: metres forward. If all six are 0, TF gives the pose.",
                100.0,
            ),
            ("y", "Position of the camera: metres to the left.", 100.0),
            ("z", "Position of the camera: metres above the ground.", 100.0),
            ("roll", "Rotation of the camera in radians; positive lowers its right side, as in URDF.", 3.2),
            ("pitch", "Rotation of the camera in radians; positive looks down.", 3.2),
            ("yaw", "Rotation of the camera in radians; positive looks to the left.", 3.2),
        )
    ),
    Spec("ground.<camera>.rectified", "boolean", False,
         "The images are rectified, like those of image_proc's image_rect. Then P of camera_info is used, not K and "
         "D."),
)
# fmt: on
