"""Runs inside a sandbox (stdlib only): searches all that can be read for canaries; prints as JSON where each was found.

It looks at every file but the image's own (older than any canary), and at what /proc tells of every process. The
canaries come spelled backwards, so that the search does not find itself.

Usage: probe_secrets.py YRANAC...
"""

import json
import os
import re
import stat
import sys
from collections.abc import Iterator

OF_THE_IMAGE = ("/usr", "/opt/python", "/var/lib/dpkg", "/sys")
CHUNK = 1 << 20
NO_TEXT = ("pagemap",)  # numbers of pages, hundreds of gigabytes of them


def files() -> Iterator[str]:
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in OF_THE_IMAGE]
        yield folder  # a name may tell as much as a content
        yield from (os.path.join(folder, name) for name in names if name not in NO_TEXT)


def texts(path: str) -> Iterator[bytes]:
    """Yield a file's path, where it points to, and what it holds, in overlapping pieces."""
    yield os.fsencode(path)
    try:
        kind = stat.S_IFMT(os.lstat(path).st_mode)
        if kind == stat.S_IFLNK:
            yield os.fsencode(os.readlink(path))
        if kind != stat.S_IFREG:
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        before = b""
        try:
            while piece := file.read(CHUNK):
                yield before + piece
                before = piece[-200:]
        except OSError:
            return


def main(canaries: list[str]) -> None:
    pattern = re.compile(b"|".join(re.escape(canary.encode()) for canary in canaries))
    found: dict[str, set[str]] = {canary[::-1]: set() for canary in canaries}
    for path in files():
        for text in texts(path):
            for match in pattern.findall(text):
                found[match.decode()[::-1]].add(path)
    sys.stdout.write(json.dumps({canary: sorted(paths) for canary, paths in found.items()}))


main([canary[::-1] for canary in sys.argv[1:]])
