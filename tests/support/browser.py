"""Headless Chromium, driven over its own pipe: no driver, no library."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TO_BROWSER, FROM_BROWSER = 3, 4  # the descriptors that --remote-debugging-pipe reads and writes


class Browser:
    """One page of a Chromium, with its requests and its complaints.

    Attributes:
        requested: every address that the page requested.
        complaints: errors of scripts, styles and policies.
    """

    def __init__(self) -> None:
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self._number = 0
        self._session: str | None = None
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        theirs_in, self._out = _pipe()
        self._in, theirs_out = _pipe()
        self._process = subprocess.Popen(
            [
                "/bin/bash", "-c",
                f'exec "$0" "$@" {TO_BROWSER}<&{theirs_in} {FROM_BROWSER}>&{theirs_out}',
                str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu",
                "--remote-debugging-pipe", "--hide-scrollbars", "--no-first-run",
                f"--user-data-dir={self._profile.name}", "about:blank",
            ],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._reader = os.fdopen(self._in, "rb")

    def __enter__(self) -> Browser:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._session = None
        self.call("Browser.close")
        self._process.wait(30)
        self._reader.close()
        os.close(self._out)
        self._profile.cleanup()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one command of the DevTools protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def show(self, address: str, width: int, height: int, scheme: str = "light") -> None:
        """Open an address in a window of this size and colour scheme, without motion."""
        is_phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=is_phone,
        )  # fmt: skip
        self.call("Emulation.setTouchEmulationEnabled", enabled=is_phone)
        features = [("prefers-color-scheme", scheme), ("prefers-reduced-motion", "reduce")]
        named = [{"name": name, "value": value} for name, value in features]
        self.call("Emulation.setEmulatedMedia", features=named)
        self.call("Page.navigate", url="about:blank")
        self.run("0")  # messages of the previous page have arrived before this answer
        self.requested.clear()
        self.complaints.clear()
        self.call("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """The value of an expression on the page; a promise is awaited."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Return once an expression holds, polled every frame for ten seconds."""
        held = self.run(
            "new Promise(done => { const since = Date.now(); "
            f"const holds = () => {{ try {{ return {condition} }} catch {{ return false }} }}; "
            "const poll = () => holds() ? done(true) : Date.now() - since > 10000 ? done(false) : "
            "setTimeout(poll, 16); poll(); })"
        )
        assert held, f"never held: {condition}; {self.complaints}"

    def press(self, key: str, code: int) -> None:
        """Press and release one key."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    def photograph(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def _next(self) -> dict[str, Any]:
        parts = bytearray()
        while (byte := self._reader.read(1)) != b"\0":
            assert byte, "the browser has ended"
            parts += byte
        message: dict[str, Any] = json.loads(parts)
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        if method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"])
        return message


def _pipe() -> tuple[int, int]:
    """A pipe whose descriptors lie above those that the browser reads and writes."""
    low = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
    for end in low:
        os.close(end)
    return high[0], high[1]
