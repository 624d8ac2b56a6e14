"""Replays a drive: `ros2 launch unet_seg_ros replay.launch.py source:=drive.mcap`; arguments: `--show-args`"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.substitutions import ExecutableInPackage

from unet_seg_ros.replay.launch_arguments import ARGUMENTS, command_line


def start(context: LaunchContext) -> list[ExecuteProcess]:
    """The process to start. It is not a Node action, because the replay is a command that starts its own node."""
    values = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    replay = ExecutableInPackage("replay", "unet_seg_ros")
    return [ExecuteProcess(cmd=[replay, *command_line(values)], output="screen", emulate_tty=True)]


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(argument.name, default_value=argument.default, description=argument.description)
        for argument in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
