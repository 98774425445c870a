"""Rules of routing, compiled once for all the applications that the tests make.

Werkzeug makes two functions of every rule, which is most of what an application costs. They depend
on what the rule says alone and take the rule itself as an argument, so that the next application
can have those of the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

_compile = Rule._compile_builder  # noqa: SLF001  # the one thing that takes the time
_compiled: dict[tuple[Any, ...], Callable[..., tuple[str, str]]] = {}


def compile_once() -> None:
    """Have rules that say the same compiled once from now on, in this process."""
    Rule._compile_builder = _compile_builder  # noqa: SLF001


def _compile_builder(rule: Rule, *how: bool) -> Callable[..., tuple[str, str]]:
    key = (how, rule.rule, tuple(rule._trace), repr(rule.defaults))  # noqa: SLF001
    if key not in _compiled:
        _compiled[key] = _compile(rule, *how)
    return _compiled[key]
