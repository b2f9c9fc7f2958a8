import json

import pytest

from jaxloop import config
from jaxloop.errors import InputError


def test_defaults_resolve_to_themselves():
    default = config.resolve(config.default())
    assert default == config.resolve({}) == config.resolve(config.to_dict(default))
    assert default.generator.learning_rate == 3e-3  # the DCGAN's own


def test_survives_json():
    c = config.default()
    c.data.color = ((0.8, 0.1, 0.1),) * 10
    spec = config.resolve(c)
    assert config.resolve(json.loads(json.dumps(config.to_dict(spec)))) == spec
    assert config.flat(spec)["data.color"] == ((0.8, 0.1, 0.1),) * 10


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("seeds", (), "different integers"),
        ("seeds", (1, 1), "different integers"),
        ("seeds", (-1,), "different integers"),
        ("seeds", (1.5,), "tuple of integers"),
        ("seeds", 3, "tuple of integers"),
        ("classifiers", (), "registered names"),
        ("devices.seeds", "both", "auto, together, in_turn"),
        ("devices.dtype", "float16", "auto, float32, bfloat16"),
        ("tensorboard", 1, "boolean"),
        ("data.image_size", 7, "[8, 1024]"),
        ("data.image_size", "16", "integer"),
        ("data.color", ((0.5, 0.5, 0.5),), "sum to 1"),
        ("data.color", ((1.5, -0.5, 0.0),), "sum to 1"),
        ("data.color", ((),), "sum to 1"),
        ("data.test_color", "Uniform", "uniform, same"),
        ("data.validation", 0.0, "(0, 0.5]"),
        ("loop.generations", -1, ">= 0"),
        ("loop.generations", 1_000_001, "at most a million"),
        ("loop.mix", float("nan"), "(0, 10]"),
        ("loop.capacity", 0, "[1, 1000]"),
        ("loop.policy", "lifo", "fifo, replace, accumulate, accumulate_subsample"),
        ("loop.real", "some", "fixed, none, fresh"),
        ("loop.fresh", 0.0, "(0, 1]"),
        ("generator.truncation", -0.5, "[0, 4]"),
        ("filter.ranking", "group", "class, all"),
        ("filter.template", "a photo", "one {} in it"),
        ("filter.template", "{} and {}", "one {} in it"),
        ("filter.template", "{0} {}", "one {} in it"),
        ("filter.weights", (0.0, 0.0), "not both 0"),
        ("filter.weights", (1.0,), "two numbers"),
        ("filter.weights", (float("nan"), 1.0), "two numbers"),
        ("filter.reviewed", 0.0, "(0, 1]"),
        ("generator.learning_rate", float("inf"), "> 0"),
        ("generator.batch_size", True, "integer"),
        ("filter.drop", 1.0, "[0, 0.99]"),
        ("classifier.patience", 0, ">= 1"),
        ("checkpoint.every_seconds", -1.0, ">= 0"),
    ],
)
def test_out_of_range_or_of_another_type(field, value, says):
    values = config.to_dict(config.resolve({}))
    group, _, name = field.rpartition(".")
    (values[group] if group else values)[name] = value
    with pytest.raises(InputError) as error:
        config.resolve(values)
    assert str(error.value).startswith(f"config.{field}=") and says in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_fields_are_refused_with_what_was_meant():
    with pytest.raises(InputError, match=r"config.data.imagesize=3 .*did you mean image_size"):
        config.resolve({"data": {"imagesize": 3}})
    with pytest.raises(InputError, match=r"config.loop.generation=.*did you mean loop.generations"):
        config.check_flags(["main", "--config.loop.generation=3"])
    with pytest.raises(InputError, match="group of fields"):
        config.resolve({"data": 3})
    config.check_flags(["main", "--config.loop.generations=3", "--config.seeds=0,", "--workdir=x"])


def test_a_whole_number_is_a_number():
    assert config.resolve({"classifier": {"width": 1}}).classifier.width == 1.0


@pytest.mark.parametrize(
    "typed",
    [("lenet,alexnet",), ("lenet", "alexnet"), ["lenet", " alexnet "], ("lenet, alexnet,",)],
)
def test_names_may_be_typed_with_commas(typed):
    assert config.resolve({"classifiers": typed}).classifiers == ("lenet", "alexnet")


def test_allowed_words_name_the_type():
    assert (
        config.allowed("config.loop.generations") == "an integer >= 0, at most a million (integer)"
    )
    assert config.allowed("workdir") is None


def test_table_has_every_field():
    table = config.table()
    assert all(f"| `{name}` |" in table for name in config.flat(config.resolve({})))


CONTROL = {"generator.name": "resample", "data.held_out": 0.5}
UNREAD = [
    ("data.held_out", 0.5, {}, "generator.name is resample"),
    ("data.partial", True, {}, "data.name is one of BREEDS"),
    ("classifier.trained", "head", {}, "there are pretrained weights"),
    ("generator.learning_rate", 0.1, CONTROL, "generator.name is not resample"),
    ("generator.weight_decay", 0.1, CONTROL, "generator.name is not resample"),
    ("generator.schedule", "cosine", CONTROL, "generator.name is not resample"),
    ("generator.warmup", 0.1, CONTROL, "generator.name is not resample"),
    ("data.color", ((0.8, 0.1, 0.1),) * 10, {"data.name": "cifar"}, "data.name is digits or mnist"),
    ("data.path", "somewhere", {}, "data.name is not digits"),
    ("loop.fresh", 0.5, {}, "loop.real is fresh"),
    ("loop.capacity", 2, {"loop.policy": "replace"}, "loop.policy is fifo"),
    ("answer.max_seeds", 9, {}, "answer.width is more than 0"),
    ("filter.drop", 0.3, {"filter.name": "none"}, "filter.name is not none"),
    ("filter.ranking", "all", {"filter.name": "none"}, "filter.name is not none"),
    ("filter.passes", 3, {}, "filter.name is mc_dropout"),
    ("filter.classifier", "lenet", {"filter.name": "random"}, "needs a classifier"),
    ("filter.clip", "folder", {}, "needs CLIP"),
    ("filter.template", "a {}", {}, "needs CLIP"),
    ("filter.weights", (1.0, 2.0), {}, "two experts"),
    ("filter.reviewed", 0.5, {}, "filter.name is human"),
    ("measure.resize", "clean", {}, "measure.fid is True"),
    ("measure.inception", "file", {}, "measure.fid is True"),
]


@pytest.mark.parametrize(("field", "value", "others", "condition"), UNREAD)
def test_a_field_that_the_chosen_parts_do_not_read_is_refused(field, value, others, condition):
    c = config.default()
    c.update_from_flattened_dict({**others, field: value})
    with pytest.raises(InputError, match=f"config.{field}=.*read only where.*{condition}"):
        config.resolve(c)


def test_every_condition_on_a_field_is_tried():
    assert config._READ.keys() - {row[0] for row in UNREAD} <= {"data.test_color"}


def test_a_home_folder_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert config.resolve({"measure": {"clip": "~/clip"}}).measure.clip == "/home/ada/clip"
