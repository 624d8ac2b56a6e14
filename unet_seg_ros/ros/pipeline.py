"""What the node creates at configure: the segmenter, the cameras and the ground; and the worker while it is active.

The node imports this module only at configure, so that it can report a missing library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from rclpy.lifecycle import LifecycleNode

from unet_seg_ros.model.shipped_models import shipped_or_path
from unet_seg_ros.ros.camera import Camera
from unet_seg_ros.ros.diagnostics import EngineStats, Report
from unet_seg_ros.ros.ground import GroundPublisher
from unet_seg_ros.ros.settings import Settings
from unet_seg_ros.ros.worker import Worker
from unet_seg_ros.segmenter import Segmenter


class Pipeline:
    """Exists from construction to ``destroy``; segments between ``start`` and ``stop``.

    Raises ValueError if a setting is not valid, and OutOfMemory or DeviceLost.
    """

    def __init__(self, node: LifecycleNode, settings: Settings) -> None:
        self._node = node
        self.settings = settings
        model = shipped_or_path(settings.model)
        self.segmenter = Segmenter.load(
            model, settings.device, settings.threads, settings.max_pixels, settings.precision
        )
        self.segmenter.warm_up()
        self._engine_stats = EngineStats()
        self._worker: Worker | None = None
        manifest, model_id = self.segmenter.manifest, self.segmenter.model_id
        cameras: dict[str, Camera] = {}
        self.cameras = cameras
        # Nothing that the pipeline holds may refer to it, so that the model's memory is free before the next is loaded.
        self._ground = GroundPublisher(node, settings, manifest, lambda name: cameras[name].info.latest)
        try:
            for name in settings.cameras:
                cameras[name] = Camera(node, name, settings, manifest, model_id, self._ground.take)
            check_topics(cameras)
        except Exception:
            self.destroy()
            raise

    def update(self, settings: Settings) -> None:
        """Use new settings. Only live parameters may have changed."""
        self.settings = settings
        for camera in self.cameras.values():
            camera.announce(settings)

    def start(self, on_device_lost: Callable[[str], None]) -> None:
        """Subscribe and segment. ``on_device_lost`` is called with the reason, on the worker's thread."""
        logger = self._node.get_logger()
        self._worker = Worker(
            self.segmenter, self.cameras, self._engine_stats, lambda: self.settings, logger, on_device_lost
        )
        for camera in self.cameras.values():
            camera.open(self._worker.receive)
            logger.info(f"{camera.name}: segmenting {camera.topic}")

    def stop(self) -> None:
        for camera in self.cameras.values():
            camera.close()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def destroy(self) -> None:
        self.stop()
        for camera in self.cameras.values():
            camera.destroy()
        self._ground.destroy()

    def every_second(self) -> None:
        for camera in self.cameras.values():
            camera.every_second()

    def reports(self, problem: str) -> Iterator[Report]:
        """The diagnostics of each part. ``problem`` is what is wrong with the whole node, empty if nothing is."""
        for camera in self.cameras.values():
            yield from camera.reports(self.settings, problem)
        yield self._ground.report()
        yield self._engine_stats.report(self.segmenter, problem)


def check_topics(cameras: Mapping[str, Camera]) -> None:
    """Raises ValueError if a camera's images are an output of this node, which would segment its own masks."""
    outputs = {topic for camera in cameras.values() for topic in camera.output_topics}
    for name, camera in cameras.items():
        if camera.topic in outputs:
            raise ValueError(f"topic.{name}: {camera.topic} is an output of this node, not a camera's topic")
