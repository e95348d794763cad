import collections

import numpy as np
import pytest
import tensorflow as tf
from contracts.task_distribution import batches_of, check_task_distribution
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.tasks import ClassSplit, FewShot, ImageAugmentation, ImageBank

SIZES = [9, 7, 12, 8, 7, 10, 7, 9, 11, 8]
LABELS = np.random.RandomState(0).permutation(np.repeat(np.arange(len(SIZES)), SIZES))
NAMES = [f"class {i}" for i in range(len(SIZES))]
SPLIT = ClassSplit(NAMES[:4], NAMES[4:7], NAMES[7:])
SMALL = dict(
    ways=3, shots=2, queries=4, tasks_per_batch=3, evaluation_tasks=7, evaluation_tasks_per_batch=2
)
STEPS = dict(steps=5, batch_size=6)


def identity_bank():
    """Images whose first two values tell their class and number."""
    images = np.zeros([len(LABELS), 2, 2, 3], "uint8")
    images[:, 0, 0, 0] = LABELS
    images[:, 0, 1, 0] = np.arange(len(LABELS))
    return ImageBank(images, LABELS, NAMES)


def noise_bank():
    images = np.random.RandomState(0).randint(0, 256, [len(LABELS), 6, 5, 3]).astype("uint8")
    return ImageBank(images, LABELS, NAMES)


def plain(**arguments):
    return FewShot(identity_bank(), SPLIT, **{**SMALL, **arguments})


def identities(x):
    """`[..., 2]`: class, number of each image."""
    values = np.round(np.asarray(x)[..., 0] * 255).astype(int)
    return np.stack([values[..., 0, 0], values[..., 0, 1]], axis=-1)


def numbers(x):
    return identities(x)[..., 1].ravel().tolist()


def all_tasks(dataset):
    """Every task of finite batches, on its own, as arrays."""
    for batch in dataset:
        for i in range(batch.support[0].shape[0]):
            parts = [None if part is None else part.numpy()[i] for part in tf.nest.flatten(batch)]
            yield tf.nest.pack_sequence_as(batch, parts)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"evaluation_shots": 1, "augmentation": ImageAugmentation(padding=1)},
        {**STEPS, "replay": True, "evaluation_steps": 3},
        {**STEPS, "query_steps": True, "normalize": (0.5, [0.2, 0.3, 0.4])},
    ],
)
def test_meets_the_contract_of_task_distributions(arguments):
    check_task_distribution(FewShot(noise_bank(), SPLIT, **{**SMALL, **arguments}), classes=3)


def test_axes_are_those_documented():
    task = next(iter(plain(evaluation_shots=1).train))
    assert (task.support[0].shape, task.support[0].dtype) == ((3, 6, 2, 2, 3), tf.float32)
    assert (task.query[0].shape, task.query[1].dtype) == ((3, 12, 2, 2, 3), tf.int32)
    assert task.replay is None and task.task_id is None
    task = next(iter(plain(evaluation_shots=1).test))
    assert (task.support[0].shape, task.query[0].shape) == ((2, 3, 2, 2, 3), (2, 12, 2, 2, 3))
    task = next(iter(plain(**STEPS, query_steps=True, replay=True).train))
    for name, (x, y) in batches_of(task).items():
        assert (x.shape, y.shape) == ((3, 5, 6, 2, 2, 3), (3, 5, 6)), name
    assert next(iter(plain(**STEPS).train)).query[0].shape == (3, 6, 2, 2, 3)
    task = next(iter(plain(**STEPS, evaluation_steps=9).validation))
    assert (task.support[0].shape, task.query[0].shape) == ((2, 9, 6, 2, 2, 3), (2, 12, 2, 2, 3))


def test_evaluation_has_as_many_tasks_as_asked_for():
    sizes = [batch.support[0].shape[0] for batch in plain().test]
    assert sizes == [2, 2, 2, 1]
    assert sum(1 for _ in all_tasks(plain(evaluation_tasks=1).validation)) == 1


@settings(max_examples=20)
@given(
    st.integers(2, 3),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(0, 2**40),
    st.sampled_from(["train", "validation", "test"]),
)
def test_every_class_has_its_shots_and_queries_and_no_image_is_in_both(
    ways, shots, queries, seed, split
):
    tasks = plain(ways=ways, shots=shots, queries=queries, seed=seed)
    for task in all_tasks(getattr(tasks, split).take(2)):
        found = {}
        for (x, y), images in ((task.support, shots), (task.query, queries)):
            assert y.tolist() == np.repeat(range(ways), images).tolist()
            for (of, _), label in zip(identities(x).tolist(), y.tolist(), strict=True):
                assert found.setdefault(label, of) == of
        drawn = numbers(task.support[0]) + numbers(task.query[0])
        assert len(set(drawn)) == ways * (shots + queries)
        assert LABELS[drawn].tolist() == identities(task.support[0])[:, 0].tolist() + (
            identities(task.query[0])[:, 0].tolist()
        )
        assert len(set(found.values())) == ways
        assert {NAMES[of] for of in found.values()} <= set(SPLIT.parts[split])


@settings(max_examples=10)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**40))
def test_mini_batches_come_from_the_support_images_alone(shots, queries, seed):
    tasks = plain(
        shots=shots,
        queries=queries,
        seed=seed,
        steps=40,
        batch_size=5,
        replay=True,
        query_steps=True,
    )
    for task in all_tasks(tasks.train.take(1)):
        drawn = {name: set(numbers(x)) for name, (x, _) in batches_of(task).items()}
        everything = set().union(*drawn.values())
        assert len(everything) == 3 * shots
        assert collections.Counter(LABELS[list(everything)].tolist()).most_common(1)[0][1] == shots
        parts = [identities(x).tobytes() for x, _ in batches_of(task).values()]
        assert len(set(parts)) == 4
        meaning = {
            (int(of), int(label))
            for x, y in batches_of(task).values()
            for of, label in zip(identities(x)[..., 0].ravel(), y.ravel(), strict=True)
        }
        assert len(meaning) == 3
    for task in all_tasks(tasks.test.take(1)):
        learned, scored = set(numbers(task.support[0])), set(numbers(task.query[0]))
        assert len(learned) == 3 * shots and len(scored) == 3 * queries and not learned & scored
        meaning = {
            (int(of), int(label))
            for x, y in (task.support, task.query)
            for of, label in zip(identities(x)[..., 0].ravel(), y.ravel(), strict=True)
        }
        assert len(meaning) == 3


def test_training_with_steps_holds_no_image_out():
    sizes = [4, 4, 4, 8, 8, 8]
    bank = ImageBank(np.zeros([36, 2, 2, 1], "uint8"), np.repeat(range(6), sizes), list("abcdef"))
    split = ClassSplit(["a", "b"], ["c", "d"], ["e", "f"])
    arguments = dict(ways=2, shots=4, evaluation_shots=1, queries=3)
    assert FewShot(bank, split, **arguments, **STEPS).train is not None
    with pytest.raises(ValueError, match=r"train.*\(4 shots and 3 queries\): 'a \(4\)', 'b \(4\)'"):
        FewShot(bank, split, **arguments)


def test_classes_and_images_are_drawn_evenly():
    tasks = plain(ways=2, shots=1, queries=1, tasks_per_batch=500)
    batch = next(iter(tasks.train))
    for x, _ in (batch.support, batch.query):
        found = identities(x)
        # Chi-square with 11 degrees of freedom (ordered pairs of 4 classes): above 31.3 once in a
        # thousand; the images of a class of 12 likewise.
        pairs = collections.Counter(map(tuple, found[..., 0].tolist()))
        assert len(pairs) == 12
        assert sum((n - 500 / 12) ** 2 / (500 / 12) for n in pairs.values()) < 31.3
        drawn = found[..., 1][found[..., 0] == 2]
        counts = np.array(list(collections.Counter(drawn.tolist()).values()))
        assert len(counts) == 12
        assert ((counts - len(drawn) / 12) ** 2 / (len(drawn) / 12)).sum() < 31.3


def test_tasks_are_functions_of_the_seed_and_their_number_alone():
    streams = [
        [task for task in all_tasks(tasks.train_from(start).take(6 // size))]
        for tasks, size, start in [
            (plain(tasks_per_batch=3), 3, 2),
            (plain(tasks_per_batch=2), 2, 3),
            (plain(tasks_per_batch=6), 6, 1),
        ]
    ]
    for other in streams[1:]:
        for a, b in zip(streams[0], other, strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, a, b)
    tests = [list(all_tasks(plain(evaluation_tasks_per_batch=n).test)) for n in (1, 2, 7)]
    for other in tests[1:]:
        for a, b in zip(tests[0], other, strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, a, b)


def test_more_evaluation_tasks_begin_with_the_same_ones():
    few, many = (list(all_tasks(plain(evaluation_tasks=n).test)) for n in (3, 6))
    for a, b in zip(few, many[:3], strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, a, b)
    assert len({tuple(numbers(task.query[0])) for task in many}) == 6


def test_seeds_give_different_tasks():
    for split in ("train", "validation", "test"):
        drawn = {
            tuple(numbers(next(iter(getattr(plain(seed=seed), split))).query[0]))
            for seed in (0, 1, 2**32, 2**33)
        }
        assert len(drawn) == 4


def test_a_mapped_bank_gives_the_same_tasks(tmp_path):
    noise_bank().save(tmp_path / "bank")
    mapped = ImageBank.load(tmp_path / "bank", memory_map=True)
    for arguments in ({}, {**STEPS, "replay": True}):
        one = FewShot(noise_bank(), SPLIT, **{**SMALL, **arguments})
        other = FewShot(mapped, SPLIT, **{**SMALL, **arguments})
        for split in ("train", "test"):
            for a, b in zip(
                getattr(one, split).take(2), getattr(other, split).take(2), strict=True
            ):
                tf.nest.map_structure(np.testing.assert_array_equal, a, b)
        assert one.train.element_spec == other.train.element_spec


def test_images_are_those_of_the_bank():
    bank = noise_bank()
    known = {image.tobytes(): NAMES[label] for image, label in zip(bank.images, LABELS)}  # noqa: B905
    tasks = FewShot(bank, SPLIT, **SMALL)
    for split, names in tasks.describe().items():
        x = next(iter(getattr(tasks, split))).query[0].numpy()
        images = np.round(x.reshape(-1, 6, 5, 3) * 255).astype("uint8")
        assert {known[image.tobytes()] for image in images} <= set(names)
        assert x.min() >= 0 and x.max() <= 1


def test_images_are_normalized_by_channel():
    one, other = (
        next(iter(FewShot(noise_bank(), SPLIT, **SMALL, normalize=normalize).test))
        for normalize in (None, ((0.1, 0.2, 0.3), 0.5))
    )
    expected = (one.support[0].numpy() - np.array([0.1, 0.2, 0.3], "float32")) / 0.5
    np.testing.assert_allclose(other.support[0], expected, atol=1e-6)


@pytest.mark.parametrize("arguments", [{}, {**STEPS, "replay": True}])
def test_training_draws_are_augmented_each_on_its_own_and_others_are_not(arguments):
    def shifted(images, seed):
        return images + tf.random.stateless_uniform([images.shape[0], 1, 1, 1], seed, 1, 2)

    arguments = {**SMALL, **arguments}
    without = FewShot(noise_bank(), SPLIT, **arguments)
    tasks = FewShot(noise_bank(), SPLIT, **arguments, augmentation=shifted)
    before, after = next(iter(without.train)), next(iter(tasks.train))
    shifts = []
    for name, (x, y) in batches_of(after).items():
        change = (x - batches_of(before)[name][0]).numpy().reshape(-1, 6 * 5 * 3)
        np.testing.assert_allclose(change, np.repeat(change[:, :1], 90, axis=1), atol=1e-5)
        np.testing.assert_array_equal(y, batches_of(before)[name][1])
        shifts += change[:, 0].tolist()
    assert min(shifts) >= 1 and max(shifts) <= 2
    assert len(set(np.round(shifts, 5))) > 0.98 * len(shifts)
    for split in ("validation", "test"):
        for a, b in zip(getattr(without, split), getattr(tasks, split), strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, a, b)


def test_the_split_is_described():
    assert plain().describe() == {
        "train": NAMES[:4], "validation": NAMES[4:7], "test": NAMES[7:]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"ways": 1}, ValueError, "`ways`.*at least 2.*1"),
        ({"ways": 4}, ValueError, r"validation has 3 classes \('class 4', .*`ways` \(4\); lower"),
        ({"shots": 0}, ValueError, "`shots`.*at least 1"),
        ({"shots": 1.0}, TypeError, "`shots`.*1.0"),
        ({"queries": 0}, ValueError, "`queries`.*at least 1"),
        ({"shots": 4}, ValueError, r"train.*8.*4 shots and 4 queries.*'class 1 \(7\)'.*`shots`"),
        ({"evaluation_shots": 4}, ValueError, r"validation.*'class 4 \(7\)'.*`evaluation_shots`"),
        ({"evaluation_shots": 0}, ValueError, "`evaluation_shots`.*at least 1"),
        ({"tasks_per_batch": 0}, ValueError, "`tasks_per_batch`"),
        ({"evaluation_tasks": 0}, ValueError, "`evaluation_tasks`"),
        ({"evaluation_tasks_per_batch": True}, TypeError, "`evaluation_tasks_per_batch`.*True"),
        ({"steps": 3}, ValueError, "`steps` and `batch_size` go together.*3 and None"),
        ({"batch_size": 3}, ValueError, "`steps` and `batch_size` go together"),
        ({"steps": 0, "batch_size": 3}, ValueError, "`steps`.*at least 1"),
        ({"replay": True}, ValueError, r"`replay` \(True\).*give `steps`"),
        ({"query_steps": True}, ValueError, "`query_steps`.*give `steps`"),
        ({"evaluation_steps": 3}, ValueError, "`evaluation_steps`.*give `steps`"),
        ({**STEPS, "evaluation_steps": 0}, ValueError, "`evaluation_steps`.*at least 1"),
        ({"augmentation": 3}, TypeError, "`augmentation`.*3"),
        ({"normalize": 3}, ValueError, "`normalize`.*3"),
        ({"normalize": ([1, 2], 1)}, ValueError, "`normalize`.*3 channels"),
        ({"normalize": (0, 0)}, ValueError, "`normalize`.*positive"),
        ({"seed": -1}, ValueError, "`seed`.*-1"),
        ({"seed": 0.5}, ValueError, "`seed`.*0.5"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=message):
        plain(**arguments)


def test_a_bank_or_a_split_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="`bank`.*ndarray"):
        FewShot(np.zeros([3, 2, 2, 1]), SPLIT)
    with pytest.raises(TypeError, match="`split`.*dict"):
        FewShot(identity_bank(), SPLIT.parts)
    with pytest.raises(ValueError, match="`test`: 'x' not among"):
        FewShot(identity_bank(), ClassSplit(NAMES[:4], NAMES[4:7], ["x"]))


@pytest.mark.parametrize("step", [-1, 0.5, None])
def test_a_stream_starts_at_a_step(step):
    with pytest.raises(ValueError, match="`step`"):
        plain().train_from(step)
