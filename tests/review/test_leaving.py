"""Votes that wait while the page is left, in a real browser: what was clicked is in the file, or is
said not to be.
"""

from tests.review.study_page import (
    BUSY,
    HELD,
    MARKED,
    PROBLEM,
    READY,
    in_a_browser,
    marked,
    rater,
    seen,
)

pytestmark = in_a_browser


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


def test_who_takes_something_back_stays(page, server, request):
    page.slow_down(10)
    page.key("Enter")
    page.key("u")
    page.wait(f"{MARKED}.filter(Boolean).length === 39 && !{BUSY}.includes(true)")
    page.click(".tile:nth-child(3)")
    page.wait(f"{MARKED}[2] === 'drop'")
    assert (
        page.value("location.pathname") == "/page/1" and len(server.standing(rater(request))) == 39
    )


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
        "window.fetch = working; await new Promise((done) => setTimeout(done, 100));"
        "throw new TypeError(); }; })()"
    )
    page.click(".tile:nth-child(3)")
    page.click(".tile:nth-child(4)")
    page.key("Enter")
    page.wait(
        f"{PROBLEM}.startsWith('Not taken, nor what came after it: the server does not answer')"
    )
    page.wait(f"!{BUSY}.includes(true)")
    page.click(".tile:nth-child(9)")
    page.wait(f"{MARKED}[8] === 'drop'")
    assert marked(page) == {8: "drop"} and list(server.standing(rater(request)).values()) == [
        "drop"
    ]
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
