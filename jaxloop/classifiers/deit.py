"""DeiT-Small (Touvron et al. 2021, arXiv:2012.12877): the vision transformer, at a size that ImageNet suffices for."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxloop.classifiers.sizes import admit
from jaxloop.ops.convolution import Conv
from jaxloop.types import Array

HEADS = 6
BLOCKS = 12

# The reference truncates its normal at ±2, a hundred standard deviations: it is a plain normal.
normal = nn.initializers.normal(0.02)
# What torch gives a convolution of which nobody says otherwise.
patch_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
dense = partial(nn.Dense, kernel_init=normal)
norm = partial(nn.LayerNorm, epsilon=1e-6)


class Block(nn.Module):
    """Self-attention and a two-layer network, each normalised first and added to what came in: [n t d] -> [n t d]."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        n, t, d = x.shape
        y = dense(3 * d, name="qkv")(norm(name="norm1")(x))
        query, key, value = jnp.moveaxis(y.reshape(n, t, 3, HEADS, d // HEADS), 2, 0)
        y = jax.nn.dot_product_attention(query, key, value).reshape(n, t, d)
        x = x + dense(d, name="proj")(y)
        y = dense(4 * d, name="fc1")(norm(name="norm2")(x))
        return x + dense(d, name="fc2")(nn.gelu(y, approximate=False))


class DeiTSmall(nn.Module):
    """[n h w 3] -> logits [n num_classes]; with `features=True` the class token that they are read off, [n 384].

    Stem "imagenet" is timm's deit_small_patch16_224: h and w are multiples of 16. The small one has patches of 4x4 pixels:
    multiples of 4. The position embedding belongs to one image size: other sizes are other parameters. `width` scales the
    64 channels of each of the six heads. There is no dropout in it.
    """

    num_classes: int
    small: bool = False
    width: float = 1.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        patch = 4 if self.small else 16
        admit(x, "deit_small", smallest=patch, multiple=patch)
        d = HEADS * max(1, round(64 * self.width))
        x = Conv(
            d, (patch, patch), (patch, patch), padding="VALID", kernel_init=patch_init, name="patch"
        )(x)
        x = x.reshape(x.shape[0], -1, d)
        class_token = self.param("class_token", nn.initializers.normal(1e-6), (1, 1, d))
        x = jnp.concatenate([jnp.broadcast_to(class_token, (x.shape[0], 1, d)), x], axis=1)
        x = x + self.param("position", normal, (1, x.shape[1], d))
        for i in range(BLOCKS):
            x = Block(name=f"block{i}")(x)
        x = norm(name="norm")(x)[:, 0]
        return x if features else dense(self.num_classes, name="head")(x)
