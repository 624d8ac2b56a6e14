"""The rows of the parameter table for the ground in metres, see docs/planners.md. No ROS."""

from __future__ import annotations

from unet_seg_ros.ground.camera import COEFFICIENTS
from unet_seg_ros.ros.parameter_spec import Spec

GROUND: tuple[Spec, ...] = (
    # ---- the ground in metres
    Spec(
        "ground.frame",
        "string",
        "base_link",
        "Frame of the grids: x forward, y to the left, and the ground at z = 0, such as base_link or base_footprint.",
    ),
    Spec(
        "ground.odometry_frame",
        "string",
        "odom",
        "Frame that stands still: what was seen is moved with the car by it. Where TF has none, nothing is remembered.",
    ),
    Spec(
        "ground.area",
        "numbers",
        (0.0, -20.0, 40.0, 20.0),
        "The rectangle that the grids cover: x_min, y_min, x_max, y_max in metres.",
    ),
    Spec("ground.resolution", "number", 0.2, "Side of a cell in metres.", 0.01, 10.0),
    Spec(
        "ground.costs",
        "string",
        "",
        "A YAML file of what each class costs. Empty: config/costs.yaml of this package.",
    ),
    Spec(
        "ground.memory",
        "number",
        2.0,
        "Seconds after which a cell that is no longer seen is unknown again. 0: at once.",
        0.0,
        60.0,
    ),
    Spec(
        "ground.<camera>.size",
        "numbers",
        (),
        "Width and height of the images that the camera was calibrated with. Empty: the calibration comes from "
        "camera_info.",
        example="ground.camera.size: [1280.0, 720.0]",
    ),
    Spec(
        "ground.<camera>.intrinsics",
        "numbers",
        (),
        "The focal lengths and the principal point in pixels: fx, fy, cx, cy.",
        example="ground.camera.intrinsics: [1000.0, 1000.0, 639.5, 359.5]",
    ),
    Spec(
        "ground.<camera>.distortion_model",
        "string",
        "plumb_bob",
        "As in sensor_msgs/CameraInfo: plumb_bob, rational_polynomial, equidistant or fisheye (the same).",
        choices=tuple(COEFFICIENTS),
    ),
    Spec(
        "ground.<camera>.distortion",
        "numbers",
        (),
        "Coefficients of the distortion, in the order of sensor_msgs/CameraInfo. Empty: none.",
    ),
    *(
        Spec(f"ground.<camera>.{name}", "number", 0.0, description, -low, low)
        for name, description, low in (
            ("x", "Where the camera is in `ground.frame`, metres forward. All six 0: TF says where it is.", 100.0),
            ("y", "Metres to the left.", 100.0),
            ("z", "Metres over the ground.", 100.0),
            ("roll", "Radians, positive lowers the right side, as in URDF.", 3.2),
            ("pitch", "Radians, positive looks down.", 3.2),
            ("yaw", "Radians, positive looks to the left.", 3.2),
        )
    ),
    Spec(
        "ground.<camera>.rectified",
        "boolean",
        False,
        "The images are rectified, as those of image_proc's image_rect: P of camera_info holds in place of K and D.",
    ),
)
