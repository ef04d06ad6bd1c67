"""A headless Chromium through its own driver: WebDriver is JSON over HTTP, so the standard library is enough."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
]  # fmt: skip
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004", "Space": "\ue00d"}


def missing() -> str:
    """Why no browser can be started here; empty where one can."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not found (Debian: chromium, chromium-driver)" if absent else ""


class Browser:
    """One window. Scripts return what they return; keys go to what has the focus."""

    def __init__(self, address: str, session: str) -> None:
        self._session = f"{address}/session/{session}"

    def open(self, path: Path, fragment: str = "") -> None:
        self._post("url", url=path.as_uri() + fragment)

    def run(self, script: str, *arguments: object) -> Any:
        return self._post("execute/sync", script=script, args=list(arguments))

    def click(self, selector: str) -> None:
        """As a reader does: scrolled into view, refused where something else covers it."""
        element = self._post("element", using="css selector", value=selector)
        self._post("execute/sync", script="arguments[0].scrollIntoView({block: 'center'})", args=[element])
        self._post(f"element/{next(iter(element.values()))}/click")

    def press(self, *keys: str) -> None:
        """``Enter``, ``Escape``, ``Tab``, or characters."""
        typed = [KEYS.get(key, key) for key in keys]
        events = [{"type": kind, "value": key} for key in typed for kind in ("keyDown", "keyUp")]
        self._post("actions", actions=[{"type": "key", "id": "keyboard", "actions": events}])

    def view(self, width: int, height: int = 900, *, dark: bool = False, phone: bool = False) -> None:
        """The size of the window and what the reader's system prefers (always: no motion)."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self._devtools("Emulation.setDeviceMetricsOverride", **metrics)
        wanted = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self._devtools("Emulation.setEmulatedMedia", media="", features=features)

    def scripting(self, *, on: bool) -> None:
        """Of pages opened from now on."""
        self._devtools("Emulation.setScriptExecutionDisabled", value=not on)

    def picture(self, *, whole: bool = False) -> bytes:
        shot = self._devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])

    def pdf(self) -> bytes:
        return base64.b64decode(self._devtools("Page.printToPDF", preferCSSPageSize=True)["data"])

    def console(self) -> list[str]:
        """What the browser complained about since the last call."""
        return [f"{entry['level']}: {entry['message']}" for entry in self._post("se/log", type="browser")]

    def requests(self) -> list[str]:
        """Every address that pages asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self._post("se/log", type="performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def close(self) -> None:
        _call("DELETE", self._session)

    def _devtools(self, command: str, **parameters: object) -> Any:
        return self._post("goog/cdp/execute", cmd=command, params=parameters)

    def _post(self, command: str, **body: object) -> Any:
        return _call("POST", f"{self._session}/{command}", body)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with an empty profile; it and its driver end with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = ["chromedriver", f"--port={port}", "--log-level=OFF"]
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(address)
            options = {
                "binary": shutil.which("chromium"),
                "args": [*ARGUMENTS, f"--user-data-dir={profile}"],
            }
            logs = {"browser": "ALL", "performance": "ALL"}
            wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logs}
            session = _call("POST", f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
            opened = Browser(address, session)
            try:
                yield opened
            finally:
                opened.close()
        finally:
            driver.terminate()
            driver.wait(timeout=20)


def _wait(address: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            _call("GET", f"{address}/status")
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _call(method: str, address: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise RuntimeError(json.load(error)["value"]["message"]) from error
