"""Bags with wrong contents, made by code, and bags of a recorder that was killed."""

from __future__ import annotations

import io
import shutil
import sqlite3
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import zstandard
from mcap.writer import CompressionType, IndexType, Writer
from rosbags.rosbag2 import StoragePlugin

from test.replay import drives
from unet_seg_ros.data.ros_images import ImageError
from unet_seg_ros.replay.errors import SourceError
from unet_seg_ros.replay.source import bag_message, mcap_file
from unet_seg_ros.replay.source.bag import camera_names
from unet_seg_ros.replay.source.bag_reader import messages
from unet_seg_ros.replay.source.drive import MAX_STEP, TYPES, message_pixels
from unet_seg_ros.replay.source.video_and_folder import open_source
from unet_seg_ros.replay.topics import IMAGE

FRONT, SECOND = "/front/image_raw", 10**9
STORAGES = pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])


def cdr(index: int) -> bytes:
    return bytes(TYPES.serialize_cdr(drives.raw(index), IMAGE))


def write_mcap(
    path: Path,
    others: dict[str, tuple[str, str, bytes]] | None = None,
    times: list[int] | None = None,
    compression: CompressionType = CompressionType.ZSTD,
    chunk_size: int = 1,
    topic: str = FRONT,
) -> Path:
    """A camera's frames, and a message of each of the ``others``: topic → schema's name, encoding and text."""
    with path.open("wb") as stream:
        writer = Writer(stream, chunk_size=chunk_size, compression=compression)
        writer.start("ros2", "test")
        schema = writer.register_schema(IMAGE, "ros2msg", b"")
        camera = writer.register_channel(topic, "cdr", schema)
        for name, (kind, encoding, text) in (others or {}).items():
            channel = writer.register_channel(name, "cdr", writer.register_schema(kind, encoding, text))
            writer.add_message(channel, 1, b"\0\1\0\0", 1)
        for index, time_ns in enumerate(times or [SECOND * (1 + index) for index in range(4)]):
            writer.add_message(camera, time_ns, cdr(index), time_ns)
        writer.finish()
    return path


OTHERS = {
    "CRLF": ("my_msgs/msg/A", "ros2msg", b"int32 a\r\nint32 b\r\n"),
    "Latin-1": ("my_msgs/msg/A", "ros2msg", b"int32 a # gr\xf6\xdfe\n"),
    "jsonschema": ("Thing", "jsonschema", b'{"type": "object"}'),
    "protobuf": ("foxglove.Thing", "protobuf", b"\x0a\x10\xff\xfe"),
    "a union": ("my_msgs/msg/U", "ros2idl", b"union U switch (long) { case 1: long a; };"),
    "an unknown language": ("Thing", "chinese", b""),
    "a name that is not text": ("my_msgs/msg/A", "ros2msg", b""),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_wrong_definition_of_another_topic_does_no_harm(name: str, tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "bag.mcap", {"/other": OTHERS[name]})
    if name.endswith("not text"):
        path.write_bytes(path.read_bytes().replace(b"/other", b"/oth\xe9r"))  # the checksums of chunks are then wrong
        assert drives.stamps(path)[0]
        return
    assert drives.stamps(path) == ([0, 1, 2, 3], "")


@pytest.mark.parametrize("compression", list(CompressionType))
@pytest.mark.parametrize("chunk_size", [1, 10**7])
def test_frames_come_in_order_of_time(compression: CompressionType, chunk_size: int, tmp_path: Path) -> None:
    """The order of the messages in the file does not matter."""
    times = [SECOND * time for time in (4, 1, 3, 2)]
    path = write_mcap(tmp_path / "bag.mcap", times=times, compression=compression, chunk_size=chunk_size)
    assert drives.stamps(path) == ([1, 3, 2, 0], "")


def test_a_file_without_an_index_is_read_completely(tmp_path: Path) -> None:
    with (tmp_path / "bag.mcap").open("wb") as stream:
        writer = Writer(
            stream, index_types=IndexType.NONE, repeat_channels=False, repeat_schemas=False, use_statistics=False
        )
        writer.start("ros2", "test")
        camera = writer.register_channel(FRONT, "cdr", writer.register_schema(IMAGE, "ros2msg", b""))
        for index in range(3):
            writer.add_message(camera, index, cdr(index), index)
        writer.finish()
    assert drives.stamps(tmp_path / "bag.mcap") == ([0, 1, 2], "")


def test_missing_messages_are_found_by_the_statistics(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "bag.mcap")
    data = path.read_bytes()
    pair = struct.pack("<HQ", 1, 4)
    assert data.count(pair) == 1
    path.write_bytes(data.replace(pair, struct.pack("<HQ", 1, 9)))
    found, said = drives.stamps(path)
    assert found == [0, 1, 2, 3]
    assert f"it has only 4 of 9 messages of {FRONT}" in said


def bomb(size: int) -> bytes:
    """Zstandard's frame of ``size`` zeros, a few thousand times smaller."""
    out = io.BytesIO()
    with zstandard.ZstdCompressor(level=3).stream_writer(out, closefd=False) as writer:
        for _ in range(size >> 20):
            writer.write(bytes(2**20))
    return out.getvalue()


@STORAGES
def test_a_message_that_unpacks_to_gigabytes_is_not_unpacked(
    storage: StoragePlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bag_message, "MAX_MESSAGE", 2**22)
    monkeypatch.setattr(bag_message.unpacked, "__defaults__", (2**22,))
    packed = bomb(2**28)
    assert len(packed) < 2**17
    bag = tmp_path / "bag.db3"
    if storage == StoragePlugin.SQLITE3:
        write_sqlite(bag, [(SECOND, cdr(0)), (2 * SECOND, packed), (3 * SECOND, cdr(2))])
    else:
        bag = tmp_path / "bag.mcap"
        with bag.open("wb") as stream:
            writer = Writer(stream)
            writer.start("ros2", "test")
            camera = writer.register_channel(FRONT, "cdr", writer.register_schema(IMAGE, "ros2msg", b""))
            for index, data in enumerate([cdr(0), packed, cdr(2)]):
                writer.add_message(camera, index, data, index)
            writer.finish()
    tracemalloc.start()
    try:
        found, said = drives.stamps(bag)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
    assert found == [0, 2]
    assert "unpack to more than" in said


def chunk_record(records_: bytes, size: int, compression: bytes = b"zstd") -> bytes:
    head = struct.pack("<QQQI", 1, 1, size, 0) + struct.pack("<I", len(compression)) + compression
    body = head + struct.pack("<Q", len(records_)) + records_
    return struct.pack("<BQ", 6, len(body)) + body


@pytest.mark.parametrize("size", [2**27, 2**40, 10])
def test_a_chunk_that_unpacks_to_gigabytes_is_not_unpacked(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcap_file, "MAX_MESSAGE", 2**24)
    whole = write_mcap(tmp_path / "bag.mcap", chunk_size=1).read_bytes()
    end = whole.index(struct.pack("<BQ", 6, 0)[:1], 8)
    path = tmp_path / "bomb.mcap"
    path.write_bytes(whole[:end] + chunk_record(bomb(2**27), size))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError):
            list(messages(path, [FRONT]))
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def test_chunks_that_overlap_are_read_once(tmp_path: Path) -> None:
    """An index that names one chunk a million times would take very long to read."""
    path = write_mcap(tmp_path / "bag.mcap", compression=CompressionType.NONE)
    data = path.read_bytes()
    index = mcap_file.McapFile(path)
    first, second = (place.offset for place in index._chunks[:2])
    index.close()
    for_second = struct.pack("<Q", second)
    place = data.rindex(for_second)
    path.write_bytes(data[:place] + struct.pack("<Q", first) + data[place + 8 :])
    found, said = drives.stamps(path)
    assert found == [0, 1, 2, 3]
    assert "overlap" in said


TABLES = """
CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, serialization_format TEXT NOT NULL,
                    offered_qos_profiles TEXT NOT NULL);
CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL,
                      data BLOB NOT NULL);
"""


def write_sqlite(path: Path, rows: list[tuple[Any, Any]], tables: str = TABLES, topic: str = FRONT) -> Path:
    base = sqlite3.connect(path)
    base.executescript(tables)
    base.execute("INSERT INTO topics VALUES (1, ?, ?, 'cdr', '')", (topic, IMAGE))
    base.executemany("INSERT INTO messages(topic_id, timestamp, data) VALUES (1, ?, ?)", rows)
    base.commit()
    base.close()
    return path


def test_messages_in_the_log_of_a_killed_recorder_are_read(tmp_path: Path) -> None:
    """With sqlite's write-ahead log the last messages are in a second file."""
    source = tmp_path / "source.db3"
    write_sqlite(source, [(index, cdr(index)) for index in range(4)])
    base = sqlite3.connect(source)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA wal_autocheckpoint = 0")
    base.executemany(
        "INSERT INTO messages(topic_id, timestamp, data) VALUES (1, ?, ?)", [(i, cdr(i)) for i in range(4, 10)]
    )
    base.commit()
    bag = tmp_path / "bag" / "bag.db3"
    bag.parent.mkdir()
    for ending in ("", "-wal"):  # the files as they are when the recorder is killed
        shutil.copy(f"{source}{ending}", f"{bag}{ending}")
    base.close()
    before = {file.name: file.read_bytes() for file in bag.parent.iterdir()}
    assert drives.stamps(bag) == (list(range(10)), "")
    assert {file.name: file.read_bytes() for file in bag.parent.iterdir()} == before


def test_rows_of_wrong_types_are_left_out(tmp_path: Path) -> None:
    tables = TABLES.replace(" NOT NULL", "")
    rows = [(1, cdr(0)), (None, cdr(1)), ("soon", cdr(1)), (2, None), (3, "text"), (4, 5), (5, cdr(5)), (2.5, cdr(1))]
    bag = write_sqlite(tmp_path / "bag.db3", rows, tables)
    base = sqlite3.connect(bag)
    base.execute("INSERT INTO topics VALUES (2, NULL, NULL, NULL, NULL)")
    base.execute("INSERT INTO topics VALUES (3, x'ff00', x'00', 5, NULL)")
    base.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES (NULL, 9, ?)", (cdr(1),))
    base.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES ('x', 9, ?)", (cdr(1),))
    base.commit()
    base.close()
    found, said = drives.stamps(bag)
    assert found == [0, 5]
    assert said.startswith(f"{bag}: damaged, 2 messages could be read: ")


def test_a_topic_whose_name_is_not_text_does_no_harm(tmp_path: Path) -> None:
    bag = write_sqlite(tmp_path / "bag.db3", [(1, cdr(0))])
    base = sqlite3.connect(bag)
    base.execute("INSERT INTO topics VALUES (2, CAST(x'ff2f61' AS TEXT), 'a/msg/B', 'cdr', '')")
    base.commit()
    base.close()
    assert drives.stamps(bag) == ([0], "")


def test_a_wrong_row_of_another_topic_does_no_harm(tmp_path: Path) -> None:
    bag = write_sqlite(tmp_path / "bag.db3", [(1, cdr(0))], TABLES.replace(" NOT NULL", ""))
    base = sqlite3.connect(bag)
    base.execute("INSERT INTO topics VALUES (2, NULL, NULL, NULL, NULL)")
    base.execute("INSERT INTO topics VALUES (3, x'ff00', x'00', 5, NULL)")
    base.commit()
    base.close()
    assert drives.stamps(bag) == ([0], "")


def test_a_column_may_be_called_rowid(tmp_path: Path) -> None:
    bag = write_sqlite(tmp_path / "bag.db3", [(1, cdr(0)), (2, cdr(1))])
    for column, expected in (("rowid", [0, 1]), ("_ROWID_", [0, 1]), ("oid", None)):
        base = sqlite3.connect(bag)
        base.execute(f"ALTER TABLE messages ADD COLUMN {column} INTEGER DEFAULT 1")
        base.commit()
        base.close()
        if expected:
            assert drives.stamps(bag) == (expected, "")
    with pytest.raises(SourceError, match="its table messages has no numbers of rows"):
        open_source(bag)


@pytest.mark.parametrize(
    "messages_",
    [
        "CREATE VIEW messages AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT i AS id, 1 AS topic_id, i AS timestamp, x'00' AS data FROM n;",
        "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, "
        "data BLOB AS (zeroblob(900000000)));",
    ],
)
def test_tables_that_never_end_are_refused(messages_: str, tmp_path: Path) -> None:
    bag = tmp_path / "bag.db3"
    base = sqlite3.connect(bag)
    base.executescript(TABLES.split("CREATE TABLE messages")[0] + messages_)
    base.execute("INSERT INTO topics VALUES (1, ?, ?, 'cdr', '')", (FRONT, IMAGE))
    base.commit()
    base.close()
    with pytest.raises(SourceError, match="it has no ordinary table messages"):
        open_source(bag)


@pytest.mark.parametrize("topic", ["/", "", "//", "/image", "/=cmd|' /C calc'!A0", "/a b\n[ERROR] c", "/" + "x" * 5000])
@STORAGES
def test_topics_of_any_name_become_cameras_with_valid_names(topic: str, storage: StoragePlugin, tmp_path: Path) -> None:
    if storage == StoragePlugin.MCAP:
        bag = write_mcap(tmp_path / "bag.mcap", topic=topic)
    else:
        bag = write_sqlite(tmp_path / "bag.db3", [(1, cdr(0)), (2, cdr(1)), (3, cdr(2)), (4, cdr(3))], topic=topic)
    drive = open_source(bag)
    (camera,) = drive.cameras
    assert camera.isidentifier()
    assert camera.isascii()
    assert len(camera) <= 100
    assert len(list(drive.frames())) == 4


def test_names_of_cameras_are_distinct() -> None:
    names = camera_names(["/a b/image", "/a-b/image", "/a_b/image"])
    assert len(set(names)) == 3
    assert all(name.isidentifier() for name in names)


@STORAGES
def test_messages_that_are_too_short_for_a_stamp_are_read(storage: StoragePlugin, tmp_path: Path) -> None:
    times = [0, 2**63 - 1] if storage == StoragePlugin.SQLITE3 else [0, 2**63 - 1, 2**64 - 1]
    data = [b"", b"\0\1\0\0", b"\0\1\0\0\1\0\0"]
    if storage == StoragePlugin.SQLITE3:
        bag = write_sqlite(tmp_path / "bag.db3", list(zip(times, data, strict=False)))
    else:
        bag = tmp_path / "bag.mcap"
        with bag.open("wb") as stream:
            writer = Writer(stream)
            writer.start("ros2", "test")
            camera = writer.register_channel(FRONT, "cdr", writer.register_schema(IMAGE, "ros2msg", b""))
            for time_ns, contents in zip(times, data, strict=False):
                writer.add_message(camera, time_ns, contents, time_ns)
            writer.finish()
    frames = list(open_source(bag).frames())
    assert len(frames) == len(times)
    for frame in frames:
        assert 0 <= frame.at_ns <= MAX_STEP * len(times)
        with pytest.raises(ImageError):
            message_pixels(frame.message)
        TYPES.serialize_cdr(frame.message, IMAGE)  # it can be sent and recorded


@STORAGES
def test_a_jump_of_the_clock_is_shortened(storage: StoragePlugin, tmp_path: Path) -> None:
    """The clock of a robot without a battery jumps like this at its first NTP sync."""
    start, synced = 5 * SECOND, 1_700_000_000 * SECOND
    times = [start, start + SECOND, synced, synced + SECOND]
    if storage == StoragePlugin.MCAP:
        bag = write_mcap(tmp_path / "bag.mcap", times=times)
    else:
        bag = write_sqlite(tmp_path / "bag.db3", [(time_ns, cdr(i)) for i, time_ns in enumerate(times)])
    frames = list(open_source(bag).frames())
    assert [frame.at_ns for frame in frames] == [0, SECOND, SECOND + MAX_STEP, 2 * SECOND + MAX_STEP]
    assert [bool(frame.note) for frame in frames] == [False, False, True, False]
    assert "the recording's clock jumps by 1.7e+09 s" in frames[2].note


def test_many_jumps_of_the_clock_take_five_minutes_in_all(tmp_path: Path) -> None:
    times = [index * 3600 * SECOND for index in range(100)]
    frames = list(open_source(write_mcap(tmp_path / "bag.mcap", times=times)).frames())
    assert [frame.at_ns for frame in frames] == [min(index, 5) * MAX_STEP for index in range(100)]
    assert [frame.note[-4:] for frame in frames] == [""] + 5 * ["60 s"] + 94 * ["time"]


def test_few_messages_of_a_chunk_are_kept_for_sorting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk of 300 KB can hold millions of empty messages."""
    times = [SECOND * (1 + index) for index in range(200)]
    bag = write_mcap(tmp_path / "bag.mcap", times=times, chunk_size=2**30)
    made, message = [], mcap_file.message
    monkeypatch.setattr(mcap_file, "message", lambda *about: made.append(about) or message(*about))
    monkeypatch.setattr(mcap_file, "MAX_WAITING", 10 * (mcap_file.OVERHEAD + len(cdr(0))))
    file = mcap_file.McapFile(bag)
    found = file.messages({FRONT})
    assert next(found).time_ns == times[0]
    assert len(made) == 11
    assert [raw.time_ns for raw in found] == times[1:]
    file.close()


def test_compressed_depth_images_are_left_out(tmp_path: Path) -> None:
    depth = drives.compressed(0)
    depth.format = "16UC1; compressedDepth png"
    topics_ = {"/front/image_raw": [drives.raw(0)], "/depth/image_raw/compressedDepth": [depth]}
    bag = drives.write_bag(tmp_path / "bag", topics_, StoragePlugin.MCAP)
    assert open_source(bag).cameras == {"front": FRONT}
    assert open_source(bag).problems == ()
    alone = drives.write_bag(tmp_path / "alone", {"/depth/image_raw/compressedDepth": [depth]}, StoragePlugin.MCAP)
    with pytest.raises(SourceError, match="no camera images"):
        open_source(alone)
