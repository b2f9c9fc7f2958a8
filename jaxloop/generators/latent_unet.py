"""The U-Net of Stable Diffusion 1.x and 2.x (Rombach et al. 2022, arXiv:2112.10752), as of torch
diffusers' UNet2DConditionModel."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxloop.generators.attention import (
    Attention,
    Dense,
    Downsample,
    ResnetBlock,
    Upsample,
    group_norm,
)
from jaxloop.ops.convolution import Conv
from jaxloop.types import Array

EPSILON = 1e-5  # of the layer norms;  1e-6 of the group norm before a transformer


class LatentUNet(nn.Module):
    """Latents [n h w c], timesteps [n], text [n t d] -> [n h w out], float32.

    channels: of each level; each but the last halves the side.
    attends: whether the blocks of a level, on the way down, have a transformer.
    heads: of each level.  blocks: residual blocks of a level on the way down.
    linear: the transformers' projections are dense layers, not 1x1 convolutions.
    upcast: attention's scores in float32.
    shift: of the frequencies of the timestep's embedding.  cosine_first: their order.
    remat: compute blocks again for the gradient, instead of keeping what is inside them.
    """

    out_channels: int
    channels: tuple[int, ...]
    attends: tuple[bool, ...]
    heads: tuple[int, ...]
    blocks: int
    groups: int
    epsilon: float
    linear: bool
    upcast: bool
    shift: float
    cosine_first: bool
    remat: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, timestep: Array, text: Array) -> Array:
        x, text = x.astype(self.dtype), text.astype(self.dtype)
        embedding = self._embedding(timestep)
        x = self._conv(self.channels[0], "conv_in")(x)
        skips = [x]
        last = len(self.channels) - 1
        for level in range(last + 1):
            name = f"down_blocks.{level}"
            for i in range(self.blocks):
                x = self._resnet(level, f"{name}.resnets.{i}")(x, embedding)
                x = self._transformer(level, f"{name}.attentions.{i}", x, text)
                skips.append(x)
            if level < last:
                x = Downsample((1, 1), self.dtype, name=f"{name}.downsamplers.0")(x)
                skips.append(x)
        x = self._resnet(last, "mid_block.resnets.0")(x, embedding)
        x = self._transformer(last, "mid_block.attentions.0", x, text, always=True)
        x = self._resnet(last, "mid_block.resnets.1")(x, embedding)
        for i, level in enumerate(reversed(range(last + 1))):
            name = f"up_blocks.{i}"
            for j in range(self.blocks + 1):
                x = jnp.concatenate([x, skips.pop()], axis=-1)
                x = self._resnet(level, f"{name}.resnets.{j}")(x, embedding)
                x = self._transformer(level, f"{name}.attentions.{j}", x, text)
            if level:
                x = Upsample(self.dtype, name=f"{name}.upsamplers.0")(x)
        norm = group_norm(self.groups, self.epsilon, self.dtype, name="conv_norm_out")
        x = self._conv(self.out_channels, "conv_out")(nn.silu(norm(x)))
        return x.astype(jnp.float32)

    def _embedding(self, timestep: Array) -> Array:
        """Return the embedding of timesteps [n]: [n 4 channels[0]]."""
        x = sinusoids(timestep, self.channels[0], self.shift, self.cosine_first)
        features = 4 * self.channels[0]
        for name in ("linear_1", "linear_2"):
            x = nn.silu(x) if name == "linear_2" else x
            x = nn.Dense(features, dtype=self.dtype, name=f"time_embedding.{name}")(x)
        return x

    def _conv(self, features: int, name: str):
        return Conv(features, (3, 3), padding=1, dtype=self.dtype, name=name)

    def _resnet(self, level: int, name: str):
        kind: Any = nn.remat(ResnetBlock) if self.remat else ResnetBlock
        sizes = self.channels[level], self.groups, self.epsilon
        return kind(*sizes, self.dtype, name=name)

    def _transformer(self, level: int, name: str, x: Array, text: Array, always: bool = False):
        if not (self.attends[level] or always):
            return x
        kind: Any = nn.remat(Transformer) if self.remat else Transformer
        sizes = self.heads[level], self.groups, self.linear, self.upcast
        return kind(*sizes, self.dtype, name=name)(x, text)


def sinusoids(timestep: Array, features: int, shift: float, cosine_first: bool) -> Array:
    """Return the sines and cosines of timesteps [n]: float32 [n features]."""
    half = features // 2
    frequency = np.exp(-np.log(10000.0) * np.arange(half) / (half - shift))
    angle = timestep[:, None].astype(jnp.float32) * jnp.asarray(frequency[None], jnp.float32)
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    return jnp.concatenate([cosine, sine] if cosine_first else [sine, cosine], axis=-1)


class Transformer(nn.Module):
    """Pixels [n h w c] attend to each other and to the text [n t d]."""

    heads: int
    groups: int
    linear: bool
    upcast: bool
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, text: Array) -> Array:
        n, h, w, c = x.shape

        def projection(y: Array, name: str) -> Array:
            if self.linear:
                return Dense(c, dtype=self.dtype, name=name)(y)
            return Conv(c, (1, 1), dtype=self.dtype, name=name)(y)

        y = projection(group_norm(self.groups, 1e-6, self.dtype, name="norm")(x), "proj_in")
        y = y.reshape(n, h * w, c)
        name = "transformer_blocks.0"
        norm = lambda i: nn.LayerNorm(EPSILON, self.dtype, name=f"{name}.norm{i}")  # noqa: E731
        attention = lambda i: Attention(  # noqa: E731
            self.heads, upcast=self.upcast, dtype=self.dtype, name=f"{name}.attn{i}"
        )
        y = y + attention(1)(norm(1)(y))
        y = y + attention(2)(norm(2)(y), text)
        gated = Dense(8 * c, dtype=self.dtype, name=f"{name}.ff.net.0.proj")(norm(3)(y))
        value, gate = jnp.split(gated, 2, axis=-1)
        value = value * nn.gelu(gate, approximate=False)
        y = y + Dense(c, dtype=self.dtype, name=f"{name}.ff.net.2")(value)
        return x + projection(y.reshape(n, h, w, c), "proj_out")
