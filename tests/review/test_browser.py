"""The study in a real browser against a real server: what a person sees is what is in the file."""

import http.client
import http.server
import json
import os
import signal
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from jaxloop.provenance import sheets
from tests.review import fake
from tests.review.browser import CTRL, PROGRAM, Browser
from tests.review.process import Server

NONE = "no chromium, chromium-browser or google-chrome on the PATH (launch/browser.sh)"
pytestmark = pytest.mark.skipif(PROGRAM is None and "CI" not in os.environ, reason=NONE)

MARKED = "[...document.querySelectorAll('.tile')].map((tile) => tile.dataset.verdict)"
READY = "document.getElementById('progress')?.textContent"
PROBLEM = "document.getElementById('problem').textContent"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(fake.write(tmp_path_factory.mktemp("review") / "run"))
    yield server
    server.end(signal.SIGKILL)


@pytest.fixture(scope="module")
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


def rater(request) -> str:
    return request.node.name[-40:]


def seen(page) -> list[str]:
    """The names (sha256) of a page's pictures, by the pixels that the browser shows, read off a canvas."""
    colour = page.value(
        "Promise.all([...document.querySelectorAll('.tile img')].map(async (image) => { await image.decode();"
        "const context = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext('2d');"
        "context.drawImage(image, 0, 0);"
        "const pixel = [...context.getImageData(3, 3, 1, 1).data];"
        "return pixel.slice(0, 3).concat(image.naturalWidth, image.naturalHeight); }))"
    )
    assert {tuple(c[3:]) for c in colour} == {(fake.SIDE, fake.SIDE)}
    return [sheets.sha256(np.full((fake.SIDE, fake.SIDE, 3), c[:3], np.uint8)) for c in colour]


def marked(page) -> dict[int, str]:
    """{place: verdict} of the pictures that show one."""
    return {i: verdict for i, verdict in enumerate(page.value(MARKED)) if verdict}


def progress(page) -> str:
    return page.value("document.getElementById('progress').textContent")


def test_votes_by_mouse(page, server, request):
    names, own = seen(page), rater(request)
    assert len(set(names)) == 40 and progress(page) == "0 of 76 voted · page 1 of 2: 0 of 40"
    page.click(".tile:nth-child(3)")
    page.wait(f"{MARKED}[2] === 'drop'")
    assert server.standing(own) == {names[2]: "drop"}  # what is shown as taken is on the disk
    page.click(".tile:nth-child(3)")
    page.wait(f"{MARKED}[2] === 'keep'")
    page.click(".tile:nth-child(40)")
    page.wait(f"{MARKED}[39] === 'drop'")
    assert server.standing(own) == {names[2]: "keep", names[39]: "drop"}
    assert progress(page) == "2 of 76 voted · page 1 of 2: 2 of 40"
    assert page.value("document.getElementById('bar').value") == 2
    page.click("#undo")
    page.wait(f"{MARKED}[39] === ''")
    assert server.standing(own) == {names[2]: "keep"}
    assert page.value("document.activeElement.ariaLabel").startswith("Picture 40, ")
    page.click(".tile:nth-child(8)")
    page.click("#onward")  # at once: the click before comes first
    page.wait(f"location.pathname === '/page/2' && {READY}")
    assert server.standing(own) == dict.fromkeys(names, "keep") | {names[7]: "drop"}
    assert progress(page) == "40 of 76 voted · page 2 of 2: 0 of 36"
    page.click("#undo")  # of a picture on the page before: goes there
    page.wait(f"location.pathname === '/page/1' && {READY}")
    assert len(marked(page)) == 39 and len(server.standing(own)) == 39
    page.click("#onward")
    page.wait(f"location.pathname === '/page/2' && {READY}")
    page.click("#onward")
    page.wait("location.pathname === '/summary' && document.querySelector('table')")
    assert len(server.standing(own)) == 76


def test_votes_by_keys(page, server, request):
    names, own = seen(page), rater(request)
    columns = page.value("getComputedStyle(document.getElementById('grid')).gridTemplateColumns.split(' ').length")
    place = "[...document.querySelectorAll('.tile')].indexOf(document.activeElement)"
    assert page.value(place) == 0
    page.key("d")
    page.wait(f"{MARKED}[0] === 'drop'")
    assert page.value(place) == 1  # on to the next
    for key, at in (("ArrowDown", 1 + columns), ("ArrowRight", 2 + columns), ("ArrowUp", 2), ("ArrowLeft", 1)):
        page.key(key)
        assert page.value(place) == at
        assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.key("k")
    page.wait(f"{MARKED}[1] === 'keep'")
    page.key("d")
    page.wait(f"{MARKED}[2] === 'drop'")
    assert server.standing(own) == {names[0]: "drop", names[1]: "keep", names[2]: "drop"}
    page.key("u")
    page.wait(f"{MARKED}[2] === ''")
    assert page.value(place) == 2
    page.key("z", CTRL)
    page.wait(f"{MARKED}[1] === ''")
    assert server.standing(own) == {names[0]: "drop"}
    assert page.value("document.activeElement.ariaLabel.endsWith(': no vote')")
    page.key("Enter")
    page.wait(f"location.pathname === '/page/2' && {READY}")
    assert server.standing(own) == dict.fromkeys(names, "keep") | {names[0]: "drop"}
    page.key("Tab")  # out of the pictures, past the link back, on a button: keys are its own again
    page.wait("document.activeElement.rel === 'prev'")
    page.key("Tab")
    page.key("Enter")
    page.wait(f"location.pathname === '/page/1' && {MARKED}.filter(Boolean).length === 39")  # it was the undo


BUSY = "[...document.querySelectorAll('.tile')].map((tile) => tile.ariaBusy === 'true')"
HELD = "!dispatchEvent(new Event('beforeunload', { cancelable: true }))"  # whether the browser would ask before leaving


def test_what_is_clicked_while_the_page_is_to_be_left_is_taken(page, server, request):
    """Enter keeps the 40 pictures one by one: whatever is clicked in the meantime was meant."""
    names, own = seen(page), rater(request)
    page.slow_down(10)
    page.key("Enter")
    page.wait(f"{MARKED}[2] === 'keep'")
    for place in (1, 39, 20):  # one that was kept, the last one, one between
        page.click(f".tile:nth-child({place + 1})")
    assert page.value("location.pathname") == "/page/1"  # else this would test nothing
    page.wait(f"location.pathname === '/page/2' && {READY}")
    dropped = dict.fromkeys([names[place] for place in (1, 39, 20)], "drop")
    assert server.standing(own) == dict.fromkeys(names, "keep") | dropped


def test_a_link_waits_for_the_votes_before_it(page, server, request):
    names, own = seen(page), rater(request)
    page.slow_down(60)
    assert not page.value(HELD)
    for place in range(5):
        page.click(f".tile:nth-child({place + 1})")
    assert page.value(BUSY)[1:6] == [True, True, True, True, False] and page.value(HELD)
    page.click("a[href='/audit']")
    page.click(".tile:nth-child(6)")  # the page is still there
    page.wait("location.pathname === '/audit'")
    assert server.standing(own) == dict.fromkeys(names[:6], "drop")
    page.open(server.url)
    page.wait(READY)
    page.click(".tile:nth-child(7)")
    page.wait(f"{MARKED}[6] === 'drop'")
    assert not any(page.value(BUSY)) and not page.value(HELD)


def test_what_came_after_a_refusal_is_not_sent_and_the_page_stays(page, server, request):
    """A vote that fails, and Enter at once: it must not become a keep."""
    page.value(  # fails once, after a while
        "(() => { const working = fetch; window.fetch = async () => {"
        "window.fetch = working; await new Promise((done) => setTimeout(done, 100)); throw new TypeError(); }; })()"
    )
    page.click(".tile:nth-child(3)")
    page.click(".tile:nth-child(4)")
    page.key("Enter")
    page.wait(f"{PROBLEM}.startsWith('Not taken, nor what came after it: the server does not answer')")
    page.wait(f"!{BUSY}.includes(true)")
    page.click(".tile:nth-child(9)")
    page.wait(f"{MARKED}[8] === 'drop'")
    assert marked(page) == {8: "drop"} and list(server.standing(rater(request)).values()) == ["drop"]
    assert page.value("location.pathname") == "/page/1"


def test_another_name_in_another_tab(page, server, browser, request):
    """The page was rendered for one rater, and must not vote for the other."""
    other = browser.page()
    other.open(server.url + "name")
    other.wait("document.activeElement.id === 'name' && document.readyState === 'complete'")
    other.value("document.activeElement.select()")
    other.type("bob")
    other.key("Enter")
    other.wait(READY)
    page.click(".tile:nth-child(3)")
    page.wait(f"{PROBLEM} === 'Not taken: you are now bob; load this page again'")
    assert marked(page) == {} == server.standing("bob") == server.standing(rater(request))
    page.open(server.url + "page/1")
    page.wait(f"{READY} && document.querySelector('.rater').textContent.startsWith('bob')")
    page.click(".tile:nth-child(3)")
    page.wait(f"{MARKED}[2] === 'drop'")
    assert list(server.standing("bob").values()) == ["drop"]


def test_a_vote_survives_a_kill_and_the_rater_goes_on(page, server, request):
    own = rater(request)
    page.click("#onward")
    page.wait(f"location.pathname === '/page/2' && {READY}")
    names = seen(page)
    page.click(".tile:nth-child(5)")
    page.wait(f"{MARKED}[4] === 'drop'")
    server.end(signal.SIGKILL)
    assert server.standing(own)[names[4]] == "drop" and len(server.standing(own)) == 41

    page.click(".tile:nth-child(6)")  # nobody there to take it
    page.wait(f"{PROBLEM}.includes('does not answer')")
    assert marked(page) == {4: "drop"}

    server.start()
    page.click(".tile:nth-child(6)")
    page.wait(f"{PROBLEM}.includes('earlier start')")
    assert marked(page) == {4: "drop"} and len(server.standing(own)) == 41

    page.open(server.url)
    page.wait(READY)
    assert page.value("location.pathname") == "/page/2"
    assert seen(page) == names and marked(page) == {4: "drop"}
    assert progress(page) == "41 of 76 voted · page 2 of 2: 1 of 36"
    page.key("d")
    page.wait(f"{MARKED}[0] === 'drop'")
    assert page.value("document.getElementById('problem').hidden")


def test_the_audit_takes_votes_and_a_rate(page, server, request):
    page.click("a[href='/audit']")
    page.wait("document.title.startsWith('Audit') && document.readyState === 'complete'")
    assert "The audit would tell" in page.value("document.querySelector('h1').textContent")
    page.click(".button:not(.primary)")
    page.wait("document.getElementById('chosen')?.textContent.includes('No rate')")
    names = seen(page)
    first = "document.querySelector('.share').textContent"
    assert page.value(first) == "no vote of yours"
    page.click(".tile")
    page.wait(f"{MARKED}[0] === 'drop'")
    page.key("ArrowRight")
    page.key("k")
    page.wait(f"{MARKED}[1] === 'keep'")
    assert page.value(first) == "you kept 1 of 2: 50 %"
    assert server.standing(rater(request)) == {names[0]: "drop", names[1]: "keep"}
    page.click(".choose[data-bin='3']")
    page.wait("document.querySelector('#chosen code')?.textContent === '--config.filter.drop=0.3'")
    assert page.value("document.querySelector('[aria-pressed=true]').dataset.bin") == "3"
    *_, opened, choice = map(json.loads, (server.workdir / "choices.jsonl").read_text().splitlines())
    assert (opened["rater"], opened["opened"]) == (rater(request), "audit")
    assert (choice["rater"], choice["drop"]) == (rater(request), 0.3)


def test_pages_fit_a_phone_and_load_nothing_from_elsewhere(page, server):
    page.resize(360, 700, mobile=True)
    for path in ("page/1", "audit?open=yes", "summary", "name"):
        page.open(server.url + path)
        page.wait("document.readyState === 'complete'")
        assert page.value("document.documentElement.scrollWidth") <= 360, path
        loaded = page.value("performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert loaded and all(name.startswith(server.url) for name in loaded)


class Foreign(http.server.BaseHTTPRequestHandler):
    """A page of another origin, which sends to `action` what scripts can, and then a form, as soon as it is open."""

    action = ""

    def do_GET(self):
        body = (
            f"<form id=form method=post action='{self.action}' enctype='text/plain'>"
            '<input name=\'{"verdict":"drop","picture":"\' value=\'"}\'></form><script>(async () => {'
            f"const send = (how) => fetch('{self.action}', {{method: 'POST', ...how}}).catch(() => null);"
            "await send({mode: 'no-cors', body: '{}', credentials: 'include'});"
            "await send({headers: {'X-Review-Token': 'x'}}); form.submit(); })()</script>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("path", ["vote", "undo", "choice", "name"])
def test_a_page_of_another_origin_writes_nothing(page, server, browser, path):
    page.click(".tile")
    page.wait(f"{MARKED}[0] === 'drop'")
    files = {path: path.read_bytes() for path in server.workdir.glob("*.jsonl")}
    # Another port of the same address: another origin on the same site, so that the rater's cookie is sent along.
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as foreign:
        Foreign.action = server.url + path
        threading.Thread(target=foreign.serve_forever, daemon=True).start()
        page.open(f"http://127.0.0.1:{foreign.server_address[1]}/")
        page.wait(f"location.href === '{server.url}{path}' && document.body.innerText.includes('another origin')")
        foreign.shutdown()
    assert {path: path.read_bytes() for path in server.workdir.glob("*.jsonl")} == files
    page.open(server.url)
    page.wait(READY)
    assert marked(page) == {0: "drop"}


def test_only_127_0_0_1_is_listened_on(server):
    """A server on all addresses would answer at every address of the loopback range; ours has one, and none of IPv6."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), timeout=5)
    tables = [table for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if table.exists()]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{server.port:04X}")]
    assert not tables or listening == [f"0100007F:{server.port:04X}"]


@pytest.mark.parametrize("path", ["/../config.json", "/static/../../../config.json", "//etc/passwd", "config.json"])
def test_paths_out_of_the_page_lead_nowhere(server, path):
    """As they are: a browser would resolve them before it asks."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status in (400, 404) and len(answer.read()) < 300
    connection.close()


def test_an_interrupt_ends_it_in_one_line(server):
    code, error = server.end(signal.SIGINT)
    server.start()
    assert code in (0, 130)
    assert error == "jaxloop: the server has ended; the votes are in the workdir\n"
