"""Barriers: what keeps people from using a page, as axe-core finds it, and what does not fit.

axe-core comes from npm and is given to the page by the debugger, so that the policy of the page,
which would not load it, stands.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from playwright.sync_api import Page, ViewportSize

from tests.live.servers import NODE

# Everything up to WCAG 2.2 AA, and what the makers of axe-core think good besides.
_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# What can differ between light and dark.
_COLOURS = ("color-contrast", "link-in-text-block")
_WIDE: Final = ViewportSize(width=1280, height=900)
_NARROW: Final = ViewportSize(width=390, height=844)
_RUN = """
async ([kind, values]) => {
  const options = {runOnly: {type: kind, values}, resultTypes: ["violations"], preload: false};
  const {violations} = await axe.run(document, options);
  return violations.map(({id, nodes}) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`);
}
"""
# A row's buttons must not hide behind the edge of its table either, unless it is there to scroll.
_TOO_WIDE = """
() => {
  const sticksOut = (part) => part.getBoundingClientRect().right > innerWidth + 1;
  const told = (part) => part.outerHTML.slice(0, 120);
  return [document.scrollingElement, ...document.querySelectorAll(".table-frame:not([tabindex])")]
    .filter((seen) => seen.scrollWidth > seen.clientWidth)
    .map((seen) => `too wide: ${[...seen.querySelectorAll("*")].filter(sticksOut).map(told)}`);
}
"""


def barriers(page: Page) -> list[str]:
    """Return what is wrong with the page as it is shown now, in light and in dark, on a phone."""
    page.evaluate(_axe())
    found = [f"light {fault}" for fault in _run(page, "tag", _TAGS)]
    page.emulate_media(color_scheme="dark")
    found += [f"dark {fault}" for fault in _run(page, "rule", _COLOURS)]
    page.emulate_media(color_scheme="light")
    for words, size in (("narrow", _NARROW), ("wide", _WIDE)):
        page.set_viewport_size(size)
        found += [f"{words} {fault}" for fault in page.evaluate(_TOO_WIDE)]
    return found


def _run(page: Page, kind: str, values: tuple[str, ...]) -> Any:
    return page.evaluate(_RUN, [kind, values])


@cache
def _axe() -> str:
    return (NODE / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
