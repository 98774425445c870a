"""The real modules of the lease, loaded afresh, one place of their source perhaps changed."""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

import tokensrv

_PACKAGE = Path(tokensrv.__file__).parent


class Mutant(NamedTuple):
    """A fault: ``text`` stands in exactly one place of the module, ``instead`` takes its place.

    Which scenario it is searched for in; None: in all of them.
    """

    module: str
    text: str
    instead: str
    scenario: str | None = None


class Code(NamedTuple):
    """The modules under test."""

    cache: ModuleType
    lease: ModuleType
    settlement: ModuleType
    postgres: ModuleType
    freshness: ModuleType


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: Path, mutant: Mutant | None) -> None:
        super().__init__(name, str(path))
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text()
        if self._mutant is None:
            return self.source_to_code(source, self.path)
        assert source.count(self._mutant.text) == 1, "the mutant is to be brought up to date"
        changed = source.replace(self._mutant.text, self._mutant.instead)
        return self.source_to_code(changed, f"<mutant of {self.path}>")


def load(mutant: Mutant | None = None) -> Code:
    """Return the modules, which nobody else uses, linked to each other."""
    code = Code(
        _module("lookup/cache", mutant),
        _module("lookup/lease", mutant),
        _module("lookup/settlement", mutant),
        _module("lookup/postgres", mutant),
        _module("services/freshness", mutant),
    )
    for name in ("Lease", "Listener"):
        setattr(code.postgres, name, getattr(code.lease, name))
    return code


def load_one(mutant: Mutant) -> ModuleType:
    """Return the module of a mutant, linked to the modules that everybody uses."""
    return _module(mutant.module, mutant)


def _module(place: str, mutant: Mutant | None) -> ModuleType:
    path = _PACKAGE / f"{place}.py"
    name = f"tokensrv.{place.replace('/', '.')}"
    loader = _Loader(name, path, mutant if mutant and mutant.module == place else None)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
