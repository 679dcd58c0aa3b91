#!/usr/bin/env python3
"""Writes plugins/plot/color_tables.cc: the colours of the scales of plots, 256 each.

usage: color_tables.py > plugins/plot/color_tables.cc
needs: matplotlib (made with 3.11.2), whose colour maps are sampled; not needed to build.

viridis, magma: Nathaniel Smith and Stefan van der Walt, CC0. cividis: Jamie Nunez, Christopher Anderton and Ryan Renslow, 2018, given to
matplotlib. coolwarm: Kenneth Moreland, "Diverging Color Maps for Scientific Visualization", 2009. RdBu and BrBG: Cynthia Brewer,
Mark Harrower and The Pennsylvania State University, Apache-2.0.
"""
import matplotlib

SCALES = {"viridis": "viridis", "magma": "magma", "cividis": "cividis", "gray": "gray", "coolwarm": "coolwarm", "red_blue": "RdBu_r",
          "brown_green": "BrBG"}
DIVERGING = {"coolwarm", "red_blue", "brown_green"}


def main():
    print("// Made by scripts/make_tables/color_tables.py, which names the authors; not to be edited.")
    print('#include "plugins/plot/color_scale.h"\n')
    print("namespace weft::plot {\nnamespace {\n\n// clang-format off")
    for name, source in SCALES.items():
        colors = [matplotlib.colormaps[source](i)[:3] for i in range(256)]
        values = [f"0x{sum(round(c * 255) << s for c, s in zip(color, (16, 8, 0))):06x}" for color in colors]
        print(f"constexpr uint32_t k_{name}[256] = {{")
        for begin in range(0, 256, 12):
            print("    " + ", ".join(values[begin:begin + 12]) + ",")
        print("};")
    print("\nconstexpr ColorTable kTables[] = {")
    for name in SCALES:
        print(f'    {{"{name}", {"true" if name in DIVERGING else "false"}, k_{name}}},')
    print("};\n// clang-format on\n\n}  // namespace\n")
    print("std::span<const ColorTable> color_tables() { return kTables; }\n\n}  // namespace weft::plot")


main()
