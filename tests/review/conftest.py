"""A run, the application that serves it, and a rater called ada; a server of its own, and a browser
before it.
"""

import signal
from pathlib import Path

import pytest

from jaxloop.review import app, material
from tests.review import fake
from tests.review.browser import Browser
from tests.review.client import PORT, Client
from tests.review.process import Server
from tests.review.study_page import READY, rater


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


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(fake.write(tmp_path_factory.mktemp("review") / "run"))
    yield server
    server.end(signal.SIGKILL)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def page(server, browser, request):
    """The study's first page, of a rater of this test's own."""
    page = browser.page()
    page.open(server.url + "name")
    page.wait("document.activeElement.id === 'name' && document.readyState === 'complete'")
    page.value("document.activeElement.select()")  # the name of the rater before
    page.type(rater(request))
    page.key("Enter")
    page.wait(READY)
    return page
