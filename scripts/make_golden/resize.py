"""Writes assets/golden/resize.bin: what Pillow 13.0 makes of a small picture at other sizes.

The picture is gray f32, 13 x 9, value (x * 37 + y * 91) % 101 / 100. For each filter (bilinear, bicubic, lanczos) and each size
(5 x 4, 31 x 22, 13 x 3), and last for bicubic from the box (1.25, 0.5, 11.75, 7.5) to 8 x 8: the f32 values, row by row.
usage: python3 scripts/make_golden/resize.py [OUTPUT]
"""
import sys

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 13, 9


def main():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = Image.fromarray(((x * 37 + y * 91) % 101 / 100).astype(np.float32))
    with open(sys.argv[1] if len(sys.argv) > 1 else "assets/golden/resize.bin", "wb") as file:
        for kernel in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS):
            for size in ((5, 4), (31, 22), (13, 3)):
                file.write(np.asarray(picture.resize(size, kernel)).tobytes())
        box = picture.resize((8, 8), Image.Resampling.BICUBIC, box=(1.25, 0.5, 11.75, 7.5))
        file.write(np.asarray(box).tobytes())


main()
