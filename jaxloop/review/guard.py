"""Which requests are answered: those of this machine, and votes from the server's own pages alone.

Any page that is open in the same browser can send requests to 127.0.0.1. So a request must name
this server as its host (a foreign name that resolves to 127.0.0.1 does not), and a vote must come
from a page that this very process served. A page of another origin may link here, but load nothing
from here into itself, which would count as seen.

There are no passwords: whoever has an account on this machine can reach the server, and vote under
any name.
"""

import hmac

ADDRESS = "127.0.0.1"
TOKEN = "X-Review-Token"  # another origin's page cannot send it unless the server agrees
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def refusal(method: str, headers, port: int, token: str) -> tuple[int, str] | None:
    """Return (HTTP status, sentence) of a request that is refused; None for one to be answered."""
    host = headers.get("Host", "")
    if host not in (f"{ADDRESS}:{port}", f"localhost:{port}"):
        return 403, f"this server answers as http://{ADDRESS}:{port}/ only"
    if method not in ("GET", "POST"):
        return 405, "only GET and POST are answered"
    is_same_site = headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
    if method == "GET" and not is_same_site and headers.get("Sec-Fetch-Dest") != "document":
        return 403, "this is asked for by a page of another site"
    if method == "POST":
        if headers.get("Origin", f"http://{host}") != f"http://{host}":
            return 403, "this comes from a page of another origin"
        if not is_same_site:
            return 403, "this comes from a page of another site"
        if not hmac.compare_digest(headers.get(TOKEN, "").encode(), token.encode()):
            return 403, "this page is of an earlier start of the server; load it again"
    return None
