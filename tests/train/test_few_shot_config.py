import dataclasses
import json
import typing
from pathlib import Path

import keras
import pytest

from warptf.partition import iterate_layers
from warptf.train.experiments.few_shot.config import Data, FewShotConfig, MetaLearner, Preset
from warptf.train.experiments.few_shot.learner import build_learner

META_LEARNERS = typing.get_args(MetaLearner)
DATA = typing.get_args(Data)
HERE = Path(__file__).parent
GIVEN = dict(images=HERE, splits=HERE, tfds_name="beans")


def needed(data: str) -> dict:
    """The flags that a source of data has to be given."""
    names = {
        "folder": ["images"],
        "csv": ["images", "splits"],
        "tiered": ["images", "splits"],
        "tfds": ["tfds_name"],
        "cifar-fs": ["splits"],
        "fc100": ["splits"],
    }
    return {name: GIVEN[name] for name in names.get(data, [])}


@pytest.mark.parametrize("preset", typing.get_args(Preset))
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("meta_learner", META_LEARNERS)
def test_every_preset_is_valid(preset: str, data: str, meta_learner: str) -> None:
    overrides = needed(data)
    if preset == "tiered-multi-shot" and meta_learner in ("t-net", "mt-net", "cavia"):
        overrides |= dict(learner="four-block", filters=64, inner_momentum=0.0)
    config = FewShotConfig.from_preset(preset, data, meta_learner, **overrides)
    config.validate()
    again = FewShotConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert again == config and not config.differences(again)


def test_paper_presets_are_the_published_settings() -> None:
    # Finn et al. on Omniglot, 20 ways, and the setting of Flennerhag et al. on photographs.
    characters = FewShotConfig.from_preset("paper", "omniglot", "maml")
    assert (characters.ways, characters.tasks, characters.inner_steps) == (20, 16, 5)
    assert (characters.filters, characters.inner_rate, characters.meta_steps) == (64, 0.1, 60_000)
    photographs = FewShotConfig.from_preset("paper", "csv", **needed("csv"))
    assert (photographs.ways, photographs.tasks, photographs.filters) == (5, 1, 128)
    assert (photographs.shots, photographs.evaluation_shots, photographs.queries) == (5, 1, 15)
    tiered = FewShotConfig.from_preset("tiered-multi-shot")
    assert (tiered.data, tiered.meta_learner, tiered.filters) == ("tiered", "warp-leap", None)
    assert (tiered.ways, tiered.shots, tiered.evaluation_queries) == (10, 640, 50)
    assert (tiered.inner_steps, tiered.evaluation_steps, tiered.batch_size) == (100, 640, 64)
    assert (tiered.tasks, tiered.meta_steps, tiered.inner_momentum) == (5, 2000, 0.9)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(ways=1), "--ways 1: give at least 2"),
        (dict(queries=0), "--queries 0: give at least 1"),
        (dict(batch_size=0), "--batch-size 0: give at least 1"),
        (dict(inner_rate=0.0), "--inner-rate 0.0: give a finite number above 0"),
        (dict(clip_norm=-1.0), "--clip-norm -1.0: give a finite number above 0"),
        (dict(inner_momentum=1.0), "--inner-momentum 1.0: give a number from 0"),
        (dict(patience=3, evaluate_every=0), "--patience 3: counts evaluations"),
        (dict(meta_steps=7, epoch_steps=2), "--meta-steps 7: give a multiple of --epoch-steps 2"),
        (dict(warp=None), "--warp None: --meta-learner warp-maml needs one"),
        (dict(meta_learner="maml"), "--warp conv3x3: --meta-learner maml has none; leave it out"),
        (dict(outer_momentum=0.9), "--outer-momentum 0.9: give --outer-optimizer sgd"),
        (dict(clip_norm=1.0, normalize_gradient=True), "--clip-norm 1.0: --normalize-gradient"),
        (dict(context_size=7), "--context-size 7: is for --meta-learner cavia; leave it out"),
        (dict(system="damped"), "--system damped: is for --meta-learner warp-imaml or imaml"),
        (dict(learner="resnet12"), "--filters 8: leave it out, or give None for --learner resnet"),
        (
            dict(learner="resnet12", filters=None, downsampling="stride"),
            "--downsampling stride: is for --learner four-block of other methods; leave it out",
        ),
        (dict(filters=None), "--filters None: give a number for --learner four-block"),
        (dict(image_size=20), "--image-size 20: --data glyphs has images of one size"),
        (dict(resize=False), "--no-resize: is for --data folder and csv, not glyphs"),
        (dict(fractions=(0.5, 0.2, 0.3)), "--fractions (0.5, 0.2, 0.3): classes are not cut at"),
        (dict(data="folder"), "--data folder: give --images DIR with it, a folder with a folder"),
        (dict(data="csv", images=Path("i")), "--data csv: give --splits DIR with it"),
        (dict(data="tfds"), "--data tfds: give --tfds-name NAME with it"),
        (dict(images=Path("i")), "/i: is for --data folder or csv or tiered; give"),
        (dict(batch_norm="none"), "--batch-norm none: choose one of support, transductive"),
    ],
)
def test_bad_fields_are_named(fields: dict, message: str) -> None:
    config = FewShotConfig.from_preset("smoke")
    with pytest.raises(ValueError) as error:
        dataclasses.replace(config, **fields).validate()
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("meta_learner", "fields", "message"),
    [
        ("cavia", dict(learner="resnet12"), "of its own; give --learner four-block"),
        ("t-net", dict(downsampling="stride"), "stride: is for --learner four-block of other"),
        ("none", dict(patience=2), "--patience 2: --meta-learner none has no meta-training"),
        ("mt-net", dict(inner_momentum=0.5), "--inner-momentum 0.5: --meta-learner mt-net masks"),
        ("none", dict(meta_steps=2), "--meta-steps 2: --meta-learner none has no meta-training"),
    ],
)
def test_methods_refuse_what_they_do_not_have(
    meta_learner: str, fields: dict, message: str
) -> None:
    with pytest.raises(ValueError) as error:
        FewShotConfig.from_preset("smoke", "glyphs", meta_learner, **fields).validate()
    assert message in str(error.value)


def test_bad_fractions_and_missing_folders() -> None:
    for fields, message in (
        (dict(fractions=(1.0, 0.0, 1.0)), "--fractions (1.0, 0.0, 1.0): give three positive"),
        (dict(images=Path("/nowhere")), "--images /nowhere: is not there; give the folder"),
        (dict(splits=Path("/nowhere.json")), "--splits /nowhere.json: is not there"),
    ):
        config = FewShotConfig.from_preset("smoke", "folder", **(dict(images=HERE) | fields))
        with pytest.raises((ValueError, FileNotFoundError)) as error:
            config.validate()
        assert message in str(error.value)


def test_outer_steps_of_a_method_come_with_its_optimizer() -> None:
    reptile = FewShotConfig.from_preset("laptop", "glyphs", "reptile")
    assert (reptile.outer_optimizer, reptile.initialization_rate) == ("sgd", 1.0)
    # A rate of 1 is not for Adam.
    other = FewShotConfig.from_preset("laptop", "glyphs", "reptile", outer_optimizer="adam")
    assert other.initialization_rate < 0.1
    FewShotConfig.from_preset("smoke", "glyphs", "fo-b-maml", outer_optimizer="adam").validate()


def test_paths_are_absolute_and_may_move(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    config = FewShotConfig.from_preset("smoke", "folder", images=Path("photographs"))
    assert config.images == tmp_path / "photographs"
    assert not config.differences(dataclasses.replace(config, images=Path("/elsewhere")))


@pytest.mark.parametrize("learner", ["four-block", "six-block", "resnet12"])
def test_batch_norm_gathers_as_the_protocol_wants(learner: str) -> None:
    def momenta(**fields: object) -> set[float]:
        config = FewShotConfig.from_preset("smoke", "glyphs", learner=learner, **fields)
        model = build_learner(config, (32, 32, 1)).model
        norms = [layer for _, layer in iterate_layers(model) if hasattr(layer, "moving_mean")]
        return {norm.momentum for norm in norms}

    assert momenta(warp="conv-bn") == {0.0}
    assert momenta(warp="conv-bn", batch_size=4) == {0.9}


def outer(**fields: object) -> keras.optimizers.Optimizer:
    config = FewShotConfig.from_preset("smoke", "glyphs", "maml", filters=2, **fields)
    return build_learner(config, (16, 16, 1)).initialization_optimizer


def test_outer_steps_are_clipped_normalised_and_scheduled_by_keras() -> None:
    assert outer(clip_norm=0.5).global_clipnorm == 0.5
    variable = keras.Variable([1.0, 1.0])
    descent = outer(normalize_gradient=True, outer_optimizer="sgd", initialization_rate=0.5)
    descent = keras.optimizers.deserialize(keras.optimizers.serialize(descent))
    # A gradient of norm 5 is divided by it: (3, 4) / 5, times the rate.
    descent.apply([keras.ops.array([3.0, 4.0])], [variable])
    assert variable.numpy() == pytest.approx([0.7, 0.6], rel=1e-5)
    # Adam's first step is its rate, whatever the scale of the gradient.
    adam = outer(normalize_gradient=True, initialization_rate=0.5)
    variable = keras.Variable([1.0, 1.0])
    keras.optimizers.deserialize(keras.optimizers.serialize(adam)).apply(
        [keras.ops.array([300.0, -0.4])], [variable]
    )
    assert variable.numpy() == pytest.approx([0.5, 1.5], rel=1e-3)
    schedule = outer(schedule="cosine", meta_steps=4, initialization_rate=0.5)._learning_rate
    # Half a cosine: from the rate by way of its half to 0.
    assert [float(schedule(step)) for step in (0, 2, 4)] == pytest.approx([0.5, 0.25, 0.0])
