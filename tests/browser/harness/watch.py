"""The watch: whatever goes wrong in a browser while a test looks at something else.

Errors and violations of the policy are said on the console, requests that fail or that leave our
site are seen as such. A test says beforehand which refusals it provokes.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response

# Chromium says of every answer from 400 on that it failed; answers are judged by their status.
_FAILED_ANSWER = "Failed to load resource: the server responded with a status of"
# Somebody went on to another page, or a page became a download.
_GIVEN_UP = "net::ERR_ABORTED"
_REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.violatedDirective} forbids ${event.blockedURI}`);
});
"""


class Watch:
    """What was noticed in the contexts that it watches."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        self._expected: set[int] = set()
        self._faults: list[str] = []

    def expect(self, *statuses: int) -> None:
        """Take these refusals for what the test is about."""
        self._expected |= set(statuses)

    def over(self, context: BrowserContext, others: Iterable[str] = ()) -> None:
        """Watch all pages of a context, which may go to our site and to no ``others``."""
        hosts = {self._host, *others}
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", self._hear)
        context.on("weberror", lambda fault: self._faults.append(f"script: {fault.error}"))
        context.on("request", lambda request: self._see_request(request, hosts))
        context.on("requestfailed", self._see_failure)
        context.on("response", self._see_answer)

    def faults(self) -> list[str]:
        """Return all that should not have happened."""
        return self._faults

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(_FAILED_ANSWER):
            self._faults.append(f"console: {message.text} ({message.location['url']})")

    def _see_request(self, request: Request, hosts: set[str]) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.netloc not in hosts:
            self._faults.append(f"foreign: {request.url}")

    def _see_failure(self, request: Request) -> None:
        if request.failure != _GIVEN_UP:
            self._faults.append(f"failed: {request.url} {request.failure}")

    def _see_answer(self, answer: Response) -> None:
        if answer.status >= 400 and answer.status not in self._expected:
            self._faults.append(f"answer: {answer.status} {answer.request.method} {answer.url}")
