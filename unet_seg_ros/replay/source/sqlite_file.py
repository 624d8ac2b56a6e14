"""Reads a sqlite3 file of rosbag2 within limits, and row by row if its tables are damaged.

If the recorder was killed, the last messages may be in a log file (``-wal`` or ``-journal``). Then both files are
copied, so that sqlite can merge them without changing the bag.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from unet_seg_ros.replay.source.bag_message import Damaged, Raw, kind_of, message, no_room
from unet_seg_ros.text import last_words

LOGS = ("-wal", "-journal")
BLIND = 1000
"""After this many unreadable rows in sequence, the rest is given up."""
ROW_BYTES = 8
"""Smallest size in bytes of a row in the file. With more rows than fit, the table's pages form a loop."""
STEPS = 10**9
"""Most steps of sqlite's virtual machine for one row."""


class SqliteFile:
    """A sqlite3 file. Raises Damaged if nothing can be read, OSError if the file cannot be opened."""

    def __init__(self, path: Path) -> None:
        self.damage = ""
        self._stack = ExitStack()
        try:
            self._base = self._stack.enter_context(closing(self._opened(path)))
            self._rows_at_most = path.stat().st_size // ROW_BYTES
            self._topics = self._read_topics(path)
            self._row = self._row_name(path)
        except sqlite3.Error as error:
            self.close()
            raise Damaged(f"{path.name}: {last_words(error)}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._stack.close()

    def counts(self) -> dict[tuple[str, str], int]:
        """Numbers of messages by topic and kind; every row is counted."""
        found = Counter(topic for _, topic, _ in self._ids())
        by_kind: Counter[tuple[str, str]] = Counter()
        for topic, count in found.items():
            by_kind[self._topics[topic]] += count
        return dict(by_kind)

    def messages(self, wanted: Collection[str]) -> Iterator[Raw]:
        """The messages in order of time."""
        topics = {number for number, (name, _) in self._topics.items() if name in wanted}
        for row, topic, time_ns in self._ids() if topics else ():
            if topic not in topics:
                continue
            try:
                found = self._base.execute(f"SELECT data FROM messages WHERE {self._row} = ?", (row,)).fetchone()
                if found is None or type(found[0]) is not bytes:
                    raise Damaged("a message has a wrong type")
                yield message(*self._topics[topic], time_ns, found[0])
            except (sqlite3.Error, Damaged) as error:
                self._note(last_words(error))

    def _note(self, damage: str) -> None:
        self.damage = self.damage or damage

    def _opened(self, path: Path) -> sqlite3.Connection:
        logs = [log for ending in LOGS if _size(log := path.with_name(path.name + ending))]
        how = "?mode=ro&immutable=1"
        if logs:
            path, how = self._copied(path, logs), ""
        base = sqlite3.connect(f"{path.resolve().as_uri()}{how}", uri=True, check_same_thread=False)
        base.text_factory = lambda data: data.decode(errors="backslashreplace")
        base.execute("PRAGMA writable_schema = ON")  # else sqlite refuses a file that is shorter than its header says
        base.execute("PRAGMA trusted_schema = OFF")
        base.set_progress_handler(lambda: 1, STEPS)
        return base

    def _copied(self, path: Path, logs: list[Path]) -> Path:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        if shutil.disk_usage(folder).free < 2 * sum(_size(file) for file in (path, *logs)):
            raise no_room(path)
        for file in (path, *logs):
            shutil.copyfile(file, folder / file.name)
        return folder / path.name

    def _read_topics(self, path: Path) -> dict[int, tuple[str, str]]:
        """Name and kind by topic number; rows with other content are left out. Their messages, if there are any, are
        told."""
        for table in ("topics", "messages"):
            found = self._base.execute("SELECT type, sql FROM sqlite_master WHERE name = ?", (table,)).fetchall()
            ordinary = len(found) == 1 and found[0][0] == "table" and "virtual" not in str(found[0][1]).lower()
            if not ordinary or any(row[6] for row in self._base.execute(f"PRAGMA table_xinfo({table})")):
                raise Damaged(f"{path.name}: it has no ordinary table {table}")
        columns = {row[1] for row in self._base.execute("PRAGMA table_info(topics)")}
        encoding = "serialization_format" if "serialization_format" in columns else "'cdr'"
        topics = {}
        for number, name, kind, form in self._base.execute(f"SELECT id, name, type, {encoding} FROM topics"):
            if type(number) is int and isinstance(name, str) and isinstance(kind, str):
                topics[number] = name, kind_of(kind, str(form))
        return topics

    def _row_name(self, path: Path) -> str:
        """The name of a row's number in queries; a column may have taken the usual one."""
        columns = {row[1].lower() for row in self._base.execute("PRAGMA table_info(messages)")}
        free = [name for name in ("rowid", "_rowid_", "oid") if name not in columns]
        if not free:
            raise Damaged(f"{path.name}: its table messages has no numbers of rows")
        return free[0]

    def _ids(self) -> Iterator[tuple[int, int, int]]:
        """Row, topic and time of the messages, in order of time; if the table is damaged, in order of rows."""
        try:
            query = f"SELECT {self._row}, topic_id, timestamp FROM messages ORDER BY timestamp, {self._row}"
            found: Iterable[tuple[int, int, int]] = self._base.execute(query).fetchmany(self._rows_at_most)
        except sqlite3.Error as error:
            self._note(last_words(error))
            found = self._row_by_row()
        for row, topic, time_ns in found:
            if type(time_ns) is int and type(topic) is int and topic in self._topics:
                yield row, topic, time_ns
            else:
                self._note("a message has no topic or no time")

    def _row_by_row(self) -> Iterator[tuple[int, int, int]]:
        query = f"SELECT {self._row}, topic_id, timestamp FROM messages WHERE {self._row} > ? ORDER BY {self._row}"
        last = misses = count = 0
        while misses < BLIND:
            try:
                for row in self._base.execute(query, (last,)):
                    last, misses, count = row[0], 0, count + 1
                    if count > self._rows_at_most:
                        return
                    yield row
                return
            except sqlite3.Error:
                last, misses = last + 1, misses + 1  # that row cannot be read, but later ones may be


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
