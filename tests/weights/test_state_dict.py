"""State dicts in their wrappings; converted files are tested where they are made."""

import os
import pickle

import numpy as np
import pytest

from jaxloop.errors import InputError
from jaxloop.weights import state_dict

WRAPPINGS = {
    "bare": lambda s: s,
    "state_dict": lambda s: {"state_dict": s, "state_dict_ema": s, "epoch": 3},
    "model_state_dict": lambda s: {
        "epoch": 3,
        "model_state_dict": s,
        "optimizer": {"state": {0: s}},
    },
    "model": lambda s: {"model": s, "model_ema": s},
    "any name": lambda s: {"weights": s, "loss": 0.5, "args": {"lr": 0.1}},
    "twice": lambda s: {"checkpoint": {"model": s, "ema": s}, "epoch": 3},
}
PREFIXES = ["", "module.", "_orig_mod.", "model.", "module._orig_mod.model.", "backbone."]
STATE = {"fc.weight": np.ones((2, 3), np.float32), "bn.weight": np.ones(3, np.float32)}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_state_dict_is_unwrapped(wrapping):
    assert state_dict.unwrapped(WRAPPINGS[wrapping](STATE)) is STATE


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"a": 1},
        [STATE],
        {"a": STATE, "b": STATE},
        {"a": {"model": STATE}, "b": {"model": STATE}},
    ],
)
def test_none_or_several_state_dicts_are_not_guessed_at(content):
    assert state_dict.unwrapped(content) is None


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_that_all_keys_share_is_dropped(prefix):
    prefixed = {prefix + key: x for key, x in STATE.items()}
    assert list(state_dict.without_prefix(prefixed)) == list(STATE)
    more = prefixed | {"n_averaged": np.ones(())}
    assert list(state_dict.without_prefix(more)) == list(more)
    assert state_dict.without_prefix({}) == {}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_torch_file_is_found_in_its_wrapping(tmp_path, wrapping):
    torch = pytest.importorskip("torch")
    state = {
        "module.fc.weight": torch.nn.Parameter(torch.ones(2, 3)),
        "module.bn.num_batches_tracked": torch.tensor(7),
    }
    torch.save(WRAPPINGS[wrapping](state), tmp_path / "in.pth")
    read = state_dict.read(tmp_path / "in.pth")
    assert list(read) == ["fc.weight", "bn.num_batches_tracked"]
    np.testing.assert_array_equal(read["fc.weight"], np.ones((2, 3), np.float32), strict=True)


def test_a_dense_layer_may_be_a_convolution_over_all_pixels():
    kernel = np.arange(4 * 3 * 49.0).reshape(4, 3, 7, 7)
    shapes = {"params/Dense_0/kernel": np.empty((49 * 3, 4)), "params/Dense_0/bias": np.empty(4)}
    keys = {"params/Dense_0/kernel": "fc.weight", "params/Dense_0/bias": "fc.bias"}
    for published in (kernel, kernel.reshape(4, -1)):
        state = {"fc.weight": published, "fc.bias": np.zeros(4)}
        refusal = ("field", "value", "weights")
        variables = state_dict.to_variables(state, keys, shapes, refusal, grid=7)
        by_pixel = variables["params"]["Dense_0"]["kernel"].reshape(7, 7, 3, 4)
        np.testing.assert_array_equal(by_pixel, kernel.transpose(2, 3, 1, 0))


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_a_torch_file_runs_nothing(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(
        {"fc.weight": torch.ones(2), "other": Malicious(tmp_path / "ran")}, tmp_path / "in.pth"
    )
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Malicious(tmp_path / "ran")))
    for name in ("in.pth", "bare.pth"):
        with pytest.raises(InputError, match=f"{name}' is refused; allowed: a file of tensors"):
            state_dict.read(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_a_torch_file_that_holds_something_else_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "in.pth"
    weights = {"a": torch.ones(2)}
    for content, held in (
        ([torch.ones(2)], "list"),
        ({"epoch": 1, "arch": "x"}, "'epoch', 'arch'"),
        ({"G": weights, "D": weights, "E": weights, "F": weights}, "'G', 'D', 'E'"),
    ):
        torch.save(content, path)
        with pytest.raises(InputError, match=f"in.pth' is .*one state dict, .*; it holds {held}$"):
            state_dict.read(path)
    torch.save({"a": torch.ones(1000)}, path)
    for content in (path.read_bytes()[:-2000], b"junk" * 100, b""):
        path.write_bytes(content)
        with pytest.raises(
            InputError, match="in.pth' is refused; allowed: a file of tensors, saved by torch"
        ):
            state_dict.read(path)
    with pytest.raises(InputError, match="a file that can be read"):
        state_dict.read(tmp_path / "nowhere.pth")
