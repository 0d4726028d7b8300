"""What a kernel imports, without what it can do without: half of the time of a cold start is imports.

Nothing is missing afterwards. What code in a cell imports itself, it gets whole.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

from glovebox_bundle import bundled

LOADING = RLock()
# TLS, which asyncio and a few others import in case. No packages: their modules need them whole.
WAIT = ("ssl", "asyncio.sslproto")
# Beside the kernel and the bridge, what a kernel imports only when it starts.
AT_ONCE = (
    "glovebox_kernel",
    "glovebox_bridge",
    "ipykernel.debugger",
    "tornado.platform.asyncio",
    "IPython.core.completerlib",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "faulthandler",
)


class Waiting(ModuleType):
    """A module whose code is run when something is asked of it that is not there yet. Modules below need not wait."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__all__", "__version__"):
            raise AttributeError(name)
        with LOADING:
            waiting = self.__dict__.pop("waiting", False)
            if waiting and self.__spec__ is not None and self.__spec__.loader is not None:
                self.__spec__.loader.exec_module(self)
                self.__class__ = ModuleType  # type: ignore[assignment]
        return object.__getattribute__(self, name)


def wait_with(name: str) -> ModuleType | None:
    """Import a module, and none above it, without running its code."""
    spec = found(name)
    if spec is None:
        return None
    sys.modules[name] = module = module_from_spec(spec)
    module.__dict__["waiting"] = True
    module.__class__ = Waiting
    return module


def found(name: str) -> ModuleSpec | None:
    """Return where a module is."""
    parent = name.rpartition(".")[0]
    above = found(parent) if parent else None
    return PathFinder.find_spec(name, above.submodule_search_locations if above else None)


class PlainDict(dict[str, Any]):
    """What a dictionary with types is when nobody checks them."""

    def __init_subclass__(cls, **options: object) -> None:
        """Take and ignore what says more of the types."""


@contextmanager
def standing_in(others: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """Have other modules imported in place of some (None: they are not there) while the block runs."""
    sys.modules.update(others)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in others:
            del sys.modules[name]


def only(name: str, **members: Any) -> ModuleType:
    """Return a module that has these members and nothing else."""
    module = ModuleType(name)
    module.__dict__.update(members)
    return module


def on_call(module: str, name: str) -> Any:
    """Return a function that is imported when it is called."""

    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(import_module(module), name)(*arguments, **options)

    return call


def import_the_kernel() -> None:
    """Import all that a kernel starts with."""
    waiting = {name: wait_with(name) for name in WAIT}
    others = {
        # Used for dates of messages, which the orchestrator leaves out, and of versions of graphical toolkits.
        "dateutil": only("dateutil"),
        "dateutil.parser": only("dateutil.parser", isoparse=on_call("dateutil.parser", "isoparse")),
        "dateutil.tz": only("dateutil.tz", tzlocal=on_call("dateutil.tz", "tzlocal")),
        "packaging.version": only("packaging.version", Version=on_call("packaging.version", "Version")),
        "typing_extensions": only("typing_extensions", TypedDict=PlainDict),
        "tornado.escape": only("tornado.escape", _unicode=on_call("tornado.escape", "_unicode")),  # of what it logs
        "logging.config": only("logging.config", dictConfig=on_call("logging.config", "dictConfig")),
        "ctypes": None,  # to notice that a parent has died
        "curses": None,  # colours on a terminal
        "debugpy": None,  # nobody asks for a debugger here, and it is a third of all imports
    }
    with bundled(), standing_in(others):
        for name in AT_ONCE:
            import_module(name)
    for name, module in waiting.items():
        parent, _, child = name.rpartition(".")
        if parent and module is not None:
            setattr(sys.modules[parent], child, module)
