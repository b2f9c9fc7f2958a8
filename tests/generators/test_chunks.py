"""Training and sampling in chunks, resumed between any two: no bit changes."""

import jax
import pytest
from playing import same_state

from jaxloop import config
from jaxloop.loop import advance, stages
from jaxloop.loop.state import on_devices, on_host
from jaxloop.run import build


@pytest.mark.parametrize("name", ["edm", "flow"])
def test_chunks_and_resumption_change_no_bit(name):
    c = config.default()
    c.seeds, c.classifiers, c.data.image_size = (0, 1), ("lenet",), 12
    c.filter.name, c.loop.generations, c.loop.mix = "none", 1, 0.3
    c.generator.name, c.generator.width, c.generator.batch_size = name, 4, 256
    c.generator.max_steps, c.generator.sampling_steps, c.generator.guidance = 7, 3, 2.0
    experiment = build.build(config.resolve(c), devices=jax.devices()[:1])[0]
    built, seeds = stages.build(experiment), advance.seeds_on_devices(experiment)
    assert built[0].name == "generator" and built[1].name == "sample"
    begin = on_devices(advance.initial(experiment, built), experiment.seeds)
    begin = begin._replace(cursor=begin.cursor._replace(generation=1))

    def sampled(count: int, resumed: bool):
        state = on_devices(on_host(begin), experiment.seeds)
        while state.cursor.stage < 2:
            state = advance.step(built, seeds, state, count)
            if resumed:
                state = on_devices(on_host(state), experiment.seeds)
        return state

    assert built[1].steps(begin) > 1  # sampling, too, is cut
    same_state(sampled(10**6, False), sampled(1, True))
