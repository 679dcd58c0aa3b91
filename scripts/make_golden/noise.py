"""Makes assets/golden/diffusion/noise.json: what torch.randn draws on a CPU with AVX2, and on CUDA.

Per sequence: a seed, and calls of randn on one generator, one after another; of each the size and either all numbers' bits
(hexadecimal, float32) or, from 100 numbers on, FNV-1a 64 over the bits as little-endian 32-bit words.
The CUDA numbers are those that stable-diffusion-webui publishes for its generator (seed 0, 12 numbers), which
torch.randn(12, device="cuda") prints too.
usage: noise.py     (needs torch 2.15; deterministic)
"""
import json
import pathlib

import torch

OUT = pathlib.Path(__file__).resolve().parents[2] / "assets/golden/diffusion/noise.json"
SEQUENCES = [(0, [1, 2, 15, 16, 17, 3, 31, 32, 100]), (7, [4 * 64 * 64, 4 * 64 * 64]), (1234567890123, [5, 4 * 96 * 128, 2, 16]),
             (2**32 - 1, [1000003, 7]), (42, [16])]
CUDA = [-0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564, -0.62285122, -0.32838709, -1.07454231,
        -0.36314407, -1.67105067, 2.26550497]


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return f"{value:016x}"


def main():
    sequences = []
    for seed, sizes in SEQUENCES:
        generator = torch.Generator("cpu").manual_seed(seed)
        calls = []
        for size in sizes:
            bits = torch.randn(size, generator=generator).numpy().view("<u4")
            calls.append({"size": size, "bits": [f"{b:08x}" for b in bits.tolist()]} if size < 100
                         else {"size": size, "fnv": fnv(bits.tobytes())})
        sequences.append({"seed": seed, "calls": calls})
    golden = {"made_by": "scripts/make_golden/noise.py", "torch": torch.__version__,
              "capability": torch.backends.cpu.get_cpu_capability(), "torch_cpu": sequences,
              "philox": {"seed": 0, "tolerance": 1e-6, "values": CUDA}}
    OUT.write_text(json.dumps(golden, indent=0) + "\n")


if __name__ == "__main__":
    main()
