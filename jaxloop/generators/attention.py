"""What the networks of latent diffusion share: dense layers that take a LoRA, attention, residual
blocks.

Modules have torch diffusers' names, dots in them: "down_blocks.0.resnets.1/conv1/kernel" is its
"down_blocks.0.resnets.1.conv1.weight" (`weights.state_dict.key`).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxloop.ops.convolution import Conv
from jaxloop.types import Array

LORA = "lora"  # collection: {path of a Dense: {"down": [in r], "up": [r out]}}


def group_norm(groups: int, epsilon: float, dtype: Any, name: str) -> nn.GroupNorm:
    return nn.GroupNorm(groups, epsilon=epsilon, dtype=dtype, name=name)


class Dense(nn.Dense):
    """x W + b, and x A B with the matrices A, B of the collection "lora", where it has them."""

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        y = super().__call__(inputs)
        if not self.has_variable(LORA, "down"):
            return y
        down, up = (self.get_variable(LORA, name).astype(y.dtype) for name in ("down", "up"))
        return y + (inputs.astype(y.dtype) @ down) @ up


class Attention(nn.Module):
    """x [n t c] attends to the context [n s d], or to itself.

    upcast: the scores in float32, whatever the dtype.
    """

    heads: int
    use_bias: bool = False
    upcast: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, context: Array | None = None) -> Array:
        features, source = x.shape[-1], x if context is None else context

        def heads(name: str, given: Array) -> Array:
            y = Dense(features, self.use_bias, self.dtype, name=name)(given)
            return y.reshape(*y.shape[:2], self.heads, -1)

        q, k, v = heads("to_q", x), heads("to_k", source), heads("to_v", source)
        if self.upcast:
            q, k, v = (y.astype(jnp.float32) for y in (q, k, v))
        y = jax.nn.dot_product_attention(q, k, v).astype(self.dtype)
        return Dense(features, dtype=self.dtype, name="to_out.0")(y.reshape(x.shape))


class ResnetBlock(nn.Module):
    """Residual block of [n h w c], shifted by the embedding of time [n e] where there is one."""

    features: int
    groups: int
    epsilon: float
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, embedding: Array | None = None) -> Array:
        norm = lambda name: group_norm(self.groups, self.epsilon, self.dtype, name=name)  # noqa: E731
        conv = lambda name: Conv(self.features, (3, 3), padding=1, dtype=self.dtype, name=name)  # noqa: E731
        y = conv("conv1")(nn.silu(norm("norm1")(x)))
        if embedding is not None:
            dense = nn.Dense(self.features, dtype=self.dtype, name="time_emb_proj")
            y = y + dense(nn.silu(embedding))[:, None, None]
        y = conv("conv2")(nn.silu(norm("norm2")(y)))
        if x.shape[-1] != self.features:
            x = Conv(self.features, (1, 1), dtype=self.dtype, name="conv_shortcut")(x)
        return x + y


class Upsample(nn.Module):
    """Nearest neighbours, then a convolution: [n h w c] -> [n 2h 2w c]."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        n, h, w, c = x.shape
        x = jnp.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c)).reshape(n, 2 * h, 2 * w, c)
        return Conv(c, (3, 3), padding=1, dtype=self.dtype, name="conv")(x)


class Downsample(nn.Module):
    """Convolution of stride 2: [n h w c] -> [n h/2 w/2 c].  padding: before and after."""

    padding: tuple[int, int]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        conv = Conv(x.shape[-1], (3, 3), (2, 2), [self.padding] * 2, dtype=self.dtype, name="conv")
        return conv(x)
