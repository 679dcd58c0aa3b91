#!/usr/bin/env python3
"""Writes assets/fields/idealised.nc: the field that the example pipelines draw.

usage: example_field.py [OUTPUT]
needs: numpy, netCDF4 (made with numpy 2.4.6, netCDF4 1.7.5.1); not needed to run the examples.

No measurement and no model: a formula that looks a little like the temperature of the air. At latitude p and longitude q,
  t = 302 - 46 sin(p)^2 + 7 sin(2 p)^2 cos(3 q + 2 p) + 3 cos(p) cos(q) K at 1000 hPa, and 38 - 14 sin(p)^2 K less at 500 hPa,
every 5 degrees, as CF NetCDF (classic format), f32.
"""
import sys

import netCDF4
import numpy


def main():
    latitude, longitude, level = numpy.arange(90, -91, -5.0), numpy.arange(0, 360, 5.0), numpy.array([1000.0, 500.0])
    p, q = numpy.meshgrid(numpy.radians(latitude), numpy.radians(longitude), indexing="ij")
    surface = 302 - 46 * numpy.sin(p) ** 2 + 7 * numpy.sin(2 * p) ** 2 * numpy.cos(3 * q + 2 * p) + 3 * numpy.cos(p) * numpy.cos(q)
    t = numpy.stack([surface, surface - 38 + 14 * numpy.sin(p) ** 2])
    with netCDF4.Dataset(sys.argv[1] if len(sys.argv) > 1 else "assets/fields/idealised.nc", "w", format="NETCDF3_CLASSIC") as file:
        file.setncatts({"Conventions": "CF-1.11", "source": "a formula: scripts/make_golden/example_field.py"})
        for name, values, attributes in (
                ("level", level, {"units": "hPa", "standard_name": "air_pressure", "positive": "down"}),
                ("latitude", latitude, {"units": "degrees_north", "standard_name": "latitude"}),
                ("longitude", longitude, {"units": "degrees_east", "standard_name": "longitude"})):
            file.createDimension(name, len(values))
            variable = file.createVariable(name, "f8", (name,))
            variable.setncatts(attributes)
            variable[:] = values
        variable = file.createVariable("t", "f4", ("level", "latitude", "longitude"))
        variable.setncatts({"units": "K", "long_name": "idealised temperature"})
        variable[:] = t


main()
