#!/usr/bin/env python3
"""Writes plugins/plot/coastline_table.cc: coast lines of the world, in hundredths of a degree.

usage: coastline.py naturalearth_lowres.shp > plugins/plot/coastline_table.cc
needs: nothing but Python; the file is that of geopandas 0.14.4 (geopandas/datasets/naturalearth_lowres): countries of Natural Earth,
1:110 million, public domain. A coast is a border that only one country has.
"""
import struct
import sys


def rings(path):
    data = open(path, "rb").read()
    at = 100
    while at < len(data):
        length = struct.unpack(">i", data[at + 4:at + 8])[0] * 2
        record = data[at + 8:at + 8 + length]
        at += 8 + length
        kind = struct.unpack("<i", record[:4])[0]
        if kind != 5:
            continue
        parts, points = struct.unpack("<ii", record[36:44])
        starts = list(struct.unpack(f"<{parts}i", record[44:44 + 4 * parts])) + [points]
        coordinates = struct.unpack(f"<{2 * points}d", record[44 + 4 * parts:44 + 4 * parts + 16 * points])
        for begin, end in zip(starts, starts[1:]):
            yield [(round(coordinates[2 * i] * 100), round(coordinates[2 * i + 1] * 100)) for i in range(begin, end)]


def main():
    all_rings = list(rings(sys.argv[1]))
    count = {}
    for ring in all_rings:
        for edge in zip(ring, ring[1:]):
            key = tuple(sorted(edge))
            count[key] = count.get(key, 0) + 1
    lines = []
    for ring in all_rings:
        line = []
        for a, b in zip(ring, ring[1:]):
            # The cuts at the edges of the world are no coasts.
            cut = abs(a[0]) == abs(b[0]) == 18000 or a[1] == b[1] == -9000
            if a == b or count[tuple(sorted((a, b)))] > 1 or cut:
                if line:
                    lines.append(line)
                line = []
                continue
            line = line + [b] if line else [a, b]
        if line:
            lines.append(line)
    values = []
    for line in lines:
        values.append(str(len(line)))
        values += [str(v) for point in line for v in point]
    print("// Made by scripts/make_tables/coastline.py from Natural Earth (public domain); not to be edited.")
    print('#include "plugins/plot/coastline.h"\n')
    print("namespace weft::plot {\nnamespace {\n\n// clang-format off")
    print("// Of each line: the number of its points, and their longitudes and latitudes in hundredths of a degree.")
    print("constexpr int16_t kLines[] = {")
    row = "   "
    for value in values:
        if len(row) + len(value) > 125:
            print(row)
            row = "   "
        row += f" {value},"
    print(row + "\n};\n// clang-format on\n\n}  // namespace\n")
    print("std::span<const int16_t> coastline_table() { return kLines; }\n\n}  // namespace weft::plot")


main()
