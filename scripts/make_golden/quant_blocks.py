"""Writes assets/golden/quant_blocks.bin: random blocks of every quantised weight format and their values in float32.

The blocks are random bits, except that f16 scales and minima are finite; the values are those of the Python package gguf
(0.19.0: gguf.quants.dequantize), the reference of the formats. Needs numpy and gguf; the tests need neither.
usage: python3 scripts/make_golden/quant_blocks.py [OUTPUT]

The file: "WFQB", then for each record until the end, little-endian: u8 length of the name, the name ("Q4_K"), u32 bytes of
blocks, u32 count of values, the blocks, the values (f32).
"""
import struct
import sys

import gguf
import numpy as np

SEED = 20261123
BLOCKS = {32: 6, 256: 3}
# Byte offsets of the f16 numbers in each block.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_XS": [0], "IQ4_NL": [0], "MXFP4": [],
}


def main() -> None:
    output = sys.argv[1] if len(sys.argv) > 1 else "assets/golden/quant_blocks.bin"
    rng = np.random.default_rng(SEED)
    with open(output, "wb") as file:
        file.write(b"WFQB")
        for name, offsets in HALVES.items():
            kind = gguf.GGMLQuantizationType[name]
            elements, size = gguf.GGML_QUANT_SIZES[kind]
            blocks = rng.integers(0, 256, (BLOCKS[elements], size), dtype=np.uint8)
            for offset in offsets:
                halves = rng.normal(0, 0.05, len(blocks)).astype(np.float16)
                blocks[:, offset:offset + 2] = halves.view(np.uint8).reshape(-1, 2)
            if name == "MXFP4":
                blocks[:, 0] = [0, 1, 2, 120, 127, 200]  # the smallest scales are subnormal numbers
            if name == "Q8_0":
                blocks[0, :2] = np.array([6e-8], np.float16).view(np.uint8)  # a subnormal scale
            values = gguf.quants.dequantize(blocks, kind).astype(np.float32)
            file.write(struct.pack("<B", len(name)) + name.encode() + struct.pack("<II", blocks.size, values.size))
            file.write(blocks.tobytes() + values.astype("<f4").tobytes())


main()
