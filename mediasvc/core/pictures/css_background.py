"""A placeholder as a CSS background: a thumbhash unfolded into a picture of some 150 bytes."""

import base64
import io

from mediasvc.core.pictures.thumbhash import decode


def declarations(thumbhash: str) -> str:
    """CSS declarations, ASCII, without a semicolon at the end. thumbhash: base64, as
    core.pictures.placeholder makes it.
    """
    # Imported here: a server that makes no placeholders has no other use for Pillow.
    from PIL import Image

    width, height, pixels = decode(base64.b64decode(thumbhash))
    picture = Image.frombytes("RGBA", (width, height), pixels)
    if picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=30, method=4)
    data = base64.b64encode(packed.getvalue()).decode("ascii")
    return f"background:url(data:image/webp;base64,{data}) center/cover no-repeat"
