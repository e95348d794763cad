import pytest
from contracts.layer import Example, check_warp_layer, layer_examples


@pytest.mark.parametrize("example", [pytest.param(e, id=n) for n, e in layer_examples().items()])
def test_layer_keeps_the_contract(example: Example) -> None:
    check_warp_layer(example.make, example.input_shape)
