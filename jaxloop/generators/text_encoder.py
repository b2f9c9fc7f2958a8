"""CLIP's text tower, whose states condition Stable Diffusion, as of transformers' CLIPTextModel."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxloop.generators.attention import Dense
from jaxloop.types import Array


def quick_gelu(x: Array) -> Array:
    return x * nn.sigmoid(1.702 * x)


ACTIVATIONS = {"quick_gelu": quick_gelu, "gelu": lambda x: nn.gelu(x, approximate=False)}


class TextEncoder(nn.Module):
    """Tokens, int32 [n t] -> the last layer's states, normalised: [n t width].

    length: tokens of a text at most.  inner: features of the hidden layer of a block's MLP.
    """

    vocabulary: int
    length: int
    width: int
    inner: int
    layers: int
    heads: int
    activation: str
    epsilon: float
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, token: Array) -> Array:
        name = "text_model"
        embed = lambda num, what: nn.Embed(  # noqa: E731
            num, self.width, self.dtype, name=f"{name}.embeddings.{what}_embedding"
        )
        place = jnp.arange(token.shape[1])[None]
        x = embed(self.vocabulary, "token")(token) + embed(self.length, "position")(place)
        for layer in range(self.layers):
            x = self._block(f"{name}.encoder.layers.{layer}", x)
        return self._norm(f"{name}.final_layer_norm")(x)

    def _norm(self, name: str):
        return nn.LayerNorm(self.epsilon, self.dtype, name=name)

    def _block(self, name: str, x: Array) -> Array:
        n, t, _ = x.shape
        dense = lambda features, what: Dense(features, dtype=self.dtype, name=f"{name}.{what}")  # noqa: E731
        y = self._norm(f"{name}.layer_norm1")(x)
        q, k, v = (
            dense(self.width, f"self_attn.{part}_proj")(y).reshape(n, t, self.heads, -1)
            for part in "qkv"
        )
        y = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(x.shape)
        x = x + dense(self.width, "self_attn.out_proj")(y)
        y = dense(self.inner, "mlp.fc1")(self._norm(f"{name}.layer_norm2")(x))
        return x + dense(self.width, "mlp.fc2")(ACTIVATIONS[self.activation](y))
