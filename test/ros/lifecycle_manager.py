"""Does in Python what nav2's lifecycle manager does with a node, because there is no wheel of the real one: the same
services in the same order, by transition ids, each followed by a question for the state; then its half of the bond.

As a command it takes the parameters that ``launch/examples/lifecycle_manager.launch.py`` gives to the real one.
"""

from __future__ import annotations

import time
from typing import Any

import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node

STARTUP = (
    (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
    (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
)
SHUTDOWN = (
    (Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE),
    (Transition.TRANSITION_CLEANUP, State.PRIMARY_STATE_UNCONFIGURED),
    (Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, State.PRIMARY_STATE_FINALIZED),
)


class Manager(Node):
    """Manages one node. ``heartbeats`` are that node's messages of the bond; none if bond is not installed."""

    def __init__(self, managed: str, **options: Any) -> None:
        super().__init__("lifecycle_manager", **options)
        self.managed = managed
        self.heartbeats: list[Any] = []
        self._change = self.create_client(ChangeState, f"{managed}/change_state")
        self._state = self.create_client(GetState, f"{managed}/get_state")

    def call(self, client: Any, request: Any, seconds: float = 60.0) -> Any:
        assert client.wait_for_service(seconds), f"no service {client.srv_name}"
        time.sleep(0.5)  # the node drops an answer if it has not found this client 100 ms after the request
        future = client.call_async(request)
        rclpy.spin_until_future_complete(self, future, timeout_sec=seconds)
        assert future.done(), f"no answer of {client.srv_name}"
        return future.result()

    def change(self, transition: int, state: int) -> bool:
        """nav2 checks the state after the request, not the answer."""
        request = ChangeState.Request()
        request.transition.id = transition
        self.call(self._change, request)
        return bool(self.call(self._state, GetState.Request(), 2.0).current_state.id == state)

    def startup(self) -> bool:
        return all(self.change(*step) for step in STARTUP)

    def shutdown(self) -> bool:
        return all(self.change(*step) for step in SHUTDOWN)

    def bond(self, timeout: float) -> bool:
        """Whether the node's heartbeat is there within half of ``timeout`` seconds, as nav2 wants it."""
        from bond.msg import Status

        def keep(message: Any) -> None:
            if message.id == self.managed.rpartition("/")[2]:
                self.heartbeats.append(message)

        self.create_subscription(Status, "bond", keep, 100)
        end = time.monotonic() + timeout / 2
        while not self.heartbeats and time.monotonic() < end:
            rclpy.spin_once(self, timeout_sec=0.05)
        return bool(self.heartbeats and self.heartbeats[-1].active)


def main() -> None:
    rclpy.init()
    node = rclpy.create_node("lifecycle_manager", automatically_declare_parameters_from_overrides=True)
    timeout = node.get_parameter("bond_timeout").value
    for name in node.get_parameter("node_names").value:
        manager = Manager(name, use_global_arguments=False)
        print(f"{name}: active {manager.startup()}", flush=True)
        if timeout > 0:
            print(f"{name}: connected with bond {manager.bond(timeout)}", flush=True)
        try:
            rclpy.spin(manager)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
