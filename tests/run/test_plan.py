"""--dry_run: the plan, and the memory that it needs."""

import jax
import pytest

from jaxloop.errors import InputError
from jaxloop.loop import advance, stages
from jaxloop.run import driver, plan
from tests.conftest import tiny


def test_a_dry_run_prints_the_plan_and_leaves_nothing(tmp_path, capsys, one_device):
    driver.dry_run(tiny(), tmp_path / "run")
    out = capsys.readouterr().out
    assert "1293 training, 144 validation and 360 test images" in out
    assert "generations: 2, each 440 images generated and 390 kept; the queue holds 780" in out
    assert "seeds: 0, 1, in turn; arms: none" in out
    assert "generator 20, sample 2, filter 1, classifier/lenet 20" in out
    assert "working memory of the generator's training" in out
    assert not (tmp_path / "run").exists()


def test_a_dry_run_refuses_what_a_run_refuses(tmp_path, one_device):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="config.json cannot be read"):
        driver.dry_run(tiny(), tmp_path)


def test_memory_is_that_of_constants_and_state(tiny_experiment):
    size = lambda tree: sum(x.nbytes for x in jax.tree.leaves(tree))  # noqa: E731
    state = advance.initial(tiny_experiment, stages.build(tiny_experiment))
    assert plan.memory(tiny_experiment, state) == {
        "frozen weights of the generator": 0,
        "data and other constants": size(tiny_experiment.constants),
        "state of 2 seeds": size(state[1:]),
    }


def test_an_arm_without_a_generator_needs_no_memory_for_its_training(tiny_experiment):
    arm = tiny_experiment._replace(provides=frozenset())
    built = stages.build(arm)
    assert plan.working_memory(arm, built, advance.initial(arm, built)) is None
    assert plan.gib(2**30) == "1.00 GiB" and plan.gib(3 * 2**19) == "1.5 MiB"
