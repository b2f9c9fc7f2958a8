"""Folders in diffusers' layout become modules whose numbers are torch's; what they are not written
for is refused by name."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from jaxloop.errors import InputError
from jaxloop.generators import noise_schedule, pipeline
from tests.conftest import hasty
from tests.generators import tiny_pipeline, torch_diffusion
from tests.generators.torch_diffusion import assert_close, nchw, nhwc

PROMPTS = ["dog", "a photo of a dog", ""]


@pytest.fixture(scope="module", params=["version 1", "version 2"])
def folder(request, tmp_path_factory):
    changes = tiny_pipeline.VERSION_2 if request.param == "version 2" else {}
    return tiny_pipeline.write(tmp_path_factory.mktemp("pipeline"), changes)


def read(folder, prompts=PROMPTS):
    return pipeline.read(str(folder), prompts, jnp.dtype("float32"), remat=False)


@pytest.fixture(scope="module")
def built(folder):
    return read(folder)


def draw(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def test_unet_is_torchs(folder, built):
    torch, _, _ = torch_diffusion.modules()
    found, constants, _ = built
    x, text = draw(2, 4, 4, 4), draw(2, tiny_pipeline.LENGTH, tiny_pipeline.WIDTH)
    timestep = np.array([3, 981], np.int32)
    ours = hasty(found.unet.apply)({"params": constants["unet"]}, x, timestep, text)
    theirs = torch_diffusion.part(folder, "unet")
    wanted = theirs(nchw(x), torch.tensor(timestep), torch.tensor(text)).sample
    assert_close(ours, nhwc(wanted))


def test_autoencoder_is_torchs(folder, built):
    found, constants, _ = built
    image, latent = draw(2, 8, 8, 3), draw(2, 4, 4, 4)
    theirs, variables = torch_diffusion.part(folder, "vae"), {"params": constants["vae"]}
    encode = hasty(lambda v, x: found.vae.apply(v, x, method=found.vae.encode))
    decode = hasty(lambda v, x: found.vae.apply(v, x, method=found.vae.decode))
    assert_close(encode(variables, image), nhwc(theirs._encode(nchw(image))))
    assert_close(decode(variables, latent), nhwc(theirs.decode(nchw(latent)).sample))


def test_text_encoder_and_tokens_are_torchs(folder, built):
    torch, _, transformers = torch_diffusion.modules()
    found, constants, _ = built
    slow = transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer")
    wanted = slow(PROMPTS, padding="max_length", max_length=tiny_pipeline.LENGTH)["input_ids"]
    np.testing.assert_array_equal(constants["token"], wanted)
    ours = hasty(found.text.apply)({"params": constants["text"]}, constants["token"])
    theirs = torch_diffusion.part(folder, "text_encoder")
    assert_close(ours, theirs(torch.tensor(wanted)).last_hidden_state.detach())


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("sampler", ["ddim", "dpm"])
@pytest.mark.parametrize("steps", [7, 20])
@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of torch, inside diffusers
def test_samplers_are_torchs(folder, built, sampler, spacing, steps):
    """In float32; the network is a function that depends on timestep and latents."""
    torch, diffusers, _ = torch_diffusion.modules()
    kind = {"ddim": "DDIMScheduler", "dpm": "DPMSolverMultistepScheduler"}[sampler]
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    config = {k: v for k, v in config.items() if k[0] != "_"} | {"timestep_spacing": spacing}
    theirs = getattr(diffusers, kind).from_config(config)
    theirs.set_timesteps(steps)
    found, x = built[0], draw(1, 4, 4, 4)
    ours = noise_schedule.timesteps(found.schedule, steps, spacing, sampler)
    np.testing.assert_array_equal(ours, theirs.timesteps)

    def network(x, t):
        return 0.8 * x + 0.1 * jnp.sin(t.astype(jnp.float32) / 100.0)

    out = noise_schedule.SAMPLERS[sampler](found.schedule, network, x, steps, spacing)
    wanted = torch.tensor(x)
    for t in theirs.timesteps:
        estimate = 0.8 * wanted + 0.1 * torch.sin(t / 100.0)
        wanted = theirs.step(estimate, t, wanted).prev_sample
    assert_close(out, wanted)


def test_older_names_half_precision_and_shards_give_the_same(tmp_path, folder, built):
    """fp16 rounds to 11 bits; the rest is equal."""
    tiny_pipeline.write(tmp_path, tiny_pipeline.VERSION_2 if "linear" in str(built[0]) else {})
    for part in ("unet", "vae", "text_encoder"):  # the same weights, whatever the version
        for source in (folder / part).glob("*.*"):
            (tmp_path / part / source.name).write_bytes(source.read_bytes())
    vae = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.numpy.load_file(vae)
    old = {v: k for k, v in pipeline.diffusers_folder.OLD_ATTENTION.items()}
    renamed = {
        re.sub(r"(to_q|to_k|to_v|to_out\.0)", lambda match: old[match[1]], key): x[:, :, None, None]
        if "attentions" in key and x.ndim == 2  # as 1x1 convolutions, as in the oldest files
        else x
        for key, x in tensors.items()
    }
    assert any("proj_attn" in key for key in renamed)
    safetensors.numpy.save_file(renamed, vae)
    unet = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = sorted(safetensors.numpy.load_file(unet).items())
    table = {}
    for i, piece in enumerate((tensors[:9], tensors[9:])):
        name = f"diffusion_pytorch_model-{i + 1:05d}-of-00002.safetensors"
        safetensors.numpy.save_file(dict(piece), unet.with_name(name))
        table |= dict.fromkeys(dict(piece), name)
    unet.with_suffix(".safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    unet.unlink()
    text = tmp_path / "text_encoder" / "model.safetensors"
    half = {k: x.astype(np.float16) for k, x in safetensors.numpy.load_file(text).items()}
    half["text_model.embeddings.position_ids"] = np.arange(tiny_pipeline.LENGTH)[None]
    safetensors.numpy.save_file(half, text.with_name("model.fp16.safetensors"))
    text.unlink()
    _, constants, facts = read(tmp_path)
    for part in ("unet", "vae"):
        jax.tree.map(np.testing.assert_array_equal, constants[part], built[1][part])
    rounded = lambda x: np.asarray(x, np.float16).astype(np.float32)  # noqa: E731
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a, rounded(b)),
        constants["text"], built[1]["text"],
    )  # fmt: skip
    assert {f"unet/{name}" for name in table.values()} <= set(facts["sha256"])
    assert all(len(value) == 64 for value in facts["sha256"].values())


REFUSED = {
    "another pipeline": ("model_index.json", {"_class_name": "StableDiffusionXLPipeline"}, "XL"),
    "unet's additions": ("unet/config.json", {"addition_embed_type": "text_time"}, "addition_emb"),
    "unet's blocks": ("unet/config.json", {"down_block_types": ["A", "DownBlock2D"]}, "CrossAttn"),
    "unet's levels": ("unet/config.json", {"up_block_types": ["UpBlock2D"]}, "up_block_types"),
    "unet's unknown key": ("unet/config.json", {"twist": 3}, "twist"),
    "unet's text": ("unet/config.json", {"cross_attention_dim": 8}, "cross_attention_dim"),
    "vae's channels": ("vae/config.json", {"latent_channels": 16}, "in_channels"),
    "vae's shift": ("vae/config.json", {"shift_factor": 0.1}, "shift_factor"),
    "text's activation": ("text_encoder/config.json", {"hidden_act": "relu"}, "hidden_act"),
    "text's kind": ("text_encoder/config.json", {"model_type": "t5"}, "clip_text_model"),
    "prediction": ("scheduler/scheduler_config.json", {"prediction_type": "sample"}, "sample"),
    "betas": ("scheduler/scheduler_config.json", {"beta_schedule": "sigmoid"}, "beta_schedule"),
    "zero snr": ("scheduler/scheduler_config.json", {"rescale_betas_zero_snr": True}, "zero_snr"),
    "vocabulary": ("text_encoder/config.json", {"vocab_size": 40}, "tokens"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_supported_is_refused_by_name(tmp_path, case):
    tiny_pipeline.write(tmp_path)
    name, change, word = REFUSED[case]
    path = tmp_path / name
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=word) as refusal:
        read(tmp_path)
    assert refusal.value.field == pipeline.FIELD and "\n" not in str(refusal.value)


def test_tensors_that_do_not_fit_are_named(tmp_path):
    tiny_pipeline.write(tmp_path)
    path = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    whole = safetensors.numpy.load_file(path)
    missing = {k: x for k, x in whole.items() if k != "conv_in.bias"}
    cases = {
        "conv_in.bias is missing": missing,
        "stranger is none": {**whole, "stranger": np.zeros(2, np.float32)},
        r"conv_in.bias has shape \(5,\)": {**whole, "conv_in.bias": np.zeros(5, np.float32)},
    }
    for words, tensors in cases.items():
        safetensors.numpy.save_file(tensors, path)
        with pytest.raises(InputError, match=words):
            read(tmp_path)
    path.write_bytes(b"torn")
    with pytest.raises(InputError, match="whole"):
        read(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="unet holds one of"):
        read(tmp_path)


def test_missing_folders_long_prompts_and_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="a folder that exists, or a hub name"):
        read(tmp_path / "nowhere" / "at all")
    tiny_pipeline.write(tmp_path)
    with pytest.raises(InputError, match="at most 12 tokens"):
        read(tmp_path, ["dog " * 12])
    (tmp_path / "tokenizer" / "vocab.json").unlink()
    with pytest.raises(InputError, match="vocab.json"):
        read(tmp_path)
    (tmp_path / "unet" / "config.json").write_text("{")
    with pytest.raises(InputError, match="unet/config.json"):
        read(tmp_path)


def test_a_hub_name_is_fetched_a_part_at_a_time(tmp_path, monkeypatch):
    """Of each part, the weights that exist, and what stands beside them; nothing else."""
    tiny_pipeline.write(tmp_path)
    asked = []

    def fetch(name, allow_patterns):
        asked.append(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    _, _, facts = read("owner/stable-diffusion")
    assert len(asked) == len(pipeline.PARTS) and "unet/config.json" in facts["sha256"]
    for patterns, part in zip(asked, pipeline.PARTS, strict=True):
        assert all(p == "model_index.json" or p.startswith(f"{part}/") for p in patterns)
    assert "unet/diffusion_pytorch_model.safetensors" in asked[0]


def test_names_of_classes_are_their_first_synonym():
    assert pipeline.class_name("dog_sled, dogsled, dog sleigh") == "dog sled"
    assert pipeline.class_name("aquarium_fish") == "aquarium fish"
