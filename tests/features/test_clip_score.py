import json
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import serialization

from jaxloop import devices
from jaxloop.errors import InputError
from jaxloop.features import clip, clip_score
from tests.classifiers.oracles import libraries
from tests.features.test_clip import PREPROCESSOR, TOWER, copied, pictures, random_params

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.-'"
MERGES = [
    "p h",
    "o t",
    "ph ot",
    "phot o</w>",
    "o f</w>",
    "d o",
    "do g</w>",
    "t r",
    "tr u",
    "c k</w>",
    "tru ck</w>",
]
START, END = "<|startoftext|>", "<|endoftext|>"
TOKENS = [
    *LETTERS,
    *(x + "</w>" for x in LETTERS),
    *(x.replace(" ", "") for x in MERGES),
    START,
    END,
]
POSITIONS = 24

NAMES = ["dog", "Fire truck", "DOG", "o", "white-tailed deer", ""]
TEXTS = [*(f"a photo of a {name}." for name in NAMES), *NAMES[:-1]]


def config(end: int) -> dict:
    """What config.json says; `end` is the token that texts are said to end with."""
    text = {"vocab_size": len(TOKENS), "max_position_embeddings": POSITIONS, "eos_token_id": end}
    return {
        "model_type": "clip",
        "text_config": {**TOWER, **text},
        "vision_config": {**TOWER, "image_size": 24, "patch_size": 8},
        "projection_dim": 12,
    }


ENDS = (
    len(TOKENS) - 1,
    clip_score.HIGHEST_ENDS,
)  # as CLIPs say that are published now, and as they did


def write_tokenizer(folder: Path) -> None:
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(TOKENS)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with Flax's weights and a tokenizer of a few words."""
    folder = tmp_path_factory.mktemp("flax")
    (folder / "config.json").write_text(json.dumps(config(ENDS[0])))
    (folder / "flax_model.msgpack").write_bytes(
        serialization.msgpack_serialize(random_params(config(ENDS[0])))
    )
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def score(folder) -> clip_score.ClipScore:
    return clip_score.load(folder, TEXTS)


# Against transformers' PyTorch model and its processor


@pytest.mark.parametrize("end", ENDS)
def test_scores_are_transformers(tmp_path, end):
    torch, _, _ = libraries()
    import transformers

    torch.manual_seed(0)
    model = transformers.CLIPModel(transformers.CLIPConfig.from_dict(config(end))).eval()
    with torch.no_grad():
        for (
            name,
            x,
        ) in model.named_parameters():  # as they are drawn, the tokens would hardly be felt
            x.normal_(0, 0.5 if x.ndim < 2 or "embedding" in name else x[0].numel() ** -0.5)
    write_tokenizer(tmp_path)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(
        tmp_path
    )  # the one in Python; ours is the one in Rust
    processor = transformers.CLIPProcessor(
        transformers.CLIPImageProcessor(**PREPROCESSOR), tokenizer
    )
    model.save_pretrained(tmp_path)
    processor.image_processor.save_pretrained(tmp_path)

    image = pictures(40, 28) // np.array([1, 2, 8], np.uint8)[:, None, None, None]
    score, label = clip_score.load(tmp_path, TEXTS), np.arange(len(TEXTS), dtype=np.int32)
    scored = jax.jit(score.apply)
    ours = [scored(score.variables, np.stack([x] * len(TEXTS)), label) for x in image]
    expected = []
    for text in TEXTS:  # one at a time: none is padded
        inputs = processor(
            text=[text], images=list(image), return_tensors="pt", input_data_format="channels_last"
        )
        with torch.no_grad():
            expected.append(
                (model(**inputs).logits_per_image / model.logit_scale.exp())[:, 0].numpy()
            )
    expected = np.stack(expected, 1)
    # 6e-6 was measured, and 6e-7 where no pixel is rounded the other way than PIL rounds it.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)
    assert np.ptp(expected, axis=0).min() > 1e-2  # images are told apart,
    assert np.ptp(expected, axis=1).min() > 0.1  # and texts


# Without torch


def test_texts_are_the_flax_models_with_a_mask(folder, score):
    found = clip.find(folder)
    words = {
        "dog": "dog</w>",
        "Fire truck": "f i r e</w> truck</w>",
        "DOG": "dog</w>",
        "o": "o</w>",
    }
    token = np.full((len(words), 8), ENDS[0])
    mask = np.zeros_like(token)
    for row, name in enumerate(words):
        line = [TOKENS.index(x) for x in (START, *words[name].split(), END)]
        token[row, : len(line)], mask[row, : len(line)] = line, 1
    expected = np.asarray(
        jax.jit(found.model.get_text_features)(token, mask, params=clip.params(found))
    )
    text = np.stack([score.variables["text"][TEXTS.index(name)] for name in words])
    np.testing.assert_allclose(
        text, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=0, atol=1e-6
    )
    assert np.abs(text[0] - text[1]).max() > 0.05  # the names are told apart


def test_scores_are_cosines_of_the_image_features(folder, score):
    image, label = pictures(20, 24, 4), np.array([3, 0, 0, 8], np.int32)
    network, scored = clip.load(folder), jax.jit(score.apply)
    unit = network(image) / np.linalg.norm(network(image), axis=1, keepdims=True)
    expected = (unit * score.variables["text"][label]).sum(1)
    np.testing.assert_allclose(scored(score.variables, image, label), expected, rtol=0, atol=1e-6)
    # Along its text an image scores 1, and rounding, here enlarged, does not take it further.
    along = score.variables | {"text": np.repeat(unit * np.float32(1.00001), 3, 0)[: len(TEXTS)]}
    assert scored(along, image, np.array([0, 3, 6, 9], np.int32)).tolist() == [1, 1, 1, 1]
    assert (
        scored(along | {"text": -along["text"]}, image, np.array([0, 3, 6, 9], np.int32)).tolist()
        == [-1] * 4
    )
    assert set(score.variables["params"]) == set(clip.IMAGE)
    assert (score.sha256, score.variables["text"].dtype) == (network.sha256, np.float32)


def test_compiled_in_batches_and_for_all_seeds_it_scores_the_same(score):
    image = pictures(20, 24, 12).reshape(2, 6, 20, 24, 3)
    label = np.array([0, 1, 2, 3, 4, 9], np.int32)
    plain = np.stack([score.apply(score.variables, mine, label) for mine in image])

    def batched(variables, image, label):
        return devices.in_batches(lambda x, y: score.apply(variables, x, y), 4, image, label)

    together = jax.jit(jax.vmap(batched, (None, 0, None)))(score.variables, image, label)
    # In another order of sums: float32's last digits.
    np.testing.assert_allclose(together, plain, rtol=0, atol=1e-6)
    assert np.ptp(plain, axis=1).min() > 0.05


def test_one_file_of_tokenizer_is_as_good_as_two(folder, score, tmp_path):
    tokenizer = clip_score.tokenizer(clip.find(folder))
    tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    copied(folder, tmp_path, vocab__json=None, merges__txt=None)
    other = clip_score.load(tmp_path, TEXTS)
    np.testing.assert_array_equal(other.variables["text"], score.variables["text"])
    assert other.settings == score.settings


def test_settings_tell_texts_and_tokenizers_apart(folder, score, tmp_path):
    (tmp_path / "vocab.json").write_text(
        json.dumps({token: i for i, token in enumerate(TOKENS[1::-1] + TOKENS[2:])})
    )
    copied(folder, tmp_path, vocab__json=None)
    others = [clip_score.load(folder, TEXTS[::-1]), clip_score.load(tmp_path, TEXTS)]
    assert len({score.settings, *(other.settings for other in others)}) == 3
    np.testing.assert_allclose(
        others[0].variables["text"][::-1], score.variables["text"], rtol=0, atol=1e-6
    )


# What is refused. The weights of these folders are junk, so that reading them is another error.


def changed_text(**told) -> bytes:
    return json.dumps(
        config(ENDS[0]) | {"text_config": config(ENDS[0])["text_config"] | told}
    ).encode()


@pytest.mark.parametrize(
    ("files", "texts", "field", "message"),
    [
        (
            {"vocab__json": None},
            ["dog"],
            "clip",
            "holds the tokenizer too, as tokenizer.json or as vocab.json and",
        ),
        ({"merges__txt": None}, ["dog"], "clip", "holds the tokenizer too"),
        ({"vocab__json": b"[]"}, ["dog"], "clip", "tokenizer transformers can read"),
        ({"tokenizer__json": b"{}"}, ["dog"], "clip", "tokenizer transformers can read"),
        (
            {},
            ["dog", "dog " * (POSITIONS - 1)],
            "template",
            r"at most 24 tokens, .*; this one has 25$",
        ),
        ({}, ["dog", "dog @"], "clip", r"knows the text .*; 'dog @' becomes \["),
        ({}, ["dog", END], "clip", "knows the text"),
        (
            {"config__json": changed_text(eos_token_id=5)},
            ["dog"],
            "clip",
            "where the model looks for it",
        ),
        (
            {"config__json": changed_text(vocab_size=ENDS[0])},
            ["dog"],
            "clip",
            "whose tokenizer knows the text",
        ),
    ],
)
def test_what_cannot_be_scored_is_refused(folder, tmp_path, files, texts, field, message):
    copied(folder, tmp_path, flax_model__msgpack=b"junk", **files)
    with pytest.raises(InputError, match=f"^config.filter.{field}=.* is refused; .*{message}"):
        clip_score.load(tmp_path, texts)


def test_a_text_of_all_positions_is_not_too_long(folder):
    assert len(clip_score.tokens(clip.find(folder), ["dog " * (POSITIONS - 2)])[0]) == POSITIONS


@pytest.mark.parametrize("path", ["", "nowhere"])
def test_a_path_to_nothing_is_refused(path):
    with pytest.raises(
        InputError,
        match=f"^config.filter.clip='{path}' .* a folder that exists, or a hub name as openai",
    ):
        clip_score.load(path, ["dog"])


def test_weights_are_refused_by_the_filters_name(folder, tmp_path):
    copied(folder, tmp_path, flax_model__msgpack=b"junk")
    with pytest.raises(InputError, match="^config.filter.clip=.* a whole flax_model.msgpack"):
        clip_score.load(tmp_path, ["dog"])


def test_the_tokenizer_is_fetched_from_the_hub(folder, monkeypatch):
    asked = []

    def fetch(name, allow_patterns):
        asked.append(set(allow_patterns))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    clip_score.load("some/clip", ["dog"])
    clip.load("some/clip")
    assert asked[1] >= {
        "tokenizer.json",
        "vocab.json",
        "merges.txt",
        "config.json",
        "flax_model.msgpack",
    }
    assert asked[3] == {
        "config.json",
        "preprocessor_config.json",
        "flax_model.msgpack",
    }  # images need none
