import collections

import numpy as np
import pytest
import tensorflow as tf
from contracts.task_distribution import batches_of, check_task_distribution
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.tasks import AffineDistortion, CharacterBank, MultiShot

SIZES, DRAWINGS = [3, 5, 2, 4, 3, 6, 4, 3, 5], 6
ALPHABETS = np.repeat(np.arange(len(SIZES)), SIZES)
NAMES = [f"alphabet {i}" for i in range(len(SIZES))]
SMALL = dict(
    ways=3,
    train_alphabets=4,
    test_alphabets=2,
    train_drawings=4,
    tasks_per_batch=3,
    steps=5,
    batch_size=7,
    evaluation_tasks_per_batch=1,
)


def identity_bank():
    """Drawings whose first three pixels tell their alphabet, character and number."""
    images = np.zeros([len(ALPHABETS), DRAWINGS, 2, 2], "uint8")
    images[..., 0, 0] = ALPHABETS[:, None]
    images[..., 0, 1] = np.arange(len(ALPHABETS))[:, None]
    images[..., 1, 0] = np.arange(DRAWINGS)
    return CharacterBank(images, ALPHABETS, NAMES)


def noise_bank(side=8):
    images = np.random.RandomState(0).randint(0, 256, [len(ALPHABETS), DRAWINGS, side, side])
    return CharacterBank(images.astype("uint8"), ALPHABETS, NAMES)


def plain(**arguments):
    return MultiShot(identity_bank(), distortion=None, **{**SMALL, **arguments})


def identities(x):
    """`[..., 3]`: alphabet, character, number of each drawing."""
    pixels = np.round(np.asarray(x)[..., 0] * 255).astype(int)
    return np.stack([pixels[..., 0, 0], pixels[..., 0, 1], pixels[..., 1, 0]], axis=-1)


def seen(x):
    return set(map(tuple, identities(x).reshape(-1, 3).tolist()))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"query_steps": True, "replay": False},
        {"distortion": None, "evaluation_steps": 2, "evaluation_batch_size": 3},
        {"train_alphabets": 1, "tasks_per_batch": 5, "evaluation_tasks_per_batch": 4},
    ],
)
def test_meets_the_contract_of_task_distributions(arguments):
    check_task_distribution(MultiShot(noise_bank(), **{**SMALL, **arguments}), classes=3)


def test_axes_are_those_documented():
    tasks = plain(query_steps=True, evaluation_steps=9, evaluation_batch_size=2)
    task = next(iter(tasks.train))
    for name, (x, y) in batches_of(task).items():
        assert (x.shape, x.dtype) == ((3, 5, 7, 2, 2, 1), tf.float32), name
        assert (y.shape, y.dtype) == ((3, 5, 7), tf.int32), name
    assert next(iter(plain().train)).query[0].shape == (3, 7, 2, 2, 1)
    assert next(iter(plain(replay=False).train)).replay is None
    task = next(iter(tasks.test))
    assert task.support[0].shape == (1, 9, 2, 2, 2, 1)
    assert (task.query[0].shape, task.query[1].shape) == ((1, 6, 2, 2, 1), (1, 6))
    assert task.replay is None and task.task_id.numpy().tolist() == [0]


@pytest.mark.parametrize(("ways", "validation"), [(2, 4), (3, 3), (4, 0)])
def test_splits_are_disjoint_and_hold_every_alphabet_that_is_large_enough(ways, validation):
    splits = plain(ways=ways, train_alphabets=3).describe()
    names = [name for split in splits.values() for name in split]
    assert sorted(names) == [NAMES[i] for i, size in enumerate(SIZES) if size >= ways]
    lengths = {split: len(names) for split, names in splits.items()}
    assert lengths == {"train": 3, "validation": validation, "test": 2}


def test_the_test_alphabets_depend_on_the_seed_alone_and_training_sets_are_nested():
    by_size = [plain(train_alphabets=n).describe() for n in (1, 3, 5)]
    assert by_size[0]["test"] == by_size[1]["test"] == by_size[2]["test"]
    assert by_size[2]["train"][:3] == by_size[1]["train"]
    assert by_size[1]["train"][:1] == by_size[0]["train"]
    held_out = {tuple(sorted(plain(seed=seed).describe()["test"])) for seed in range(40)}
    assert len(held_out) > 10
    assert {name for names in held_out for name in names} == set(NAMES) - {NAMES[2]}


def test_no_split_sees_a_drawing_of_another():
    tasks = plain()
    alphabets = {
        "train": {a for t in tasks.train.take(40) for x, _ in batches_of(t).values()
                  for a, _, _ in seen(x)},
        "validation": {a for t in tasks.validation for x, _ in batches_of(t).values()
                       for a, _, _ in seen(x)},
        "test": {a for t in tasks.test for x, _ in batches_of(t).values() for a, _, _ in seen(x)},
    }  # fmt: skip
    for split, names in tasks.describe().items():
        assert {NAMES[a] for a in alphabets[split]} == set(names)


@pytest.mark.parametrize("query_steps", [False, True])
def test_training_never_sees_a_held_out_drawing(query_steps):
    tasks = plain(query_steps=query_steps, steps=20, train_alphabets=2)
    drawings = collections.defaultdict(set)
    for task in tasks.train.take(30):
        for name, (x, _) in batches_of(task).items():
            drawings[name] |= seen(x)
    expected = 2 * SMALL["ways"] * SMALL["train_drawings"]
    assert {name: len(found) for name, found in drawings.items()} == dict.fromkeys(
        ["support", "query", "replay inner", "replay meta"], expected
    )
    assert len(set().union(*drawings.values())) == expected


@pytest.mark.parametrize("split", ["validation", "test", "validation_undistorted"])
def test_evaluation_scores_on_all_of_the_held_out_drawings_and_on_them_alone(split):
    tasks = plain(evaluation_steps=40)
    for task in getattr(tasks, split):
        learned, scored = seen(task.support[0]), seen(task.query[0])
        assert not learned & scored
        characters = {character for _, character, _ in learned}
        assert len(learned) == 3 * 4 and len(scored) == 3 * 2 and len(characters) == 3
        everything = {(a, c, d) for a, c, _ in learned for d in range(DRAWINGS)}
        assert learned | scored == everything


def test_a_label_stands_for_one_character_in_every_batch():
    tasks = plain()
    meaning = collections.defaultdict(set)
    for task in tasks.train.take(20):
        for x, y in batches_of(task).values():
            found = identities(x)
            for (alphabet, character, _), label in zip(
                found.reshape(-1, 3).tolist(), y.numpy().ravel().tolist(), strict=True
            ):
                meaning[alphabet, label].add(character)
    assert all(len(characters) == 1 for characters in meaning.values())
    assert len(set().union(*meaning.values())) == len(meaning) == 4 * 3
    for task in tasks.test:
        (x, y), (query_x, query_y) = task.support, task.query
        pairs = {
            (int(c), int(label))
            for images, labels in ((x, y), (query_x, query_y))
            for c, label in zip(
                identities(images)[..., 1].ravel(), labels.numpy().ravel(), strict=True
            )
        }
        assert len(pairs) == 3
        assert query_y.numpy().tolist() == [[0, 0, 1, 1, 2, 2]]


def test_task_id_is_the_index_of_the_training_alphabet():
    tasks = plain()
    names = tasks.describe()["train"]
    for task in tasks.train.take(5):
        for name, (x, _) in batches_of(task).items():
            alphabets = identities(x)[..., 0].reshape(len(task.task_id), -1)
            for i, alphabet in zip(task.task_id.numpy(), alphabets, strict=True):
                assert {NAMES[a] for a in alphabet} == {names[i]}, name


def test_characters_and_cuts_differ_by_seed():
    queries = {frozenset(seen(next(iter(plain(seed=seed).test)).query[0])) for seed in range(12)}
    assert len(queries) == 12
    numbers = [
        tuple(sorted(d for _, c, d in query if c == character))
        for query in queries
        for character in {c for _, c, _ in query}
    ]
    assert len(set(numbers)) > 5


def test_mini_batches_are_random_and_not_balanced():
    tasks = plain(train_alphabets=1, tasks_per_batch=1, steps=500, batch_size=6)
    task = next(iter(tasks.train))
    for name, (_, y) in batches_of(task).items():
        counts = np.stack([(y.numpy() == label).sum(-1) for label in range(3)], axis=-1)
        if name == "query":
            continue
        # Multinomial with 6 draws of 3 classes: mean 2, variance 4/3, balanced 12 % of the time.
        np.testing.assert_allclose(counts.mean(), 2)
        assert abs(counts.var() - 4 / 3) < 0.15, name
        assert abs((counts == 2).all(-1).mean() - 90 / 729) < 0.05, name


def test_drawings_are_drawn_evenly():
    tasks = plain(train_alphabets=1, tasks_per_batch=1, steps=1000, batch_size=6, replay=False)
    task = next(iter(tasks.train))
    counts = collections.Counter(map(tuple, identities(task.support[0]).reshape(-1, 3).tolist()))
    expected = 6000 / 12
    # Chi-square with 11 degrees of freedom: above 31.3 once in a thousand.
    assert sum((n - expected) ** 2 / expected for n in counts.values()) < 31.3
    assert len(counts) == 12


def test_every_part_of_a_task_is_drawn_afresh():
    task = next(iter(plain(query_steps=True, train_alphabets=1).train))
    drawn = [identities(x)[i] for x, _ in batches_of(task).values() for i in range(3)]
    drawn += [step for part in drawn[:1] for step in part]
    flat = {part.tobytes() for part in drawn}
    assert len(flat) == len(drawn)


def test_restarting_at_a_step_equals_skipping_to_it():
    tasks = MultiShot(noise_bank(), **SMALL)
    for skipped, restarted in zip(
        tasks.train.skip(7).take(2), tasks.train_from(7).take(2), strict=True
    ):
        tf.nest.map_structure(np.testing.assert_array_equal, skipped, restarted)


def test_seeds_give_different_streams():
    one, other = (next(iter(MultiShot(noise_bank(), **SMALL, seed=s).train)) for s in (0, 1))
    assert np.any(one.support[0] != other.support[0])


@settings(max_examples=15)
@given(st.integers(1, 6), st.integers(1, 13), st.integers(0, 10**9), st.integers(0, 2**40))
def test_alphabets_repeat_only_as_often_as_they_must(alphabets, per_batch, step, seed):
    tasks = plain(
        train_alphabets=alphabets,
        tasks_per_batch=per_batch,
        seed=seed,
        steps=1,
        batch_size=1,
        replay=False,
    )
    (task,) = tasks.train_from(step).take(1)
    counts = np.bincount(task.task_id, minlength=alphabets)
    assert len(counts) == alphabets
    assert counts.max() - counts.min() <= 1


def test_every_alphabet_gets_its_turn():
    ids = [t.task_id.numpy() for t in plain(tasks_per_batch=1, steps=1).train.take(200)]
    counts = np.bincount(np.concatenate(ids), minlength=4)
    # Chi-square with 3 degrees of freedom: above 16.3 once in a thousand.
    assert ((counts - 50) ** 2 / 50).sum() < 16.3


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluation_tasks_do_not_depend_on_their_batches(split):
    by_size = []
    for size in (1, 2, 5):
        tasks = MultiShot(noise_bank(), **{**SMALL, "evaluation_tasks_per_batch": size})
        parts = [tf.nest.flatten(t[:2]) for t in getattr(tasks, split)]
        by_size.append([np.concatenate(part) for part in zip(*parts, strict=True)])
    for other in by_size[1:]:
        for a, b in zip(by_size[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_undistorted_query_is_the_bank_itself(split):
    tasks = MultiShot(noise_bank(), **SMALL)
    distorted, plainly = getattr(tasks, split), getattr(tasks, f"{split}_undistorted")
    bank = {image.tobytes() for image in noise_bank().images.reshape(-1, 8, 8)}
    for one, other in zip(distorted, plainly, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one.support, other.support)
        np.testing.assert_array_equal(one.query[1], other.query[1])
        images = np.round(other.query[0].numpy()[0, ..., 0] * 255).astype("uint8")
        assert all(image.tobytes() in bank for image in images)
        assert np.all(np.any(one.query[0] != other.query[0], axis=(2, 3, 4)))


def test_every_draw_is_distorted_on_its_own():
    images = np.random.RandomState(1).randint(0, 256, [9, 2, 8, 8]).astype("uint8")
    bank = CharacterBank(images, np.repeat([0, 1, 2], 3), ["a", "b", "c"])
    tasks = MultiShot(bank, **{**SMALL, "train_alphabets": 1, "test_alphabets": 1,
                               "train_drawings": 1})  # fmt: skip
    task = next(iter(tasks.train))
    drawn = np.concatenate([x.numpy().reshape(-1, 64) for x, _ in batches_of(task).values()])
    assert len(np.unique(drawn, axis=0)) == len(drawn)
    assert drawn.min() == 0 and 0.9 < drawn.max() <= 1


def test_the_distortion_may_be_chosen():
    ranges = AffineDistortion(scale=(1, 1), rotation=0, shift=0)
    one = next(iter(MultiShot(noise_bank(), **SMALL, distortion=ranges).train))
    other = next(iter(MultiShot(noise_bank(), **SMALL, distortion=None).train))
    np.testing.assert_allclose(one.support[0], other.support[0], atol=1e-5)


def test_batches_are_shared_out_among_replicas_task_by_task():
    devices = [tf.distribute.InputContext(2, i, 2) for i in range(2)]
    tasks = plain(tasks_per_batch=4)
    shares = [next(iter(tasks.train.unbatch().shard(2, d.input_pipeline_id).batch(2)))
              for d in devices]  # fmt: skip
    whole = next(iter(tasks.train))
    for i, share in enumerate(shares):
        np.testing.assert_array_equal(share.support[0], whole.support[0][i::2])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"ways": 1}, ValueError, "`ways`.*at least 2.*1"),
        ({"ways": 7}, ValueError, r"`ways` \(7\).*`bank` has 0 of its 9"),
        ({"ways": 2.0}, TypeError, "`ways`.*integer.*2.0"),
        ({"train_alphabets": 0}, ValueError, "`train_alphabets`.*at least 1.*0"),
        ({"train_alphabets": 7}, ValueError, r"`train_alphabets` \(7\).*`test_alphabets` \(2\)"),
        ({"train_drawings": 6}, ValueError, "`train_drawings`.*6.*received 6"),
        ({"train_drawings": 0}, ValueError, "`train_drawings`.*at least 1"),
        ({"tasks_per_batch": 0}, ValueError, "`tasks_per_batch`.*at least 1"),
        ({"steps": -1}, ValueError, "`steps`.*-1"),
        ({"batch_size": True}, TypeError, "`batch_size`.*True"),
        ({"evaluation_steps": 0}, ValueError, "`evaluation_steps`.*0"),
        ({"seed": -1}, ValueError, "`seed`.*-1"),
        ({"seed": 0.5}, ValueError, "`seed`.*0.5"),
        ({"distortion": 3}, TypeError, "`distortion`.*3"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=message):
        MultiShot(identity_bank(), **{**SMALL, **arguments})


def test_a_bank_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="`bank`.*ndarray"):
        MultiShot(np.zeros([3, 20, 28, 28]))


def test_a_split_without_alphabets_says_what_to_lower():
    with pytest.raises(ValueError, match=r"validation.*`train_alphabets` \(now 6\)"):
        plain(train_alphabets=6).validation  # noqa: B018 - the property raises


@pytest.mark.parametrize("step", [-1, 0.5, None])
def test_a_stream_starts_at_a_step(step):
    with pytest.raises(ValueError, match="`step`"):
        plain().train_from(step)
