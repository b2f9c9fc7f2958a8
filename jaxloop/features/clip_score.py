"""How well an image and the text of its class agree: the cosine of CLIP's features of them."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.errors import InputError, refusing
from jaxloop.features import clip
from jaxloop.features.clip import Clip
from jaxloop.features.clip_preprocessing import Preprocessing
from jaxloop.types import Array, PyTree
from jaxloop.weights import files

FIELD = "config.filter.clip"
TEMPLATE = "config.filter.template"
TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt")  # the first, or the other two
SPECIAL = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
# A text tower whose configuration says that texts end with token 2 takes the highest token: it was
# written when the value was not used.
HIGHEST_ENDS = 2


class ClipScore(NamedTuple):
    """A CLIP that scores images against one text a class.

    sha256: of the published file of weights.
    settings: whatever else the scores depend on, the texts too; equal scores have equal ones.
    variables: {"params": what images go through, "text": float32 [L d], of length 1}, NumPy.
    apply: (variables, uint8 [n h w 3], label int32 [n] in [0, L)) -> float32 [n], the cosine of an
      image and the text of its label, in [-1, 1]; pure, may be jitted.
    """

    sha256: str
    settings: str
    variables: PyTree
    apply: Callable[[PyTree, Array, Array], Array]


def load(path: str | os.PathLike, texts: Sequence[str]) -> ClipScore:
    """Return the score of a model against texts, one a class; they go through it here.

    path: as `clip.find` takes it, a folder with the model's tokenizer too.
    Raises InputError as `clip.find`, `tokens` and, at the end, `clip.params` do.
    """
    model = clip.find(path, FIELD, TOKENIZER + SPECIAL)
    token = tokens(model, texts)
    params = clip.params(model)
    with jax.default_matmul_precision("highest"):  # as for images
        text = _unit(jax.jit(model.model.get_text_features)(token, params=params))
    return ClipScore(
        sha256=files.sha256(model.weights),
        settings=f"{clip.settings(model)} {list(texts)} {token.tolist()}",
        variables={"params": clip.image_side(params), "text": np.asarray(text)},
        apply=partial(cosine, model.model, model.preprocessing),
    )


def cosine(
    model: Any, preprocessing: Preprocessing, variables: PyTree, image: Array, label: Array
) -> Array:
    """Score uint8 [n h w 3], int32 [n] by a FlaxCLIPModel, as `ClipScore.apply`."""
    features = _unit(clip.image_features(model, preprocessing, variables["params"], image))
    # The sum of rounded products may be above 1 by a last digit.
    return jnp.clip((features * jnp.asarray(variables["text"])[label]).sum(-1), -1, 1)


def _unit(x: Array) -> Array:
    """Scale each row of [n d] to length 1."""
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def tokens(model: Clip, texts: Sequence[str]) -> np.ndarray:
    """Return the texts' tokens, int32 [L t], padded behind the end to the longest.

    Raises InputError: no tokenizer, a text of too many tokens, tokens that are not the model's.
    """
    rows = tokenizer(model)(list(texts), truncation=False)["input_ids"]
    length = np.array([len(row) for row in rows])
    longest, config = int(length.argmax()), model.model.config.text_config
    limit = config.max_position_embeddings
    if length[longest] > limit:
        allowed = f"a text of at most {limit} tokens, its two ends counted, for every class"
        raise InputError(TEMPLATE, texts[longest], f"{allowed}; this one has {length[longest]}")
    # Each token sees those before it and none behind: no padding matters, and no mask is needed.
    token = np.array([row + [0] * (length[longest] - len(row)) for row in rows], np.int32)
    # The tower takes its features from the first end. Before a text's last token, that would be
    # those of another text.
    end = token if config.eos_token_id == HIGHEST_ENDS else token == config.eos_token_id
    fits = (end.argmax(-1) == length - 1) & (token.max(-1) < config.vocab_size)
    if not fits.all():
        i = int(fits.argmin())
        allowed = "a CLIP whose tokenizer knows the text and ends it where the model looks for it"
        raise InputError(model.field, model.path, f"{allowed}; {texts[i]!r} becomes {rows[i]}")
    return token


def tokenizer(model: Clip) -> Any:
    """Return transformers' CLIPTokenizerFast of a model's folder. Raises InputError."""
    import transformers  # here, because its import takes seconds

    whole, *parts = ((model.folder / name).is_file() for name in TOKENIZER)
    if not whole and not all(parts):
        allowed = "a folder that holds the tokenizer too, as {} or as {} and {}"
        raise InputError(model.field, model.path, allowed.format(*TOKENIZER))
    with refusing(model.field, model.path, "a CLIP whose tokenizer transformers can read"):
        return transformers.CLIPTokenizerFast.from_pretrained(model.folder, local_files_only=True)
