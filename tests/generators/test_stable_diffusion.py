"""Stable Diffusion as a generator: its step against torch's, and through the loop, on random
weights."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop import config, generators
from jaxloop.errors import InputError
from jaxloop.generators import lora, stable_diffusion
from jaxloop.types import Samples
from jaxloop.weights import files
from tests.conftest import hasty
from tests.generators import tiny_pipeline, torch_diffusion
from tests.generators.torch_diffusion import assert_close

CLASSES = ("dog", "fire_truck, fire engine", "deer")
F32 = jnp.dtype("float32")
BATCH = 6


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def folder(request, tmp_path_factory):
    changes = dict(tiny_pipeline.SHALLOW, scheduler={"prediction_type": request.param})
    return tiny_pipeline.write(tmp_path_factory.mktemp("pipeline"), changes)


@pytest.fixture(scope="module")
def shallow(tmp_path_factory):
    return tiny_pipeline.write(tmp_path_factory.mktemp("pipeline"), tiny_pipeline.SHALLOW)


def create(folder, dtype=F32, **fields):
    c = config.default()
    values = {"name": "stable_diffusion", "path": str(folder), "resolution": 8, "rank": 2,
              "alpha": 3.0, "sampling_steps": 3, "batch_size": BATCH}  # fmt: skip
    for name, value in {**values, **fields}.items():
        c.generator[name] = value
    spec = config.resolve(c).generator
    return generators.create(spec, len(CLASSES), 8, 10, dtype, class_names=CLASSES, held_out=None)


def parts(generator):
    """(Diffusion, constants): what the pure functions take."""
    return generator.update.args[0], generator.constants


def drawn(diffusion):
    draw = np.random.default_rng(0)
    latent = draw.normal(size=(2, BATCH, 4, 4, 4)).astype(np.float32)
    return (*latent, np.array([0, 5, 100, 400, 800, 999], np.int32), np.arange(BATCH) % 5)


def moved(tree, seed: int = 0):
    draw = np.random.default_rng(seed)
    return jax.tree.map(lambda x: np.asarray(x + 0.2 * draw.normal(size=x.shape), np.float32), tree)


# Against torch's diffusers with peft


@pytest.mark.parametrize("gamma", [0.0, 5.0])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_loss_and_gradient_are_torchs(tmp_path, folder, gamma):
    torch, diffusers, _ = torch_diffusion.modules()
    pytest.importorskip("peft")
    generator = create(folder, min_snr=gamma, lora_text=True)
    diffusion, constants = parts(generator)
    state = moved(generator.init(jax.random.key(0), jnp.int32(1)).lora)
    clean, noise, timestep, prompt = drawn(diffusion)
    one = lambda s: stable_diffusion.loss(diffusion, constants, s, *drawn(diffusion))  # noqa: E731
    value, gradient = hasty(jax.value_and_grad(one))(state)

    path = tmp_path / "lora.safetensors"
    path.write_bytes(lora.encode(lora.named(state), diffusion.config.alpha, "metadata"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = diffusers.StableDiffusionPipeline.from_pretrained(folder)
        pipe.load_lora_weights(path)
    token = torch.tensor(np.asarray(constants["token"])[prompt]).long()
    schedule = diffusers.DDPMScheduler.from_config(pipe.scheduler.config)
    t = torch.tensor(timestep).long()
    x, e = torch_diffusion.nchw(clean), torch_diffusion.nchw(noise)
    noisy = schedule.add_noise(x, e, t)
    is_noise = schedule.config.prediction_type == "epsilon"
    target = e if is_noise else schedule.get_velocity(x, e, t)
    estimate = pipe.unet(noisy, t, pipe.text_encoder(token).last_hidden_state).sample
    error = torch.nn.functional.mse_loss(estimate, target, reduction="none").mean(dim=(1, 2, 3))
    if gamma:  # as diffusers' training scripts weight it
        from diffusers.training_utils import compute_snr

        snr = compute_snr(schedule, t)
        weight = torch.clamp(snr, max=gamma) / (snr if is_noise else snr + 1)
        error = error * weight
    wanted = error.mean()
    wanted.backward()
    assert float(value) == pytest.approx(wanted.item(), rel=1e-5)
    ours = lora.named(gradient)
    models = {"unet": pipe.unet, "text_encoder": pipe.text_encoder}
    compared = 0
    largest = max(np.abs(x).max() for x in ours.values())
    for part, model in models.items():
        for name, parameter in model.named_parameters():
            if ".lora_" not in name or parameter.grad is None:
                continue
            layer, _, end = name.partition(".lora_")
            key = f"{part}.{layer}.{'down' if end[0] == 'A' else 'up'}"
            # sums over a batch of thousands of products, as a share of the largest gradient
            got, grad = ours[key].T, parameter.grad.numpy()
            np.testing.assert_allclose(got, grad, rtol=0, atol=2e-5 * largest)
            compared += 1
    assert compared == len(ours) == 2 * (32 + 2 * 4)


# The step


def test_accumulation_changes_rounding_alone(shallow):
    steps = []
    for parts_of_a_step in (1, 3):
        generator = create(shallow, accumulation=parts_of_a_step)
        state = generator.init(jax.random.key(0), jnp.int32(1))
        state = state._replace(lora=moved(state.lora))
        draw = np.random.default_rng(0)
        image = draw.normal(size=(BATCH, 4, 4, 8)).astype(np.float32)
        label = jnp.arange(BATCH, dtype=jnp.int32) % 3
        batch = Samples(image, label, label)
        key = jax.random.key(1)
        new, signals = hasty(generator.update)(key, generator.constants, state, batch)
        steps.append((signals, new.lora, state.lora))
    (one, lora_one, before), (several, lora_several, _) = steps
    for name, value in one.items():
        assert float(value) == pytest.approx(float(several[name]), rel=1e-5), name
    moves = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), lora_one, before)
    assert min(jax.tree.leaves(moves)) > 0  # every matrix was trained
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), lora_one, lora_several)


def test_draws_have_the_latents_distribution_and_drop_prompts(shallow):
    generator = create(shallow, label_dropout=0.25)
    diffusion, _ = parts(generator)
    n = 2000
    moments = np.concatenate([np.full((n, 1, 1, 4), 3.0), np.full((n, 1, 1, 4), np.log(4.0))], -1)
    label = jnp.full(n, 2, jnp.int32)
    batch = Samples(jnp.asarray(moments, F32), label, label)
    clean, noise, timestep, prompt = stable_diffusion.draws(diffusion, jax.random.key(0), batch)
    scaling = diffusion.pipeline.scaling
    # 8,000 numbers: four standard errors
    assert float(clean.mean()) == pytest.approx(3 * scaling, abs=4 * 2 * scaling / 8000**0.5)
    assert float(clean.std()) == pytest.approx(2 * scaling, rel=0.04)
    assert float(noise.std()) == pytest.approx(1, rel=0.04)
    assert int(timestep.min()) < 10 and int(timestep.max()) > 989
    assert set(np.unique(prompt)) == {2, len(CLASSES)}
    assert float((prompt == len(CLASSES)).mean()) == pytest.approx(0.25, abs=0.04)


def test_images_are_resized_for_the_autoencoder_and_back(shallow):
    generator = create(shallow, resolution=16)
    diffusion, constants = parts(generator)
    image = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    codes = hasty(generator.encode)(constants, image)
    assert codes.shape == (2, 8, 8, 8)  # half of 16, twice 4 latent channels
    large = jax.image.resize(image / np.float32(127.5) - 1, (2, 16, 16, 3), "cubic")
    vae = diffusion.pipeline.vae
    wanted = hasty(lambda x: vae.apply({"params": constants["vae"]}, x, method=vae.encode))
    assert_close(codes, wanted(jnp.clip(large, -1, 1)))
    out = hasty(lambda c, x: stable_diffusion.decode(diffusion, c, x))(constants, codes[..., :4])
    assert out.shape == (2, 8, 8, 3) and out.dtype == jnp.uint8


def test_prompts_are_the_template_with_the_first_synonym(shallow):
    facts = create(shallow, negative="ugly", guidance=2.0).facts
    wanted = ["a photo of a dog", "a photo of a fire truck", "a photo of a deer", "", "ugly"]
    assert facts["prompts"] == wanted


def test_guidance_leads_from_the_negative_prompt(shallow):
    """guided = without + g (with - without): at g = 1 the negative prompt has no say."""
    label, key = jnp.array([0, 1], jnp.int32), jax.random.key(2)
    images = {}
    for negative, guidance in (("", 1.0), ("", 3.0), ("phot of", 3.0)):
        generator = create(shallow, negative=negative, guidance=guidance)
        state = generator.init(jax.random.key(0), jnp.int32(1))
        images[negative, guidance] = hasty(generator.sample)(key, generator.constants, state, label)
    different = {x.tobytes() for x in map(np.asarray, images.values())}
    assert len(different) == 3


def test_text_encoder_is_trained_where_asked(shallow):
    generator = create(shallow, lora_text=True)
    state = generator.init(jax.random.key(0), jnp.int32(1))
    assert set(state.lora) == {"unet", "text_encoder"}
    assert len(files.flat(state.lora["text_encoder"])) == 2 * 4 * 2
    assert set(create(shallow).init(jax.random.key(0), jnp.int32(1)).lora) == {"unet"}


def test_bfloat16_computes_in_it_and_trains_in_float32(shallow, standard_promotion):
    """As on accelerators: frozen weights and codes in bfloat16, LoRA and optimiser in float32."""
    generator = create(shallow, dtype=jnp.dtype("bfloat16"))
    assert {x.dtype for x in jax.tree.leaves(generator.constants)} == {jnp.dtype("bfloat16")}
    state = generator.init(jax.random.key(0), jnp.int32(1))
    image = np.random.default_rng(0).integers(0, 256, (BATCH, 8, 8, 3)).astype(np.uint8)
    codes = hasty(generator.encode)(generator.constants, image)
    assert codes.dtype == jnp.bfloat16
    exact = create(shallow)
    wanted = np.asarray(hasty(exact.encode)(exact.constants, image))
    # eight bits a number, through some twenty layers: sqrt(20) / 2^8
    error = np.asarray(codes, np.float32) - wanted
    assert 0 < np.sqrt(np.mean(error**2)) < 0.02 * wanted.std()
    label = jnp.zeros(BATCH, jnp.int32)
    batch = Samples(codes, label, label)
    new, signals = hasty(generator.update)(jax.random.key(1), generator.constants, state, batch)
    kinds = {x.dtype for x in jax.tree.leaves(new)} - {jnp.dtype("int32")}
    assert kinds == {F32} and np.isfinite(float(signals["generator/loss"]))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"accumulation": 4}, "a divisor of generator.batch_size"),
        ({"resolution": 9}, "a multiple of 2"),
        ({"targets": ("nothing",)}, "dense layers"),
        ({"negative": "ugly"}, "empty where guidance is 1"),
        ({"template": "{} {}"}, "one {}"),
        ({"path": "nowhere"}, "a folder"),
    ],
)
def test_fields_that_do_not_fit_are_refused(shallow, fields, word):
    with pytest.raises(InputError, match=word) as refusal:
        create(shallow, **fields)
    assert refusal.value.field == f"config.generator.{next(iter(fields))}"
