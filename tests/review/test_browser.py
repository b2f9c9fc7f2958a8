"""The study in a real browser against a real server: what a person sees is what is in the file."""

import http.client
import http.server
import json
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.review.browser import CTRL
from tests.review.study_page import (
    MARKED,
    PROBLEM,
    READY,
    in_a_browser,
    marked,
    progress,
    rater,
    seen,
)

pytestmark = in_a_browser


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
    columns = page.value(
        "getComputedStyle(document.getElementById('grid')).gridTemplateColumns.split(' ').length"
    )
    place = "[...document.querySelectorAll('.tile')].indexOf(document.activeElement)"
    assert page.value(place) == 0
    page.key("d")
    page.wait(f"{MARKED}[0] === 'drop'")
    assert page.value(place) == 1  # on to the next
    for key, at in (
        ("ArrowDown", 1 + columns),
        ("ArrowRight", 2 + columns),
        ("ArrowUp", 2),
        ("ArrowLeft", 1),
    ):
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
    page.wait(
        f"location.pathname === '/page/1' && {MARKED}.filter(Boolean).length === 39"
    )  # it was the undo


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
    *_, opened, choice = map(
        json.loads, (server.workdir / "choices.jsonl").read_text().splitlines()
    )
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
    """A page of another origin, which sends to `action` what scripts can, and then a form, as soon
    as it is open.
    """

    action = ""

    def do_GET(self):
        body = (
            f"<form id=form method=post action='{self.action}' enctype='text/plain'>"
            '<input name=\'{"verdict":"drop","picture":"\' value=\'"}\'></form>'
            "<script>(async () => { const send = (how) =>"
            f"fetch('{self.action}', {{method: 'POST', ...how}}).catch(() => null);"
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
    # Another port of the same address: another origin on the same site, so that the rater's
    # cookie is sent along.
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as foreign:
        Foreign.action = server.url + path
        threading.Thread(target=foreign.serve_forever, daemon=True).start()
        page.open(f"http://127.0.0.1:{foreign.server_address[1]}/")
        page.wait(
            f"location.href === '{server.url}{path}'"
            " && document.body.innerText.includes('another origin')"
        )
        foreign.shutdown()
    assert {path: path.read_bytes() for path in server.workdir.glob("*.jsonl")} == files
    page.open(server.url)
    page.wait(READY)
    assert marked(page) == {0: "drop"}


def test_only_127_0_0_1_is_listened_on(server):
    """A server on all addresses would answer at every address of the loopback range; ours has one,
    and none of IPv6.
    """
    with socket.create_connection(("127.0.0.1", server.port), timeout=5):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), timeout=5)
    tables = [table for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if table.exists()]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()]
    listening = [
        row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{server.port:04X}")
    ]
    assert not tables or listening == [f"0100007F:{server.port:04X}"]


@pytest.mark.parametrize(
    "path", ["/../config.json", "/static/../../../config.json", "//etc/passwd", "config.json"]
)
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
