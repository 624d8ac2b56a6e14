"""Starts the node with nav2's lifecycle manager, which configures and activates it and checks its heartbeat.

ros2 launch unet_seg_ros lifecycle_manager.launch.py

Where bond_core's messages are not installed beside the node (it may run on another machine than nav2), set bond_timeout
to 0.0: there is no heartbeat then.
"""

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    seg = PathJoinSubstitution([FindPackageShare("unet_seg_ros"), "launch", "seg.launch.py"])
    segmentation = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(seg),
        launch_arguments={"cameras": "front=/front/image_raw", "autostart": "false"}.items(),
    )
    manager = Node(
        package="nav2_lifecycle_manager",
        executable="lifecycle_manager",
        name="lifecycle_manager_perception",
        parameters=[
            {
                "autostart": True,
                "node_names": ["segmentation"],
                "bond_timeout": 4.0,
                "bond_respawn_max_duration": 60.0,
                "attempt_respawn_reconnection": True,
            }
        ],
        output="screen",
    )
    return LaunchDescription([segmentation, manager])
