"""Includes the node in a car's launch file: in a namespace, with the car's topics.

ros2 launch unet_seg_ros include.launch.py

All that is set here is launch_ros's own: the group's namespace comes before the node's, its remappings apply, and its
parameters (SetParameter) give way to what the arguments and the parameter file say. The node is
/car/perception/segmentation, its masks are /car/perception/segmentation/front/mask and …/rear/mask.
"""

from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import PushRosNamespace, SetParameter, SetRemap
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    seg = PathJoinSubstitution([FindPackageShare("unet_seg_ros"), "launch", "seg.launch.py"])
    segmentation = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(seg),
        launch_arguments={
            "namespace": "perception",
            # without a leading slash it is below the namespace: /car/perception/front/image_raw
            "cameras": "front=front/image_raw,rear=/rear/image_raw",
            "respawn": "false",
        }.items(),
    )
    car = [
        PushRosNamespace("car"),
        SetRemap("/car/perception/front/image_raw", "/sensors/front"),  # the topic of this car's driver
        SetParameter("confidence_threshold", 0.6),
        segmentation,
    ]
    return LaunchDescription([GroupAction(car)])
