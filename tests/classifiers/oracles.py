"""The networks' outside oracles, torchvision and timm, for the tests that have them."""

import functools
import warnings

import numpy as np
import pytest

HEADS = {  # the last dense layer of each network
    "alexnet": "classifier.6",
    "vgg19": "classifier.6",
    "resnet50": "fc",
    "mobilenet_v3_large": "classifier.3",
    "mobilenet_v3_small": "classifier.3",
    "deit_small": "head",
}


@functools.cache
def libraries():
    """(torch, torchvision, timm); skips the test where one is not installed."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(
        1
    )  # several wait by spinning: beside other work on the same cores, minutes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their own deprecations are not ours to fix
        return torch, _torchvision(torch), pytest.importorskip("timm")


def _torchvision(torch):
    """torchvision, also a build for another torch than the one installed.

    Such a build leaves its compiled operators out, and then fails on declaring what shapes two of
    them give. No classifier needs them; once they have a signature, the others import.
    """
    try:
        return pytest.importorskip("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torch.jaxloop_keeps = library  # the declarations last as long as the object
    return pytest.importorskip("torchvision")


def build(name: str, num_classes: int = 1000, size: int = 224, **options):
    """The oracle of the network `name`, with random weights, in evaluation mode."""
    torch, torchvision, timm = libraries()
    torch.manual_seed(0)
    if name == "deit_small":
        return timm.create_model(
            "deit_small_patch16_224", num_classes=num_classes, img_size=size, **options
        ).eval()
    return getattr(torchvision.models, name)(num_classes=num_classes, **options).eval()


def randomise(model):
    """Draw every tensor anew: none stays at zero or one, or too small to matter."""
    torch, _, _ = libraries()
    with torch.no_grad():
        for key, value in model.named_parameters():
            if key.endswith("bias"):
                value.normal_(0, 0.1)
            elif value.ndim == 1:  # scales
                value.uniform_(0.5, 1.5)
            elif value.ndim == 3:  # class token and position embedding
                value.normal_(0, 0.5)
            else:
                value.normal_(0, (2 / value[0].numel()) ** 0.5)
        _settle(model)
    return model


def _settle(model):
    """Gives batch normalisation the running statistics of a batch, as training would.

    With others the activations grow or vanish from block to block, and hard sigmoids are steps.
    """
    torch, _, _ = libraries()
    norms = [layer for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    if norms:
        momentum = norms[0].momentum
        for norm in norms:
            norm.momentum = 1.0
        model.train()(torch.randn(8, 3, 96, 96) + torch.arange(8).reshape(-1, 1, 1, 1) / 8)
        for norm in norms:
            norm.momentum = momentum
        model.eval()


def state(model) -> dict[str, np.ndarray]:
    return {key: value.detach().numpy() for key, value in model.state_dict().items()}


def run(model, images: np.ndarray) -> np.ndarray:
    """Logits of [n h w 3]."""
    torch, _, _ = libraries()
    with torch.no_grad():
        return model(to_torch(images)).numpy()


def run_features(name: str, model, images: np.ndarray) -> np.ndarray:
    """What reaches the last dense layer."""
    seen = []
    hook = model.get_submodule(HEADS[name]).register_forward_pre_hook(
        lambda layer, inputs: seen.append(inputs[0])
    )
    run(model, images)
    hook.remove()
    return seen[0].numpy()


def to_torch(images: np.ndarray):
    torch, _, _ = libraries()
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
