"""A real browser, driven through its own protocol over a pair of pipes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe")


class Tab:
    """A page in the browser: Chrome's DevTools messages, ended by a zero byte, over descriptors 3 and 4."""

    def __init__(self, command: int, answers: int) -> None:
        self.command, self.answers = os.fdopen(command, "wb", buffering=0), os.fdopen(answers, "rb", buffering=0)
        self.number, self.rest = 0, b""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session: str | None = None
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        self.command.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def open(self, page: Path, width: int, height: int = 900) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.send("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def value(self, expression: str) -> Any:
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def click(self, selector: str) -> None:
        """A real click in the middle of an element, which must not be covered by another."""
        self.value(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        box = self.value(f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()")
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def point(self, selector: str, share: float = 0.5) -> None:
        """Move the pointer to a share of the diagonal of an element, from its left lower corner."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.value(f"{element}.scrollIntoView({{block: 'center'}})")
        box = self.value(f"{element}.getBoundingClientRect().toJSON()")
        place = {"x": box["x"] + share * box["width"], "y": box["y"] + (1 - share) * box["height"]}
        self.send("Input.dispatchMouseEvent", type="mouseMoved", **place)

    def browser(self, method: str, **parameters: Any) -> None:
        """Send a message to the browser itself."""
        session, self.session = self.session, None
        self.send(method, **parameters)
        self.session = session

    def screenshot(self) -> bytes:
        return b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """Errors and warnings on the console, exceptions, and what the page's own policy refused."""
        return [event for event in self.events if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            part = self.answers.read(1 << 16)
            assert part, "the browser has gone"
            self.rest += part
        message, _, self.rest = self.rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)} is installed")
    to_browser, from_browser = os.pipe(), os.pipe()

    def connect() -> None:
        # the browser reads descriptor 3 and writes 4; by way of high numbers, since they may be 3 and 4 already
        reads, writes = os.dup2(to_browser[0], 93), os.dup2(from_browser[1], 94)
        os.dup2(reads, 3)
        os.dup2(writes, 4)

    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}"],
        preexec_fn=connect,
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser[0])
    os.close(from_browser[1])
    try:
        yield Tab(to_browser[1], from_browser[0])
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def show(tab: Tab, tmp_path: Path) -> Callable[..., Tab]:
    """Open an HTML text in the browser."""

    def opened(text: str, width: int = 1200) -> Tab:
        page = tmp_path / "page.html"
        page.write_text(text, encoding="utf-8")
        tab.open(page, width)
        return tab

    return opened
