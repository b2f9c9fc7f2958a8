"""DeiT-Small (Touvron et al. 2021, arXiv:2012.12877): a vision transformer for ImageNet alone."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxloop.classifiers.classifier import Classifier, admit
from jaxloop.ops.convolution import Conv
from jaxloop.types import Array

HEADS = 6
BLOCKS = 12

# The reference truncates its normal at ±2, a hundred standard deviations: it is a plain normal.
normal = nn.initializers.normal(0.02)
# torch's default for a convolution.
patch_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
layer_norm = partial(nn.LayerNorm, epsilon=1e-6)


class Block(nn.Module):
    """Self-attention and a two-layer network, each with a norm before and a shortcut: [n t d]."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        n, t, d = x.shape
        dense = partial(nn.Dense, kernel_init=normal, dtype=self.dtype)
        norm = partial(layer_norm, dtype=self.dtype)
        y = dense(3 * d, name="qkv")(norm(name="norm1")(x))
        query, key, value = jnp.moveaxis(y.reshape(n, t, 3, HEADS, d // HEADS), 2, 0)
        y = jax.nn.dot_product_attention(query, key, value).reshape(n, t, d)
        x = x + dense(d, name="proj")(y)
        y = dense(4 * d, name="fc1")(norm(name="norm2")(x))
        return x + dense(d, name="fc2")(nn.gelu(y, approximate=False))


class DeiTSmall(Classifier):
    """Stem "imagenet" is timm's deit_small_patch16_224: features [n 384], the class token.

    h and w are multiples of 16; the small one has patches of 4x4 pixels: multiples of 4. The
    position embedding belongs to one image size: other sizes are other parameters. `width` scales
    the 64 channels of each head. There is no dropout.
    """

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        patch = 4 if self.small else 16
        admit(x, "deit_small", smallest=patch, multiple=patch)
        n, d = len(x), HEADS * self.wide(64)
        conv = partial(Conv, padding="VALID", kernel_init=patch_init, dtype=self.dtype)
        x = conv(d, (patch, patch), patch, name="patch")(x).reshape(n, -1, d)
        class_token = self.param("class_token", nn.initializers.normal(1e-6), (1, 1, d))
        class_token = jnp.broadcast_to(class_token.astype(x.dtype), (n, 1, d))
        x = jnp.concatenate([class_token, x], axis=1)
        x = x + self.param("position", normal, (1, x.shape[1], d)).astype(x.dtype)
        for i in range(BLOCKS):
            x = Block(self.dtype, name=f"block{i}")(x)
        x = layer_norm(dtype=self.dtype, name="norm")(x)[:, 0]
        return self.output(x, features, kernel_init=normal, name="head")
