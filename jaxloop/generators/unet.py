"""The U-Net of the diffusion generators: small images, few channels, no statistics of the batch."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxloop.ops.convolution import Conv
from jaxloop.types import Array

FREQUENCIES = 16  # of the Fourier features of the noise level
HEAD = 32  # channels of a head of attention, at most


class UNet(nn.Module):
    """[n h w 3], noise level [n], label [n] -> [n h w 3].

    num_classes: a label of this value is no class (for classifier-free guidance).
    width: channels of the finest level.  mults: channels of each level, as multiples of it; every
      level halves the side.  blocks: residual blocks a level, down and up.
    attention: sides of feature maps whose blocks are followed by self-attention.
    patch: side of the squares of pixels that are folded into channels at the start.
    """

    num_classes: int
    width: int
    mults: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    patch: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, noise: Array, label: Array) -> Array:
        embedding = Embedding(self.num_classes, 4 * self.width, self.dtype)(noise, label)
        x = fold(x.astype(self.dtype), self.patch)
        pixel_channels = x.shape[-1]
        x = Conv(self.width, (3, 3), dtype=self.dtype)(x)
        skips = [x]
        channels = [self.width * mult for mult in self.mults]
        for level, features in enumerate(channels):
            if level:
                x = nn.Dense(features, dtype=self.dtype)(fold(x, 2))
            for _ in range(self.blocks):
                x = self._block(features)(x, embedding)
                skips.append(x)
        x = self._block(channels[-1])(x, embedding)
        for level in reversed(range(len(channels))):
            for _ in range(self.blocks):
                x = self._block(channels[level])(
                    jnp.concatenate([x, skips.pop()], axis=-1), embedding
                )
            if level:
                x = unfold(nn.Dense(4 * channels[level - 1], dtype=self.dtype)(x), 2)
        x = nn.silu(RMSNorm(self.dtype)(jnp.concatenate([x, skips.pop()], axis=-1)))
        zeros = nn.initializers.zeros
        x = Conv(pixel_channels, (3, 3), kernel_init=zeros, dtype=self.dtype)(x)
        return unfold(x, self.patch).astype(jnp.float32)

    def _block(self, features: int):
        return Block(features, self.attention, self.dtype)


class Embedding(nn.Module):
    """Noise level [n] and label [n] -> [n features]; the label `num_classes` adds nothing."""

    num_classes: int
    features: int
    dtype: Any

    @nn.compact
    def __call__(self, noise: Array, label: Array) -> Array:
        frequency = jnp.exp(jnp.linspace(0, np.log(100.0), FREQUENCIES, dtype=jnp.float32))
        angle = noise[:, None] * frequency[None]
        x = jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
        x = nn.Dense(self.features, dtype=self.dtype)(x)
        # A product with a one-hot, not a look-up, whose gradient adds in any order on a GPU.
        one_hot = jax.nn.one_hot(label, self.num_classes) * self.num_classes**0.5
        x = x + nn.Dense(self.features, use_bias=False, dtype=self.dtype)(one_hot)
        return nn.silu(nn.Dense(self.features, dtype=self.dtype)(nn.silu(x)))


class Block(nn.Module):
    """Residual block, scaled and shifted by the embedding; at first the identity."""

    features: int
    attention: tuple[int, ...]
    dtype: Any

    @nn.compact
    def __call__(self, x: Array, embedding: Array) -> Array:
        zeros = nn.initializers.zeros
        skip = x
        if x.shape[-1] != self.features:
            skip = nn.Dense(self.features, dtype=self.dtype)(x)
        x = Conv(self.features, (3, 3), dtype=self.dtype)(nn.silu(RMSNorm(self.dtype)(x)))
        modulation = nn.Dense(2 * self.features, dtype=self.dtype)(embedding)
        scale, shift = jnp.split(modulation[:, None, None], 2, axis=-1)
        x = nn.silu(RMSNorm(self.dtype)(x) * (1 + scale) + shift)
        x = skip + Conv(self.features, (3, 3), kernel_init=zeros, dtype=self.dtype)(x)
        if x.shape[1] not in self.attention:
            return x
        n, h, w, c = x.shape
        heads = next(heads for heads in range(max(1, c // HEAD), 0, -1) if c % heads == 0)
        y = nn.Dense(3 * c, dtype=self.dtype)(RMSNorm(self.dtype)(x))
        y = jax.nn.dot_product_attention(*jnp.moveaxis(y.reshape(n, h * w, 3, heads, -1), 2, 0))
        return x + nn.Dense(c, kernel_init=zeros, dtype=self.dtype)(y.reshape(n, h, w, c))


class RMSNorm(nn.Module):
    """Divide by the root mean square over channels, in float32 (Zhang & Sennrich 2019)."""

    dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        x = x.astype(jnp.float32)
        mean = jnp.mean(x * x, axis=-1, keepdims=True)
        return (x * jax.lax.rsqrt(mean + 1e-6) * scale[None, None, None]).astype(self.dtype)


def fold(x: Array, side: int) -> Array:
    """Fold squares of pixels into channels: [n h w c] -> [n h/side w/side side*side*c]."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // side, side, w // side, side, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // side, w // side, side * side * c)


def unfold(x: Array, side: int) -> Array:
    """Return the inverse of `fold`."""
    n, h, w, c = x.shape
    x = x.reshape(n, h, w, side, side, c // side**2).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h * side, w * side, c // side**2)
