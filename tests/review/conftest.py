"""A run, the application that serves it, and a rater called ada."""

from pathlib import Path

import pytest

from jaxloop.review import app, material
from tests.review import fake
from tests.review.client import PORT, Client


@pytest.fixture
def workdir(tmp_path):
    return fake.write(tmp_path / "run")


@pytest.fixture
def make(workdir):
    def make(path: Path = workdir, generation=None, share=0.2, rater=None):
        return app.create(material.load(path, generation, share), PORT, rater)

    return make


@pytest.fixture
def client(make):
    return Client(make())
