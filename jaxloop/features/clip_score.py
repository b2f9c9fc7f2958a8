"""How well an image and the text of its class go together: the cosine of the angle between CLIP's features of the two."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.errors import InputError
from jaxloop.features import clip
from jaxloop.features.clip import Clip
from jaxloop.features.clip_preprocessing import Preprocessing
from jaxloop.types import Array, PyTree
from jaxloop.weights import files as weight_files

FIELD = "config.filter.clip"
TEMPLATE = "config.filter.template"
WHOLE, VOCABULARY, MERGES = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
)  # the first, or the other two
TOKENIZER = (
    WHOLE,
    VOCABULARY,
    MERGES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
# A text tower whose configuration says that texts end with token 2 was written when none looked: it takes the highest token.
HIGHEST_ENDS = 2


@dataclass(frozen=True, eq=False)
class ClipScore:
    """A CLIP that scores images against one text a class.

    sha256: of the file that the weights came from, as it was published.
    settings: whatever else the scores depend on, the texts too, in words; equal scores have equal ones.
    variables: {"params": what images go through, "text": float32 [L d], of length 1}, NumPy.
    apply: (variables, uint8 [n h w 3], label int32 [n] in [0, L)) -> float32 [n], the cosine of the angle between an image and
      the text of its label, in [-1, 1]; pure, may be jitted.
    """

    sha256: str
    settings: str
    variables: PyTree
    apply: Callable[[PyTree, Array, Array], Array]


def load(path: str | os.PathLike, texts: Sequence[str]) -> ClipScore:
    """The score of a model; the texts go through it here.

    Args:
      path: as `clip.find` takes it, a folder with the model's tokenizer too.
      texts: one a class, in the order of the classes.

    Raises:
      InputError: as `clip.find` and `clip.params` do; no tokenizer, or one of another model; a text that the model is too short
        for. Only a file of weights that cannot be used is told after reading it.
    """
    found = clip.find(path, FIELD, TOKENIZER)
    token = _tokens(found, texts)
    params = clip.params(found)
    return ClipScore(
        sha256=weight_files.sha256(found.weights),
        settings=f"{clip.settings(found)} {list(texts)} {token.tolist()}",
        variables={
            "params": clip.image_side(params),
            "text": _text_features(found.model, params, token),
        },
        apply=partial(cosine, found.model, found.preprocessing),
    )


def cosine(
    model: Any, preprocessing: Preprocessing, variables: PyTree, image: Array, label: Array
) -> Array:
    """uint8 [n h w 3], int32 [n] -> float32 [n] in [-1, 1], as `ClipScore.apply`. `model`: FlaxCLIPModel."""
    features = _unit(clip.image_features(model, preprocessing, variables["params"], image))
    # The sum of rounded products may be above 1 by a last digit.
    return jnp.clip((features * jnp.asarray(variables["text"])[label]).sum(-1), -1, 1)


def _unit(x: Array) -> Array:
    """[n d], each row at length 1."""
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def _text_features(model: Any, params: PyTree, token: np.ndarray) -> np.ndarray:
    """[L t] -> float32 [L d], each row of length 1."""
    with jax.default_matmul_precision("highest"):  # as for images
        return np.asarray(_unit(jax.jit(model.get_text_features)(token, params=params)))


def _tokens(found: Clip, texts: Sequence[str]) -> np.ndarray:
    """The texts' tokens: int32 [L t], padded behind the end to the longest.

    Raises:
      InputError: no tokenizer, a text of more tokens than the model has positions, tokens that are not the model's.
    """
    rows = _tokenizer(found)(list(texts), truncation=False)["input_ids"]
    length = np.array([len(row) for row in rows])
    longest, config = length.argmax(), found.model.config.text_config
    if length[longest] > config.max_position_embeddings:
        allowed = f"a text of at most {config.max_position_embeddings} tokens, its two ends counted, for every class"
        raise InputError(TEMPLATE, texts[longest], f"{allowed}; this one has {length[longest]}")
    # Each token sees those before it and none behind, so that it does not matter what the padding is: no mask is needed.
    token = np.array([row + [0] * (length[longest] - len(row)) for row in rows], np.int32)
    # The tower takes its features from where it sees the end. Seen too early, another text's would be taken, in silence.
    end = token if config.eos_token_id == HIGHEST_ENDS else token == config.eos_token_id
    fits = (end.argmax(-1) == length - 1) & (token.max(-1) < config.vocab_size)
    if not fits.all():
        allowed = (
            "a CLIP whose tokenizer knows the text and ends it where the model looks for the end"
        )
        raise InputError(
            found.field,
            found.path,
            f"{allowed}; {texts[fits.argmin()]!r} becomes {rows[fits.argmin()]}",
        )
    return token


def _tokenizer(found: Clip) -> Any:
    """transformers' CLIPTokenizerFast of a model's folder. Raises InputError."""
    refuse = partial(InputError, found.field, found.path)
    there = [name for name in (WHOLE, VOCABULARY, MERGES) if (found.folder / name).is_file()]
    if WHOLE not in there and len(there) < 2:
        raise refuse(
            f"a folder that holds the tokenizer too, as {WHOLE} or as {VOCABULARY} and {MERGES}"
        )
    import transformers  # here, because its import takes seconds

    try:
        return transformers.CLIPTokenizerFast.from_pretrained(found.folder, local_files_only=True)
    except Exception as error:  # of any kind, for the files may say anything
        raise refuse(
            f"a CLIP whose tokenizer transformers can read ({type(error).__name__}: {error})"
        ) from None
