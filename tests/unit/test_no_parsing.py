"""Nothing of the orchestrator could unpack or parse what users and sandboxes wrote (THREATS F2, F3, G8): no way in.

JSON is what gateways, models and clients speak; it is read by `json` and pydantic, and is not in these lists.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import ROOT

PARSERS = {
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "dbm", "copyreg"),
    *("yaml", "ruamel", "tomllib", "tomli", "configparser", "plistlib", "csv"),
    *("zipfile", "tarfile", "gzip", "bz2", "lzma", "zlib", "zstandard", "brotli", "zipimport"),
    *("xml", "lxml", "html5lib", "bs4", "xmltodict", "xmlrpc", "email", "mailbox"),
    *("pandas", "polars", "numpy", "pyarrow", "h5py", "tables", "fsspec", "openpyxl", "xlrd", "docx", "pptx"),
    *("PIL", "imageio", "cv2", "matplotlib", "plotly", "fitz", "pypdf", "PyPDF2", "magic", "filetype", "imghdr"),
    *("jinja2", "mako", "runpy", "code", "codeop"),
}
RUNNERS = {"eval", "exec", "compile", "__import__"}
# shutil unpacks archives, and follows links where it removes trees.
METHODS = {"unpack_archive", "rmtree", "copytree", "get_archive", "put_archive", "literal_eval"}
# Whoever writes archives, and reads none.
WRITERS = {"orchestrator/workspace/archive.py": {"zipfile"}}
SOURCES = sorted((ROOT / "orchestrator").rglob("*.py"))


def findings(source: str) -> Iterator[str]:
    """Name each import and call in a module that could open what is only to be carried."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (one.name for one in names if one.name.split(".")[0] in PARSERS)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                if module.split(".")[0] in PARSERS:
                    yield module
                yield from (one.name for one in names if one.name in METHODS)
            case ast.Call(func=ast.Name(id=name)) if name in RUNNERS:
                yield name
            case ast.Attribute(attr=name) if name in METHODS:
                yield name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_nothing_to_open_a_users_bytes_with(path: Path) -> None:
    allowed = WRITERS.get(str(path.relative_to(ROOT)), set())
    assert [found for found in findings(path.read_text()) if found not in allowed] == []


@pytest.mark.parametrize("path", WRITERS)
def test_a_writer_of_archives_opens_none_to_read(path: str) -> None:
    calls = [node for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Call)]
    opened = [ast.unparse(call) for call in calls if "ZipFile" in ast.unparse(call.func)]
    assert opened == ["zipfile.ZipFile(written, 'w')"]
    assert not [call for call in calls if "extract" in ast.unparse(call.func)]


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, xml.etree.ElementTree as tree",
        "from zipfile import ZipFile",
        "def f():\n    import tarfile",
        "import shutil\nshutil.rmtree('x')",
        "from shutil import unpack_archive",
        "eval('1')",
        "__import__('pickle')",
    ],
)
def test_the_lint_sees_it(source: str) -> None:
    assert list(findings(source))


def test_all_of_the_orchestrator_is_looked_at() -> None:
    assert len(SOURCES) > 50
