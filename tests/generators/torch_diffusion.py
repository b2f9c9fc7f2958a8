"""The outside oracles of Stable Diffusion: torch's diffusers and transformers; skip without."""

import functools
import warnings

import numpy as np
import pytest

from tests.classifiers.oracles import libraries


@functools.cache
def modules():
    """(torch, diffusers, transformers)."""
    torch, _, _ = libraries()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their own deprecations are not ours to fix
        diffusers = pytest.importorskip("diffusers")
        import transformers

        diffusers.logging.set_verbosity_error()
        diffusers.UNet2DConditionModel, diffusers.AutoencoderKL  # noqa: B018  imported lazily
        diffusers.StableDiffusionPipeline  # noqa: B018
        transformers.CLIPTextModel  # noqa: B018
    return torch, diffusers, transformers


def part(folder, name: str):
    """A pipeline's "unet", "vae" or "text_encoder", in evaluation mode."""
    _, diffusers, transformers = modules()
    kinds = {
        "unet": diffusers.UNet2DConditionModel,
        "vae": diffusers.AutoencoderKL,
        "text_encoder": transformers.CLIPTextModel,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kinds[name].from_pretrained(folder / name).eval()


def nchw(x):
    torch, _, _ = modules()
    return torch.tensor(np.asarray(x)).permute(0, 3, 1, 2)


def nhwc(x) -> np.ndarray:
    return x.detach().permute(0, 2, 3, 1).numpy()


def assert_close(ours, theirs, tolerance: float = 1e-5) -> None:
    """Within `tolerance` of the largest output: sums in another order of tens of layers."""
    theirs = np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())
