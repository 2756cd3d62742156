"""Chromium without a window, driven over its own pipe: pages are opened, clicked and looked at as a person would."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-quic", "--remote-debugging-pipe",
)  # fmt: skip


class Page:
    """One page: `messages` are what it wrote to the console or threw, `requests` the addresses that it asked for."""

    def __init__(self, read: int, write: int, process: int):
        self.process = process
        self._read, self._write, self._number, self._rest = read, write, 0, b""
        self.messages: list[str] = []
        self.requests: list[str] = []
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict[str, Any]:
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._write, json.dumps(command).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._read, 1 << 20)
            assert part, "the browser has ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        about = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.messages.append(json.dumps(about["exceptionDetails"])[:800])
            case "Runtime.consoleAPICalled":
                self.messages.append(json.dumps(about["args"])[:800])
            case "Log.entryAdded":
                self.messages.append(about["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"])

    def open(self, address: str, width: int = 1280, height: int = 900) -> None:
        self.resize(width, height)
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )  # fmt: skip

    def value(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, script: str, seconds: float = 60) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.value(script):
            assert time.monotonic() < end, f"not within {seconds} s: {script}"
            time.sleep(0.02)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, x: float, y: float, dx: float, dy: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
        for part in (0.3, 0.7, 1):
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + part * dx, y=y + part * dy, button="left")
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x + dx, y=y + dy, button="left", clickCount=1)

    def key(self, name: str, shift: bool = False) -> None:
        text = name if len(name) == 1 else ""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=name, text=text * (kind == "keyDown"), modifiers=8 * shift
            )

    def screenshot(self, path: Path) -> Path:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
        return path


def processor_seconds(process: int) -> float:
    """Processor time of a process and all that it started."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            words = path.read_text().rpartition(")")[2].split()
            number = int(path.parent.name)
            parents.setdefault(int(words[1]), []).append(number)
            used[number] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    waiting, total = [process], 0.0
    while waiting:
        number = waiting.pop()
        total += used.get(number, 0.0)
        waiting += parents.get(number, [])
    return total


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """A browser with a new profile in a folder; ended at the end."""
    assert BROWSER is not None
    to_read, to_write = os.pipe(), os.pipe()
    command = [BROWSER, *_OPTIONS, f"--user-data-dir={profile}"]
    started = subprocess.Popen(
        ["bash", "-c", f'exec "$0" "$@" 3<&{to_write[0]} 4>&{to_read[1]}', *command],
        pass_fds=(to_write[0], to_read[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(to_write[0])
    os.close(to_read[1])
    try:
        yield Page(to_read[0], to_write[1], started.pid)
    finally:
        started.terminate()
        started.wait(20)
        os.close(to_read[0])
        os.close(to_write[1])
