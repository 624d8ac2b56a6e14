"""Additions to rclpy's lifecycle node: transitions that fail, transitions that are not possible, and the bond."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]
HEARTBEAT_TIMEOUT = 4.0
"""Seconds without a heartbeat after which the manager considers the node dead; bond_core's default."""


def guarded(transition: Transition) -> Transition:
    """Make a transition that raises an error log it, call the node's ``failed`` and return FAILURE or ERROR.

    rclpy itself hides the error."""

    @functools.wraps(transition)
    def wrapped(node: Any, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception as error:
            if not node.context.ok():  # a signal has shut ROS down during the transition
                return TransitionCallbackReturn.FAILURE
            node.get_logger().error(f"{transition.__name__} failed:\n{traceback.format_exc()}")
            node.failed(f"{transition.__name__} failed: {error}")
            return TransitionCallbackReturn.FAILURE

    return wrapped


def answer_impossible_requests(node: LifecycleNode) -> None:
    """Make ``change_state`` answer ``success: false`` if the current state does not allow the transition.

    rclpy of Jazzy and before raises instead, so that the request is never answered.
    """
    service = node._service_change_state
    change_state = service.callback

    def answer(request: Any, response: Any) -> Any:
        # (id, label, start id, start label, goal id, goal label); rclpy itself prefers the label
        possible = {transition[0]: transition[1] for transition in node._state_machine.available_transitions}
        wanted = request.transition
        if wanted.label in possible.values() if wanted.label else wanted.id in possible:
            return change_state(request, response)
        state = node._state_machine.current_state[1]
        node.get_logger().warning(
            f"refused transition {wanted.label or wanted.id}: in the state {state} the node allows "
            + (", ".join(f"{label} ({number})" for number, label in possible.items()) or "no transition")
        )
        response.success = False
        return response

    service.callback = answer


class Bond:
    """The node's side of a bond with nav2's lifecycle manager: a heartbeat on ``bond`` from ``start`` to ``stop``.

    If bond_core's messages are not installed there is no bond; the manager's ``bond_timeout`` must then be 0.0.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._timer: Any = None
        self._publisher: Any = None

    def start(self, period: float) -> None:
        """Send a heartbeat every ``period`` seconds; 0: no bond."""
        try:
            from bond.msg import Status
        except ImportError:
            return
        if period <= 0:
            return
        self._publisher = self._publisher or self._node.create_publisher(Status, "bond", 100)
        self._status = Status(
            id=self._node.get_name(),
            instance_id=str(uuid4()),
            active=True,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            heartbeat_period=period,
        )
        self._timer = self._node.create_timer(period, self._beat, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def stop(self) -> None:
        """Break the bond and tell the manager."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
            self._status.active = False
            if self._node.context.ok():  # else ROS is shut down and nothing can be sent
                self._beat()

    def _beat(self) -> None:
        self._status.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(self._status)
