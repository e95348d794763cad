"""The online algorithm keeps nothing for each step it takes."""

import pytest
import tensorflow as tf
from meta_learners.problems import classification_tasks, cross_entropy, network, one_batch

import warptf
from warptf.initializations import MAML, Leap
from warptf.inner_optimizers import SGD
from warptf.objectives import WarpGrad


def accumulators(function):
    """The list operations inside the loops of a traced function, its loop over tasks apart."""
    found, seen = [], set()

    def visit(graph, depth):
        for op in graph.get_operations():
            if depth > 1 and op.type in ("TensorListPushBack", "TensorListSetItem"):
                found.append(op.name)
            for key in ("body", "f", "then_branch", "else_branch", "cond"):
                name = op.node_def.attr[key].func.name if key in op.node_def.attr else ""
                if name and (name, depth) not in seen:
                    seen.add((name, depth))
                    inner = graph._get_function(name)
                    visit(inner.graph, depth + (op.type in ("While", "StatelessWhile")))

    visit(function.graph, 0)
    return found


def traced(objective, initialization):
    learner = warptf.OnlineMetaLearner(
        network(), SGD(0.1, 0.9), 7, objective=objective, initialization=initialization
    )
    learner.compile("sgd", cross_entropy(), ["accuracy"])
    task = classification_tasks(2, steps=7)
    learner._prepare(one_batch(task), 7, "training")
    function = tf.function(lambda data: learner.train_step(data), autograph=False)
    return function.get_concrete_function(tf.nest.map_structure(tf.constant, task[:2]))


@pytest.mark.parametrize("mode", ["exact", "none"])
def test_no_list_grows_with_the_inner_steps(mode):
    assert accumulators(traced(WarpGrad(mode), Leap())) == []


def test_backpropagation_through_adaptation_would_be_seen():
    assert accumulators(traced(None, MAML()))
