"""Starts the segmentation node: ros2 launch unet_seg_ros seg.launch.py --show-args"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from unet_seg_ros.ros.bringup import ARGUMENTS, NODE_NAME, bringup, ros_args


def start(context: LaunchContext) -> list[Node]:
    """What the arguments ask for. The node takes itself through its life cycle (its parameter `autostart`), so it is
    started like any other."""
    plan = bringup({argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS})
    actions = [
        Node(
            package="unet_seg_ros",
            executable="segmentation",
            name=NODE_NAME,
            # Not by `parameters`: launch_ros writes a camera named `y` into a file unquoted, which reads as a boolean.
            arguments=ros_args(plan),
            additional_env=plan.environment,
            output="screen",
            emulate_tty=True,
        )
    ]
    if plan.rviz:
        actions.append(
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", str(plan.rviz_config)],
                remappings=plan.rviz_remappings,
                additional_env=plan.environment,
            )
        )
    return actions


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(argument.name, default_value=argument.default, description=argument.description)
        for argument in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
