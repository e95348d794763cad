import keras
import numpy as np

import warptf
from warptf.losses import HalfSquaredError


def test_half_squared_error_is_that_of_the_paper() -> None:
    y, predicted = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([[3.0, 2.0], [1.0, 1.0]])
    # Squares 4, 0 and 1, 4: halves of their means, then the mean over examples.
    assert float(HalfSquaredError()(y, predicted)) == (1.0 + 1.25) / 2
    weighted = HalfSquaredError()(y, predicted, sample_weight=np.array([2.0, 0.0]))
    assert float(weighted) == 1.0


def test_half_squared_error_is_saved_with_a_learner(tmp_path) -> None:
    model = warptf.models.sine_learner(4, 1, 2)
    learner = warptf.OnlineMetaLearner(model, warptf.inner_optimizers.SGD(0.1), 2)
    learner.compile("adam", HalfSquaredError(), meta_loss=HalfSquaredError())
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert loaded.get_compile_config() == learner.get_compile_config()
    assert isinstance(loaded._meta_loss.given, HalfSquaredError)
