#!/usr/bin/env python3
"""Writes a small file of torch.save() for the tests of modalities/weights/torch_archive.

usage: torch_archive.py [OUTPUT_FOLDER]     (default: assets/golden/torch_archive)
needs: torch (made with torch 2.15); not needed to run the tests.

state.pt holds a dict of plain values and of a state_dict: tensors of several types, a parameter, a view of another tensor's
storage, a transposed tensor and a mask of booleans, which Weft does not read.
"""
import collections
import os
import sys

import torch


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "assets/golden/torch_archive"
    os.makedirs(out, exist_ok=True)
    weight = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    state = collections.OrderedDict()
    state["layer.weight"] = weight
    state["layer.bias"] = torch.tensor([1.0, -2.0], dtype=torch.bfloat16)
    state["row"] = weight[1]
    state["transposed"] = weight.t()
    state["parameter"] = torch.nn.Parameter(torch.tensor([0.5, 0.25], dtype=torch.float16))
    state["count"] = torch.tensor(3, dtype=torch.int64)
    state["mask"] = torch.tensor([True, False])
    state._metadata = collections.OrderedDict(version=1)
    torch.save({"num_edges": 48, "noise_level": 0.2, "name": "tiny", "flag": True, "nothing": None, "state": state,
                "list": [7, torch.tensor([1, 2])]}, f"{out}/state.pt")


if __name__ == "__main__":
    main()
