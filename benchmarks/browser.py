"""A headless Chromium, driven through its DevTools protocol: what a page asks for, its width, its looks."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Browser", "browser", "found"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-port=0", "--remote-allow-origins=*",
)  # fmt: skip


def found() -> str | None:
    """Return the path of a Chromium, if there is one."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser with a profile of its own, and end it."""
    folder = tempfile.mkdtemp()
    program = found()
    if program is None:
        raise FileNotFoundError("no Chromium here")
    process = subprocess.Popen(
        [program, *_FLAGS, f"--user-data-dir={folder}", "about:blank"], stderr=subprocess.PIPE, text=True
    )
    try:
        line = ""
        while "DevTools listening" not in line:
            line = process.stderr.readline() if process.stderr else ""
            if not line:
                raise RuntimeError("the browser did not start")
        port = line.rsplit(":", 1)[1].split("/")[0]
        pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json"))
        address = next(page for page in pages if page["type"] == "page")["webSocketDebuggerUrl"]
        yield Browser(address)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


class Browser:
    """One page of a browser."""

    def __init__(self, address: str) -> None:
        host, _, path = address.removeprefix("ws://").partition("/")
        name, _, port = host.partition(":")
        self._socket = socket.create_connection((name, int(port)), timeout=120)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self._socket.recv(1)
        self._calls = 0
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def _read(self, n: int) -> bytes:
        parts = b""
        while len(parts) < n:
            part = self._socket.recv(n - len(parts))
            if not part:
                raise EOFError("the browser is gone")
            parts += part
        return parts

    def _receive(self) -> dict[str, Any]:
        whole = b""
        while True:
            first, second = self._read(2)
            length = second & 127
            if length == 126:
                (length,) = struct.unpack(">H", self._read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._read(8))
            whole += self._read(length)
            if first & 128:
                return json.loads(whole)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; events that come meanwhile are kept."""
        self._calls += 1
        text = json.dumps({"id": self._calls, "method": method, "params": parameters}).encode()
        mask = os.urandom(4)
        size = bytes([128 | len(text)]) if len(text) < 126 else b"\xfe" + struct.pack(">H", len(text))
        self._socket.sendall(b"\x81" + size + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(text)))
        while True:
            answer = self._receive()
            if answer.get("id") == self._calls:
                return answer.get("result", answer)
            self.events.append(answer)

    def open(self, path: Path, width: int, height: int, *, dark: bool) -> None:
        """Open a file, with all details unfolded, on a screen of this size and light."""
        phone = width < 600
        self.events.clear()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.resolve().as_uri())
        limit = time.monotonic() + 60
        while self.ask("document.readyState") != "complete" and time.monotonic() < limit:
            time.sleep(0.1)
        self.ask("document.querySelectorAll('details').forEach(each => each.open = true)")

    def ask(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer.get("result", {}).get("value")

    def asked_for(self) -> list[str]:
        """Return what the page asked for that is not in it."""
        requests = [
            e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"
        ]
        return [url[:200] for url in requests if not url.startswith(("file:", "data:"))]

    def complaints(self) -> list[str]:
        """Return errors of scripts, dialogs that opened, and what the browser complains of."""
        wanted = ("Runtime.exceptionThrown", "Page.javascriptDialogOpening", "Log.entryAdded")
        return [json.dumps(e["params"])[:300] for e in self.events if e["method"] in wanted]

    def picture(self, path: Path) -> None:
        """Write the whole page as a PNG file."""
        height = int(self.ask("document.documentElement.scrollHeight"))
        width = int(self.ask("innerWidth"))
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 16_000), "scale": 1}
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(answer["data"]))
