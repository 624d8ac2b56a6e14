"""Starts the segmentation node: ros2 launch unet_seg_ros seg.launch.py --show-args"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnShutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from unet_seg_ros.ros.bringup import ARGUMENTS, Bringup, bringup, write_parameters


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The actions to start. The node configures and activates itself (parameter `autostart`), so an ordinary Node
    action is enough."""
    plan = bringup({argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS})
    given = [write_parameters(plan)] if plan.parameters else []
    node = Node(
        package="unet_seg_ros",
        executable="segmentation",
        name=plan.node_name,
        namespace=plan.namespace or None,
        parameters=[str(file) for file in (plan.params_file, *given) if file],
        arguments=["--ros-args", "--log-level", plan.log_level] if plan.log_level else [],
        respawn=plan.respawn,
        respawn_delay=2.0,
        additional_env=plan.environment,
        output="screen",
        emulate_tty=True,
    )
    # the file must exist as long as the node may be started again
    tidy = [RegisterEventHandler(OnShutdown(on_shutdown=lambda *_, file=file: file.unlink())) for file in given]
    return [node, *tidy, *([rviz(plan)] if plan.rviz else [])]


def rviz(plan: Bringup) -> Node:
    """RViz in the node's namespace, with the layout's topics remapped to those of this launch."""
    return Node(
        package="rviz2",
        executable="rviz2",
        namespace=plan.namespace or None,
        arguments=["-d", str(plan.rviz_config)],
        remappings=plan.rviz_remappings,
        additional_env=plan.environment,
    )


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(argument.name, default_value=argument.default, description=argument.description)
        for argument in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
