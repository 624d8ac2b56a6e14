"""More frames than the machine can take, and compressed ones. (Apart: two nodes of one name must not run at once.)"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage

from test.ros.client import image, noise, running
from unet_seg_ros.segmenter import Segmenter


def test_under_overload_frames_are_dropped_and_the_order_is_kept(slow: Path) -> None:
    # The client itself is too slow to receive the pictures as well.
    with running("-p", f"model:={slow}", "-p", "threads:=1", outputs=("mask", "coverage")) as (_, client):
        client.wait(lambda: client.state() == "active", "active")
        publisher = client.publisher()
        frame = noise(4, 480, 640)
        for sec in range(1, 61):
            publisher.publish(image(sec, frame))
            client.spin(0.03)
        client.result("camera", "mask", 60)  # the newest is the last to be processed
        client.spin(1.0)
        stamps = [m.header.stamp.sec for m in client.got["camera", "mask"]]
        assert stamps == sorted(set(stamps))
        values = client.camera_values()
        received, processed, dropped = (int(values[key]) for key in ("received", "processed", "dropped"))
        assert processed == len(stamps) < 60
        assert received == processed + dropped
        assert dropped == sum(m.dropped for m in client.got["camera", "coverage"])
        assert stamps[-1] == 60  # each pass takes the newest frame, so the last frame is never dropped


def test_compressed_images_are_segmented(tiny: Path) -> None:
    with running("-p", f"model:={tiny}", "-p", "threads:=1", "-p", "transport:=compressed") as (process, client):
        publisher = client.publisher(kind=CompressedImage)
        frame = noise(5, 120, 160)
        jpeg = cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes()
        for sec, data in ((1, jpeg[: len(jpeg) // 2]), (2, b"not a picture"), (3, jpeg)):
            message = CompressedImage(format="jpeg")
            message.header.stamp.sec = sec
            message.data.frombytes(data)
            publisher.publish(message)
            client.wait(lambda sec=sec: int(client.camera_values()["received"]) == sec, "it is received")
        decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
        mask = client.result("camera", "mask", 3)
        expected = Segmenter.load(tiny, "cpu", threads=1)([decoded])[0].mask
        np.testing.assert_array_equal(np.frombuffer(mask.data, np.uint8).reshape(120, 160), expected)
        assert client.camera_values()["malformed"] == "2"
        assert "/segmentation/camera/image/compressed" in process.log
