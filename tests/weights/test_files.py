"""Reading the files that torch wrote; converted files are tested where they are made (classifiers, features)."""

import os
import pickle

import numpy as np
import pytest

from jaxloop.errors import InputError
from jaxloop.weights import files as weight_files


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}]
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_torch_file_is_found_in_its_wrapping(tmp_path, wrap, prefix):
    torch = pytest.importorskip("torch")
    state = {
        "fc.weight": torch.nn.Parameter(torch.ones(2, 3)),
        "bn.num_batches_tracked": torch.tensor(7),
    }
    torch.save(wrap({prefix + key: x for key, x in state.items()}), tmp_path / "in.pth")
    read = weight_files.torch_file(tmp_path / "in.pth")
    assert list(read) == list(state)
    np.testing.assert_array_equal(read["fc.weight"], np.ones((2, 3), np.float32), strict=True)


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
            weight_files.torch_file(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_a_torch_file_that_holds_something_else_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "in.pth"
    for content in ([torch.ones(2)], {"a": 1}, {"model": {"a": "b"}}):
        torch.save(content, path)
        with pytest.raises(
            InputError, match="in.pth' is refused; allowed: a file that holds a state dict"
        ):
            weight_files.torch_file(path)
    torch.save({"a": torch.ones(1000)}, path)
    for content in (path.read_bytes()[:-2000], b"junk" * 100, b""):
        path.write_bytes(content)
        with pytest.raises(
            InputError, match="in.pth' is refused; allowed: a file of tensors, saved by torch"
        ):
            weight_files.torch_file(path)
    with pytest.raises(InputError, match="a file that can be read"):
        weight_files.torch_file(tmp_path / "nowhere.pth")
