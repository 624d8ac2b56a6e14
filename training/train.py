"""Train a UNet: ``python -m training.train CONFIG.yaml RUN_FOLDER [FIELD=VALUE …]``.

The same command resumes a run that stopped. On several GPUs: ``torchrun --nproc-per-node 4 -m training.train …``.
"""

from __future__ import annotations

import argparse
import errno
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, distributed
from torch.utils.data import DataLoader
from tqdm import tqdm

from training import config as configuration
from training.config import TrainConfig, ValidationConfig
from training.interruption import end_in_one_line
from training.optimise.distributed import process_group, rank, same_everywhere, world
from training.optimise.optimizer import learning_rate
from training.run.checkpoint import DamagedCheckpoint, checkpoints, clear_unfinished
from training.run.config_copy import check_copy, write_copy
from training.run.logbook import Logbook, table
from training.run.trainer import NotFinite, Trainer
from training.run.validation import check_validation, validate
from unet_seg_ros.data.labels import GROUPINGS
from unet_seg_ros.files import locked
from unet_seg_ros.model.bundle import BundleError
from unet_seg_ros.text import never_fail_to_print

LOG_EVERY = 20
MAX_WORKERS = 64
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
Part = tuple[Tensor, Tensor]


def steps(trainer: Trainer, workers: int) -> Iterator[list[Part]]:
    """The parts of each step, from the trainer's step to the last one."""
    cuda = trainer.device.type == "cuda"
    loader = DataLoader(
        trainer.samples,
        batch_sampler=trainer.numbers(),
        num_workers=workers,
        pin_memory=cuda,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # the loader draws unused seeds, which must not come from the run's generator
    )
    parts = iter(loader)
    while step := list(islice(parts, trainer.config.accumulate)):
        yield step


class Meter:
    """Means over the steps since the last row of the log."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.clear()

    def clear(self) -> None:
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.begun = time.monotonic()

    def add(self, loss: float, norm: float) -> None:
        self.losses.append(loss)
        self.norms.append(norm)

    def values(self) -> dict[str, float]:
        return {
            "train/loss": statistics.fmean(self.losses),
            "train/gradient_norm": statistics.fmean(self.norms),
            "train/images_per_second": len(self.losses) * self.batch / (time.monotonic() - self.begun),
        }


def columns(config: TrainConfig) -> list[str]:
    """The columns of the log."""
    names = ["train/loss", "train/gradient_norm", "train/images_per_second", "train/learning_rate"]
    if config.validation:
        names += ["val/miou", "val/pixel_accuracy"]
        names += [f"val/iou/{name}" for name in GROUPINGS[config.validation.grouping].names]
    return names


def measured(trainer: Trainer, validation: ValidationConfig, logbook: Logbook | None) -> dict[str, float]:
    """Validate the EMA weights in the first process while the others wait, and keep them if they are the best."""
    values: dict[str, float] = {}
    if logbook:
        matrix, pictures = validate(trainer.averaged(), validation, trainer.device)
        values = {"val/miou": matrix.mean_iou(), "val/pixel_accuracy": matrix.pixel_accuracy()}
        values |= dict(zip((f"val/iou/{name}" for name in matrix.grouping.names), matrix.iou(), strict=True))
        logbook.pictures(trainer.step, pictures)
        trainer.keep_best(matrix.mean_iou())
        tqdm.write(f"step {trainer.step}: validation mIoU {100 * matrix.mean_iou():.1f}")
        if trainer.step == trainer.config.steps:
            tqdm.write(table(matrix))
    if world() > 1:
        distributed.barrier()
    return values


def run(trainer: Trainer, workers: int) -> None:
    """Train from the trainer's step to the last one, with checkpoints, validation and logs."""
    config, validation, meter = trainer.config, trainer.config.validation, Meter(trainer.config.batch)
    logbook = Logbook(trainer.folder, trainer.step, columns(config)) if rank() == 0 else None
    with (
        logbook or nullcontext(),
        tqdm(total=config.steps, initial=trainer.step, unit="step", dynamic_ncols=True, disable=not logbook) as bar,
    ):
        for parts in steps(trainer, workers):
            meter.add(*trainer.train_step(parts))
            last = trainer.step == config.steps
            bar.update()
            due = trainer.step % config.save_every == 0 or last
            if due:
                trainer.save()  # first, so that a later error loses nothing
            values: dict[str, float] = {}
            if trainer.step % LOG_EVERY == 0 or last:
                values = {**meter.values(), "train/learning_rate": learning_rate(config, trainer.step - 1)}
                meter.clear()
                shown = {"loss": values["train/loss"], "images/s": values["train/images_per_second"]}
                bar.set_postfix(**shown, **({"best mIoU": trainer.best} if trainer.best > 0 else {}))
            if validation and (trainer.step % validation.every == 0 or last):
                best = trainer.best
                values |= measured(trainer, validation, logbook)
                if due and trainer.best != best:
                    trainer.save()
                meter.clear()
            if logbook and values:
                logbook.write(trainer.step, values)


@contextmanager
def run_folder(folder: Path) -> Iterator[None]:
    """Make the folder of a run, which no other command may use meanwhile. Raises ValueError or OSError."""
    try:
        os.fspath(folder).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{folder}: TensorBoard cannot write into a folder whose path is not UTF-8") from error
    folder.mkdir(parents=True, exist_ok=True)
    with nullcontext() if rank() else locked(folder / ".lock", wait=False):  # the first process holds it for all
        yield


def no_memory(error: BaseException) -> str:
    """Advice for an error that means that there is too little memory; empty for other errors."""
    text = str(error)
    if "shared memory" in text or "DataLoader worker" in text or "Bus error" in text:
        return "too little shared memory; enlarge /dev/shm (docker run --shm-size=1g) or use --workers 0"
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in text:
        return "out of memory; use a smaller batch or crop, or a larger accumulate"
    return ""


def _resume(trainer: Trainer) -> None:
    """Resume from the last undamaged checkpoint. Raises BundleError if all are damaged, or if one is of another run."""
    damaged: list[str] = []
    for path in reversed(checkpoints(trainer.folder)):
        try:
            trainer.resume(path)
        except DamagedCheckpoint as error:
            damaged.append(str(error))
            print(f"{error}; trying the checkpoint before it", file=sys.stderr)
            continue
        return
    if damaged:
        raise BundleError(f"{damaged[-1]}; all checkpoints are damaged; remove them to start again")


def train(path: Path, overrides: Sequence[str], folder: Path, workers: int) -> None:
    """Begin or resume the run of a configuration file. Raises ValueError, OSError, NotFinite."""
    with process_group() as device:
        if not 0 <= workers <= MAX_WORKERS:
            raise ValueError(f"--workers must be 0 to {MAX_WORKERS}, not {workers}")
        config = configuration.load(path, overrides)
        check_copy(folder, config)
        if config.validation and rank() == 0:
            check_validation(config.validation)
        with run_folder(folder):
            trainer = Trainer(config, folder, device)
            _resume(trainer)
            if not same_everywhere(trainer.step):
                raise ValueError(f"{folder}: the processes find different checkpoints; all must use the same folder")
            if rank() == 0:
                clear_unfinished(folder)
                write_copy(folder, config)
            run(trainer, workers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="YAML file, see training/configs")
    parser.add_argument("folder", type=Path, help="run folder: checkpoints, metrics, curves")
    parser.add_argument("overrides", nargs="*", metavar="FIELD=VALUE", help="such as steps=100 or data.0.root=/data")
    parser.add_argument("--workers", type=int, default=1, help="loader processes for each training process")
    never_fail_to_print()
    arguments = parser.parse_intermixed_args()  # overrides may come after options
    folder: Path = arguments.folder
    end_in_one_line(f"; the checkpoints in {folder} are complete; run the same command again to resume")
    # Denormal numbers are very slow on a CPU. Threads inherit this setting when they start.
    torch.set_flush_denormal(True)
    try:
        train(arguments.config, arguments.overrides, folder, arguments.workers)
    except (OSError, ValueError, NotFinite) as error:
        lines = str(error).strip().splitlines() or [repr(error)]
        no_room = isinstance(error, OSError) and error.errno in NO_ROOM
        advice = f"; the checkpoints in {folder} are complete; free some disk space and run the same command again"
        # An error in a loader process has many lines; the last one says what is wrong.
        raise SystemExit(lines[-1] + (advice if no_room else "")) from error
    except (MemoryError, RuntimeError) as error:
        if reason := no_memory(error):
            raise SystemExit(
                f"{reason}; the checkpoints in {folder} are complete; run the same command again"
            ) from error
        raise


if __name__ == "__main__":
    main()
