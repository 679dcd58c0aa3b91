"""Writes assets/golden/images/: small picture files of many kinds, and the pixels that Pillow reads from them.

files/NAME.EXT is the file, pixels/NAME.raw its pixels as Pillow 13.0 decodes them: u8, row by row, upright (EXIF applied),
with the channels that the name of the case in files_test.cc says. The files also are the seeds of the image fuzzer.
Needs numpy and Pillow; the tests need neither.
usage: python3 scripts/make_golden/images.py [OUTPUT]
"""
import io
import pathlib
import struct
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps

WIDTH, HEIGHT = 20, 12


def picture(channels):
    """Smooth, so that lossy formats come close, with a sharp square and (channel 4) a gradient of alpha."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [x * 12, y * 20, 255 - x * 6 - y * 10, 255 - x * 10]
    pixels = np.stack(planes[:channels], -1).astype(np.uint8)
    pixels[3:6, 4:9, : min(channels, 3)] = 230
    return pixels


def png_16_bits(pixels):
    """RGBA with 16 bits a channel, which Pillow does not write."""
    wide = pixels.astype(np.uint16) * 257 - (pixels > 100)  # not all are multiples of 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "assets/golden/images")
    gray, rgb, rgba = (Image.fromarray(picture(c).squeeze()) for c in (1, 3, 4))
    palette = rgb.quantize(16)
    files = {
        "gray.png": (saved(gray, "PNG"), "L"),
        "rgb.png": (saved(rgb, "PNG"), "RGB"),
        "rgba.png": (saved(rgba, "PNG"), "RGBA"),
        "gray_alpha.png": (saved(rgba.convert("LA"), "PNG"), "RGBA"),
        "bits_1.png": (saved(gray.convert("1"), "PNG"), "L"),
        "palette.png": (saved(palette, "PNG"), "RGB"),
        "palette_alpha.png": (saved(palette, "PNG", transparency=3), "RGBA"),
        "turned.png": (saved(rgb, "PNG", exif=exif(6)), "RGB"),
        "rgb.jpg": (saved(rgb, "JPEG", quality=90), "RGB"),
        "gray.jpg": (saved(gray, "JPEG", quality=90), "L"),
        "progressive.jpg": (saved(rgb, "JPEG", quality=80, progressive=True), "RGB"),
        "cmyk.jpg": (saved(rgb.convert("CMYK"), "JPEG", quality=95), "RGB"),
        "rgb.webp": (saved(rgb, "WEBP", quality=90), "RGB"),
        "rgba.webp": (saved(rgba, "WEBP", lossless=True, exact=True), "RGBA"),
        "turned.webp": (saved(rgb, "WEBP", lossless=True, exif=exif(8)), "RGB"),
        "rgb.avif": (saved(rgb, "AVIF", quality=90, max_threads=1), "RGB"),
        "rgba.avif": (saved(rgba, "AVIF", quality=90, max_threads=1), "RGBA"),
    }
    for orientation in range(1, 9):
        files[f"turned_{orientation}.jpg"] = (saved(rgb, "JPEG", quality=95, exif=exif(orientation)), "RGB")
    for folder in ("files", "pixels"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, (data, mode) in files.items():
        (root / "files" / name).write_bytes(data)
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert(mode)
        (root / "pixels" / (name + ".raw")).write_bytes(image.tobytes())
    wide = picture(4)
    (root / "files/bits_16.png").write_bytes(png_16_bits(wide))
    (root / "pixels/bits_16.png.raw").write_bytes(wide.tobytes())


main()
