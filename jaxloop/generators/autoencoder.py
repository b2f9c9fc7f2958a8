"""The autoencoder of Stable Diffusion, as of torch diffusers' AutoencoderKL."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jaxloop.generators.attention import Attention, Downsample, ResnetBlock, Upsample, group_norm
from jaxloop.ops.convolution import Conv
from jaxloop.types import Array

EPSILON = 1e-6


class Autoencoder(nn.Module):
    """Images [n h w 3] in [-1, 1] <-> latents [n h/f w/f c], f = 2 ** (levels - 1).

    channels: of each level.  blocks: residual blocks of a level of the encoder.
    """

    latent_channels: int
    channels: tuple[int, ...]
    blocks: int
    groups: int
    attends: bool = True
    dtype: Any = jnp.float32

    def setup(self):
        sizes = self.channels, self.blocks, self.groups, self.attends, self.dtype
        self.encoder = Encoder(2 * self.latent_channels, *sizes)
        self.decoder = Decoder(3, *sizes)
        pointwise = lambda features: Conv(features, (1, 1), dtype=self.dtype)  # noqa: E731
        self.quant_conv = pointwise(2 * self.latent_channels)
        self.post_quant_conv = pointwise(self.latent_channels)

    def encode(self, image: Array) -> Array:
        """Return mean and logarithm of the variance of the latents: float32 [n h/f w/f 2c]."""
        return self.quant_conv(self.encoder(image.astype(self.dtype))).astype(jnp.float32)

    def decode(self, latent: Array) -> Array:
        """Return images, float32 [n h w 3], about in [-1, 1]."""
        return self.decoder(self.post_quant_conv(latent.astype(self.dtype))).astype(jnp.float32)

    def __call__(self, image: Array) -> Array:
        return self.decode(self.encode(image)[..., : self.latent_channels])


class Coder(nn.Module):
    """What encoder and decoder share; attends: in the middle."""

    out_channels: int
    channels: tuple[int, ...]
    blocks: int
    groups: int
    attends: bool
    dtype: Any

    def conv(self, features: int, name: str) -> nn.Module:
        return Conv(features, (3, 3), padding=1, dtype=self.dtype, name=name)

    def resnet(self, features: int, name: str) -> ResnetBlock:
        return ResnetBlock(features, self.groups, EPSILON, self.dtype, name=name)

    def middle(self, x: Array) -> Array:
        """Two residual blocks, between them attention of one head among all pixels."""
        n, h, w, c = x.shape
        x = self.resnet(c, "mid_block.resnets.0")(x)
        if self.attends:
            name = "mid_block.attentions.0"
            norm = group_norm(self.groups, EPSILON, self.dtype, name=f"{name}.group_norm")
            attention = Attention(1, use_bias=True, dtype=self.dtype, name=name)
            x = x + attention(norm(x).reshape(n, h * w, c)).reshape(n, h, w, c)
        return self.resnet(c, "mid_block.resnets.1")(x)

    def end(self, x: Array) -> Array:
        norm = group_norm(self.groups, EPSILON, self.dtype, name="conv_norm_out")
        return self.conv(self.out_channels, "conv_out")(nn.silu(norm(x)))


class Encoder(Coder):
    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = self.conv(self.channels[0], "conv_in")(x)
        for level, features in enumerate(self.channels):
            name = f"down_blocks.{level}"
            for i in range(self.blocks):
                x = self.resnet(features, f"{name}.resnets.{i}")(x)
            if level < len(self.channels) - 1:
                x = Downsample((0, 1), self.dtype, name=f"{name}.downsamplers.0")(x)
        return self.end(self.middle(x))


class Decoder(Coder):
    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = self.middle(self.conv(self.channels[-1], "conv_in")(x))
        for i, features in enumerate(reversed(self.channels)):
            name = f"up_blocks.{i}"
            for j in range(self.blocks + 1):
                x = self.resnet(features, f"{name}.resnets.{j}")(x)
            if i < len(self.channels) - 1:
                x = Upsample(self.dtype, name=f"{name}.upsamplers.0")(x)
        return self.end(x)
