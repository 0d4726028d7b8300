"""The code of all that a kernel imports, in one file, written when the image is built.

In a fresh container nothing is known of any folder yet, and finding three hundred files costs as much as running them
halfway. A module that comes from the bundle is the same otherwise: its file is where it says.
"""

import marshal
import mmap
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

BUNDLE = Path("/opt/glovebox/kernel.bundle")
SIZE_BYTES = 8
Index = dict[str, tuple[str, bool, int, int]]  # of each module its file, whether it is a package, and where its code is


class Bundle:
    """Finds modules in the bundle, as one of `sys.meta_path`."""

    def __init__(self, index: Index, code: memoryview) -> None:
        self._index = index
        self._code = code

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """Return where a module is, if it is here."""
        entry = self._index.get(name)
        if entry is None:
            return None
        file, is_package, start, end = entry
        spec = ModuleSpec(name, BundledLoader(name, file, self._code[start:end]), origin=file)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [file.rpartition("/")[0]]
        return spec


class BundledLoader(SourceFileLoader):
    """Loads a module as from its file, but for the code."""

    def __init__(self, name: str, file: str, code: memoryview) -> None:
        super().__init__(name, file)
        self._code: memoryview | None = code

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the module's code; a second time from its file, since the bundle is not kept in memory."""
        if self._code is None:
            return super().get_code(fullname)
        code: CodeType = marshal.loads(self._code)
        self._code = None
        return code


@contextmanager
def bundled(path: Path = BUNDLE) -> Iterator[None]:
    """Import from the bundle while the block runs, if there is one."""
    if not path.exists():
        yield
        return
    with path.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
    start = SIZE_BYTES + int.from_bytes(content[:SIZE_BYTES])
    bundle = Bundle(marshal.loads(content[SIZE_BYTES:start]), content[start:])
    sys.meta_path.insert(0, bundle)
    try:
        yield
    finally:
        sys.meta_path.remove(bundle)


def write(path: Path, modules: Sequence[ModuleType]) -> None:
    """Write the code of those modules that come from a source file."""
    index: Index = {}
    codes: list[bytes] = []
    at = 0
    for module in modules:
        spec = module.__spec__
        if spec is None or not isinstance(spec.loader, SourceFileLoader) or not spec.has_location or not spec.origin:
            continue
        codes.append(marshal.dumps(spec.loader.get_code(spec.name)))
        index[spec.name] = (spec.origin, spec.submodule_search_locations is not None, at, at + len(codes[-1]))
        at += len(codes[-1])
    table = marshal.dumps(index)
    path.write_bytes(len(table).to_bytes(SIZE_BYTES) + table + b"".join(codes))


if __name__ == "__main__":
    from glovebox_imports import import_the_kernel

    import_the_kernel()
    write(BUNDLE, [module for module in sys.modules.values() if module.__name__ != "__main__"])
