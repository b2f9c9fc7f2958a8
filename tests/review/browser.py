"""A headless Chromium, driven by the DevTools protocol through two pipes: real clicks and keys on
real pages.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip
# The browser reads commands from file descriptor 3 and writes to 4. A process between puts them
# there, since a `preexec_fn` would run this process's fork hooks.
PUT = (
    "import fcntl, os, sys; r, w = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3]);"
    "os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
)
SECONDS = 15  # at most for anything that a page does, on a busy machine
KEYS = {
    "Enter": ("Enter", 13, "\r"), "Tab": ("Tab", 9, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""), "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""), "ArrowDown": ("ArrowDown", 40, ""),
} | {x: (f"Key{x.upper()}", ord(x.upper()), x) for x in "dkuz"}  # fmt: skip
CTRL = 2


class Browser:
    """A process of its own with a profile in `folder`. Close it."""

    def __init__(self, folder: Path):
        their_input, self._out = os.pipe()
        self._in, their_output = os.pipe()
        theirs = (their_input, their_output)
        command = [
            sys.executable,
            "-S",
            "-c",
            PUT,
            *map(str, theirs),
            PROGRAM,
            *FLAGS,
            f"--user-data-dir={folder}",
        ]
        self._process = subprocess.Popen(command, pass_fds=theirs, stderr=subprocess.DEVNULL)
        for end in theirs:
            os.close(end)
        self._unread, self._number = b"", 0

    def command(self, method: str, session: str | None = None, **parameters) -> dict:
        """The protocol's answer. Raises RuntimeError with its error."""
        self._number += 1
        of = {"sessionId": session} if session else {}
        message = {"id": self._number, "method": method, "params": parameters} | of
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:  # events come between
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def page(self, width: int = 1200, height: int = 900) -> "Page":
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        page.resize(width, height)
        return page

    def close(self) -> None:
        self.command("Browser.close")
        self._process.wait(SECONDS)
        os.close(self._in)
        os.close(self._out)

    def _read(self) -> dict:
        while b"\0" not in self._unread:
            if not select.select([self._in], [], [], SECONDS)[0]:
                raise TimeoutError("the browser does not answer")
            new = os.read(self._in, 1 << 16)
            if not new:
                raise EOFError("the browser has ended")
            self._unread += new
        message, self._unread = self._unread.split(b"\0", 1)
        return json.loads(message)


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str):
        self._browser, self._session = browser, session

    def command(self, method: str, **parameters) -> dict:
        return self._browser.command(method, self._session, **parameters)

    def open(self, url: str) -> None:
        answer = self.command("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        self.wait(
            f"location.href.startsWith({json.dumps(url)}) || document.readyState === 'complete'"
        )

    def resize(self, width: int, height: int, mobile: bool = False) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.command("Emulation.setDeviceMetricsOverride", mobile=mobile, **size)

    def value(self, script: str):
        """What an expression is worth in the page."""
        answer = self.command(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Waits until an expression is true; between two pages it is an error, and asked again."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                if self.value(f"Boolean({script})"):
                    return
            except (RuntimeError, AssertionError):
                pass
            time.sleep(0.02)
        raise TimeoutError(
            f"{script} did not become true; the page shows: {self.value('document.body.innerText')}"
        )

    def click(self, selector: str) -> None:
        """The mouse, pressed and released in the middle of an element, wherever that now is."""
        x, y = self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'});"
            "const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.command(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    def key(self, name: str, modifiers: int = 0) -> None:
        code, number, text = KEYS[name]
        known = {"key": name, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers}
        typed = {"text": text} if text and not modifiers else {}
        self.command(
            "Input.dispatchKeyEvent", type="keyDown" if typed else "rawKeyDown", **known, **typed
        )
        self.command("Input.dispatchKeyEvent", type="keyUp", **known)

    def slow_down(self, milliseconds: int) -> None:
        """Lets each request take so long, at least. The server is then still at work while a person
        goes on.
        """
        self.command("Network.enable")
        speed = {"downloadThroughput": -1, "uploadThroughput": -1}
        self.command(
            "Network.emulateNetworkConditions", offline=False, latency=milliseconds, **speed
        )

    def type(self, text: str) -> None:
        self.command("Input.insertText", text=text)
