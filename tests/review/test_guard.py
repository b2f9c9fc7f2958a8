"""Who is answered: this machine's own pages."""

import pytest

from jaxloop.review import app

HOST, TOKEN = "127.0.0.1:8642", "the token"
POST = {"Host": HOST, "Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin", app.TOKEN: TOKEN}


def status(method: str, headers: dict) -> int:
    refused = app.refusal(method, headers, 8642, TOKEN)
    return refused[0] if refused else 200


@pytest.mark.parametrize("host", ["127.0.0.1:8642", "localhost:8642"])
def test_own_names_are_answered(host):
    assert status("GET", {"Host": host}) == 200
    assert status("POST", POST | {"Host": host, "Origin": f"http://{host}"}) == 200


@pytest.mark.parametrize(
    "host",
    ["", "127.0.0.1", "localhost", "127.0.0.1:80", "evil.example:8642",
     "127.0.0.1:8642.evil.example", "0.0.0.0:8642", "evil.example", "127.0.0.1:86420",
     "[::1]:8642", " 127.0.0.1:8642"],
)  # fmt: skip
def test_other_hosts_are_refused(host):
    assert status("GET", {"Host": host}) == 403
    assert status("POST", POST | {"Host": host}) == 403
    assert status("GET", {}) == 403


@pytest.mark.parametrize(
    "change",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Origin": "http://127.0.0.1:8643"},
     {"Origin": "https://127.0.0.1:8642"}, {"Origin": "http://localhost:8642"},
     {"Origin": f"http://{HOST}.evil.example"},
     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": ""},
     {app.TOKEN: ""}, {app.TOKEN: "the toke"}, {app.TOKEN: "ä"}],
)  # fmt: skip
def test_a_vote_from_elsewhere_is_refused(change):
    assert status("POST", POST | change) == 403


def test_a_vote_needs_the_token_and_only_that():
    assert status("POST", {"Host": HOST}) == 403
    assert (
        status("POST", {"Host": HOST, app.TOKEN: TOKEN}) == 200
    )  # old browsers send neither Origin nor Sec-Fetch-Site
    assert status("POST", POST | {"Sec-Fetch-Site": "none"}) == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_page_may_link_here_and_load_nothing(site):
    """An image of it that names the audit would else make the audit seen, by who has never looked
    at it.
    """
    assert (
        status("GET", {"Host": HOST, "Sec-Fetch-Site": site, "Sec-Fetch-Dest": "document"}) == 200
    )
    for part in ("image", "iframe", "script", "empty"):
        assert status("GET", {"Host": HOST, "Sec-Fetch-Site": site, "Sec-Fetch-Dest": part}) == 403
        assert (
            status("GET", {"Host": HOST, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": part})
            == 200
        )


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(method):
    assert status(method, POST) == 405
