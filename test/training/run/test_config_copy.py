"""The copy of the configuration in a run's folder: a change by hand is never lost without a word."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from training.config import TrainConfig, ValidationConfig, load
from training.run.config_copy import COPY, DIGEST, check_copy, differences, plain, write_copy

MakeRun = Callable[..., TrainConfig]


def test_the_copy_equals_the_configuration(tiny_run: MakeRun, tmp_path: Path) -> None:
    config = tiny_run(validation=ValidationConfig("x"), restarts=(), half_steps=0)
    check_copy(tmp_path, config)  # a new folder
    write_copy(tmp_path, config)
    assert load(tmp_path / COPY) == config
    check_copy(tmp_path, dataclasses.replace(config, steps=9))  # the command changed, not the file


@pytest.mark.parametrize("anew", [True, False])
def test_a_change_by_hand_is_refused_by_name(tiny_run: MakeRun, tmp_path: Path, anew: bool) -> None:
    config = tiny_run()
    write_copy(tmp_path, config)
    copy = tmp_path / COPY
    if anew:
        values = yaml.safe_load(copy.read_text())
        values["data"][0]["weight"], values["clip"] = 2.5, 1.0
        copy.write_text(yaml.safe_dump(values))
    else:
        copy.write_text(copy.read_text().replace("weight: 1.0", "weight: 2.5").replace("clip: 5.0", "clip: 1.0"))
    with pytest.raises(ValueError, match=rf"^{copy}: it was changed by hand .* in clip, data\.0\.weight\. It is only"):
        check_copy(tmp_path, config)
    source = dataclasses.replace(config.data[0], weight=2.5)
    check_copy(tmp_path, dataclasses.replace(config, data=(source,), clip=1.0))  # the command says the same
    copy.unlink()
    check_copy(tmp_path, config)


def test_another_layout_of_the_same_values_is_not_a_change(tiny_run: MakeRun, tmp_path: Path) -> None:
    write_copy(tmp_path, tiny_run())
    copy = tmp_path / COPY
    copy.write_text("# mine\n" + yaml.safe_dump(yaml.safe_load(copy.read_text()), sort_keys=True))
    check_copy(tmp_path, tiny_run())
    copy.write_text("steps: [")
    with pytest.raises(ValueError, match=r"config\.yaml: not YAML"):
        check_copy(tmp_path, tiny_run())
    (tmp_path / DIGEST).unlink()  # as in the folder of an earlier version
    check_copy(tmp_path, tiny_run())


def test_differences_are_named_as_overrides_are(tiny_run: MakeRun) -> None:
    one = plain(tiny_run())
    source = tiny_run().data[0]
    for other, names in (
        (tiny_run(), []),
        (tiny_run(crop=(32, 32), steps=7), ["crop", "steps"]),
        (tiny_run(validation=ValidationConfig("x")), ["validation"]),
        (tiny_run(data=(source, dataclasses.replace(source, name="b"))), ["data"]),
        (tiny_run(data=(dataclasses.replace(source, augment=None, leave_out=("a",)),)), ["data.0.augment"]),
    ):
        found = differences(one, plain(other))
        assert found == ([*names, "data.0.leave_out"] if names == ["data.0.augment"] else names)
        assert sorted(found) == sorted(differences(plain(other), one))
