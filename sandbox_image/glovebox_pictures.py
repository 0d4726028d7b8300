"""Makes a picture of the workspace small enough for a model: `{"path", "side", "bytes"}` in, the picture out.

{"mime_type": "image/jpeg", "width": 1280, "height": 853, "base64": "…"}
"""

import json
import sys
from base64 import b64encode
from io import BytesIO
from typing import Any

from glovebox_aside import limit_memory
from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
QUALITIES = (85, 70, 50, 30)


def scaled(path: str, side: int, most_bytes: int) -> dict[str, Any] | None:
    """Return a picture whose longer side is at most `side` pixels, in at most so many bytes; None if none can be."""
    with Image.open(path, formats=FORMATS) as picture:
        picture.draft("RGB", (side, side))  # a JPEG need not be decoded at its full size
        small: Image.Image = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    small.thumbnail((side, side))
    if small.mode == "RGBA":
        ground = Image.new("RGB", small.size, "white")
        ground.paste(small, mask=small.getchannel("A"))
        small = ground
    # A chart is smaller and sharper as PNG, a photo is not.
    for kind, options in (("PNG", {"optimize": True}), *(("JPEG", {"quality": quality}) for quality in QUALITIES)):
        content = BytesIO()
        small.save(content, kind, **options)
        if content.tell() <= (most_bytes if kind == "JPEG" else most_bytes // 3):
            data = b64encode(content.getvalue()).decode()
            about = {"mime_type": f"image/{kind.lower()}", "width": small.width, "height": small.height}
            return {**about, "base64": data}
    return None


if __name__ == "__main__":
    limit_memory()
    request = json.load(sys.stdin)
    print(json.dumps(scaled(request["path"], request["side"], request["bytes"])))  # noqa: T201
