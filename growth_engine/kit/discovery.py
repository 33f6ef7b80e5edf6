"""Finding what was dropped in: modules by their file name, registries that refuse duplicates."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping, ValuesView
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from growth_engine.kit.errors import Misconfigured

T = TypeVar("T")

#: Packages that are no slices: a file in them may have the name of a slice's file and mean something else.
_NO_SLICES = frozenset({"kit", "cli", "embedded", "sandbox"})


def find(file_name: str, package: str = "growth_engine") -> list[ModuleType]:
    """Every module ``<package>.<slice>.**.<file_name>``, imported, in the order of their dotted names."""
    root = importlib.import_module(package)
    names: set[str] = set()
    for folder in root.__path__:
        base = Path(folder)
        for path in base.rglob(f"{file_name}.py"):
            inside = path.relative_to(base).with_suffix("").parts
            if inside[0] not in _NO_SLICES:
                names.add(".".join([package, *inside]))
    return [importlib.import_module(name) for name in sorted(names)]


def children(package: str) -> list[ModuleType]:
    """Every module lying directly in ``package``, imported, by name; ``_…`` is private."""
    root = importlib.import_module(package)
    names = {path.stem for folder in root.__path__ for path in Path(folder).glob("*.py")}
    return [
        importlib.import_module(f"{package}.{name}") for name in sorted(names) if not name.startswith("_")
    ]


#: One for all registries: what one of them loads may read another.
_LOADING = threading.RLock()


class Registry(Mapping[str, T], Generic[T]):
    """Things found by name; asking for one first runs ``load`` once, adding a name twice stops the boot.

    Threads that ask meanwhile wait: half a registry would look like the whole one.
    """

    def __init__(self, kind: str, load: Callable[[], object]) -> None:
        self._kind = kind
        self._load = load
        self._loaded = self._begun = False
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> None:
        if name in self._items:
            raise Misconfigured(f"There are two {self._kind}s named {name!r}: rename one of them.")
        self._items[name] = item

    def _ready(self) -> dict[str, T]:
        if self._loaded:
            return self._items
        with _LOADING:
            if not self._begun:  # else it is what is being loaded that asks
                self._begun = True
                try:
                    self._load()
                    self._items = dict(sorted(self._items.items()))
                    self._loaded = True
                finally:
                    self._begun = self._loaded
        return self._items

    def __getitem__(self, name: str) -> T:
        return self._ready()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._ready()))

    def __len__(self) -> int:
        return len(self._ready())

    def values(self) -> ValuesView[T]:
        """By name, as all of it; a callback asks for them several times."""
        return self._ready().values()
