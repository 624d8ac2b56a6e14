"""CPU and memory of processes for which they are known."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from unet_seg_ros.replay.record import process_meter
from unet_seg_ros.replay.record.process_meter import Meter

HELD = 64 * 2**20
BUSY = f"held = b'x' * {HELD}\nprint('ready', flush=True)\nwhile True: pass"


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """A process that always computes and holds some memory."""
    monkeypatch.setattr(process_meter, "INTERVAL", 0.02)
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def until(meter: Meter, count: int) -> None:
    end = time.monotonic() + 60
    while len(meter.samples) < count:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_busy_process_is_measured(busy: subprocess.Popen[str]) -> None:
    meter = Meter(busy.pid)
    until(meter, 10)
    samples = meter.stop()
    assert [sample.at for sample in samples] == sorted(sample.at for sample in samples)
    assert all(sample.memory > HELD for sample in samples)
    spent = sum(
        sample.cpu * (sample.at - at) for sample, at in zip(samples, [0.0, *(s.at for s in samples)], strict=False)
    )
    busy.kill()
    busy.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert 0 < spent <= used.ru_utime + used.ru_stime + 0.02  # psutil counts in ticks of 10 ms
    count = len(samples)
    time.sleep(0.1)
    assert len(meter.samples) == count


def test_a_long_drive_keeps_fewer_samples(busy: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_meter, "MAX_SAMPLES", 8)
    monkeypatch.setattr(process_meter, "INTERVAL", 0.005)
    meter = Meter(busy.pid)
    end = time.monotonic() + 60
    while not meter.samples or meter.samples[-1].at < 0.4:  # 80 intervals
        assert time.monotonic() < end
        time.sleep(0.01)
    assert len(meter.stop()) < 8


def test_the_meter_stops_when_the_process_ends(busy: subprocess.Popen[str]) -> None:
    meter = Meter(busy.pid)
    until(meter, 1)
    busy.kill()
    busy.wait()
    assert meter.stop()
    assert Meter(busy.pid).stop() == []  # this process never ran
