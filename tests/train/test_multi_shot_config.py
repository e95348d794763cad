import dataclasses
import json
import typing
from pathlib import Path

import pytest

from warptf.models import WARP_ARCHITECTURES
from warptf.train.engine.run_options import Preset
from warptf.train.experiments.multi_shot.config import MetaLearner, MultiShotConfig, Warp

PRESETS = typing.get_args(Preset)
META_LEARNERS = typing.get_args(MetaLearner)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("data", ["glyphs", "omniglot"])
@pytest.mark.parametrize("meta_learner", META_LEARNERS)
def test_every_preset_is_valid(preset: str, data: str, meta_learner: str) -> None:
    config = MultiShotConfig.from_preset(preset, data, meta_learner)
    config.validate()
    assert (config.preset, config.data, config.meta_learner) == (preset, data, meta_learner)


def test_paper_preset_is_the_published_setting() -> None:
    config = MultiShotConfig.from_preset("paper", "omniglot")
    published = dict(
        filters=64, tasks=20, inner_steps=100, batch_size=20, meta_steps=1000, ways=20,
        train_alphabets=25, evaluation_steps=100, inner_rate=0.1, meta_rate=0.1,
        initialization_rate=0.1, algorithm="offline", second_order="exact", warp="conv3x3",
    )  # fmt: skip
    assert {name: getattr(config, name) for name in published} == published


def test_baselines_have_their_published_rates() -> None:
    maml = MultiShotConfig.from_preset("paper", "omniglot", "maml")
    fomaml = MultiShotConfig.from_preset("paper", "omniglot", "fomaml")
    scratch = MultiShotConfig.from_preset("paper", "omniglot", "none")
    assert (maml.initialization_rate, maml.inner_steps, maml.evaluation_steps) == (0.5, 5, 100)
    assert (fomaml.initialization_rate, fomaml.inner_steps) == (0.5, 100)
    assert (scratch.batch_size, scratch.inner_rate, scratch.meta_steps) == (200, 1.0, 0)


def test_online_rate_is_the_published_one_on_averages() -> None:
    # 0.001 on a sum over 20 tasks and 100 steps.
    online = MultiShotConfig.from_preset("paper", "omniglot", algorithm="online")
    assert online.meta_rate == pytest.approx(0.001 * 20 * 100)
    given = MultiShotConfig.from_preset("paper", algorithm="online", meta_rate=0.5)
    assert given.meta_rate == 0.5


def test_warps_are_those_of_the_library() -> None:
    assert set(typing.get_args(Warp)) == set(WARP_ARCHITECTURES) - {"none"}


@pytest.mark.parametrize(
    ("meta_learner", "changes", "message"),
    [
        ("warp-leap", dict(filters=0), "--filters 0: give at least 1"),
        ("warp-leap", dict(evaluation_steps=1), "--evaluation-steps 1: give at least 2"),
        ("warp-leap", dict(inner_rate=-0.1), "--inner-rate -0.1: give a finite number"),
        (
            "warp-leap",
            dict(meta_rate=float("nan")),
            "--meta-rate nan: give a finite number",
        ),
        (
            "warp-leap",
            dict(meta_rate=float("inf")),
            "--meta-rate inf: give a finite number",
        ),
        ("warp-leap", dict(meta_steps=7), "--meta-steps 7: give a multiple of --epoch-steps 4"),
        ("warp-leap", dict(data="mnist"), "--data mnist: choose one of glyphs, omniglot"),
        ("warp-leap", dict(preset="huge"), "--preset huge: choose one of smoke, laptop, paper"),
        ("warp-leap", dict(seed=-1), "--seed -1: give an integer"),
        ("warp-leap", dict(warp=None), "--warp None: --meta-learner warp-leap needs one"),
        ("warp-leap", dict(resume=True), "--resume: give the run to continue with --run-dir"),
        ("leap", dict(warp="conv3x3"), "--warp conv3x3: --meta-learner leap has no warp layers"),
        ("maml", dict(algorithm="offline"), "--algorithm offline: --meta-learner maml has no warp"),
        ("reptile", dict(learned_rate=True), "--learned-rate: --meta-learner reptile"),
        (
            "warp-leap",
            dict(algorithm="online", replay_epochs=2),
            "--replay-epochs 2: only --algorithm offline replays",
        ),
        ("warp-leap", dict(replay_batch_size=3), "--replay-batch-size 3: give a divisor of"),
        ("none", dict(meta_steps=4), "--meta-steps 4: --meta-learner none has no meta-training"),
    ],
)
def test_bad_field_is_named_with_value_and_remedy(
    meta_learner: str, changes: dict, message: str
) -> None:
    valid = MultiShotConfig.from_preset("laptop", "omniglot", meta_learner)
    config = dataclasses.replace(valid, **changes)
    with pytest.raises(ValueError) as error:
        config.validate()
    assert message in str(error.value)


def test_offline_tasks_must_divide_by_the_replicas() -> None:
    config = MultiShotConfig.from_preset("laptop")
    with pytest.raises(ValueError, match="--tasks 5: give a multiple of the 2 devices"):
        config.check_replicas(2)
    config.check_replicas(5)
    MultiShotConfig.from_preset("laptop", algorithm="online").check_replicas(2)


def test_json_round_trip_keeps_every_field() -> None:
    config = MultiShotConfig.from_preset("smoke", seed=3, run_dir=Path("a/b"), data_dir=Path("c"))
    assert MultiShotConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_json_of_another_version_is_refused() -> None:
    values = MultiShotConfig().to_json()
    del values["filters"]
    with pytest.raises(ValueError, match="unknown .'colour'., missing .'filters'."):
        MultiShotConfig.from_json({**values, "colour": "red"})


def test_differences_name_the_fields_that_decide_figures() -> None:
    first = MultiShotConfig(filters=8, debug=True)
    second = dataclasses.replace(first, filters=16, debug=False)
    assert second.differences(first) == ["--filters was 8, now 16"]
