#!/usr/bin/env python3
"""Writes files of fields by NumPy, netCDF4 and ecCodes to assets/golden/fields.

usage: fields.py [OUTPUT_FOLDER]          (default: assets/golden/fields)
needs: numpy, netCDF4, eccodes (made with numpy 2.4.6, netCDF4 1.7.5.1, Python's eccodes 2.50.0 over
Debian's ecCodes 2.28.0); not needed to run the tests.

All values are formulas of the indices, which the test repeats: element i of row-major order is (i * 37 % 101) / 4 - 10, for integer
types (i * 37 % 101) (for signed ones minus 50), for booleans whether that is odd.
  TYPE.npy               shape 3 x 4 of each simple type, little- and big-endian; fortran.npy (2 x 3 x 4, f4) in Fortran's order
  plain.npz, packed.npz  np.savez and savez_compressed of t (2 x 3, f8), lat (2, f4), lon (3, f8), and names, an array of texts
  classic.nc, offset64.nc, data64.nc, netcdf4.nc
                         CDF-1, CDF-2, CDF-5 and HDF5: t (time 2 (records), level 2, lat 3, lon 4) f4 with a fill value at element 5;
                         packed (lat, lon) i2 with scale 0.5, offset 100, missing -99 at element 2, valid_range -98 to 100;
                         a scalar coordinate height = 2 m; lat_bnds
  pressure.grib2, surface.grib1
                         t at levels 500 and 850 hPa and hours 0 and 6 of 2026-01-02, on lat 60 to 50 by 5, lon 0 to 30 by 10; and
                         2t, with element 4 missing
"""
import pathlib
import sys

import eccodes
import netCDF4
import numpy


def values(shape):
    i = numpy.arange(int(numpy.prod(shape)))
    return ((i * 37 % 101) / 4 - 10).reshape(shape)


def integers(shape):
    i = numpy.arange(int(numpy.prod(shape)))
    return (i * 37 % 101).reshape(shape)


def write_npy(out):
    for name in ("<f2", "<f4", "<f8", ">f4", ">f8"):
        numpy.save(out / f"{'big_' if name[0] == '>' else ''}{name[1:]}.npy", values((3, 4)).astype(name))
    for name in ("|i1", "<i2", "<i4", "<i8", ">i2", ">i8"):
        numpy.save(out / f"{'big_' if name[0] == '>' else ''}{name[1:]}.npy", (integers((3, 4)) - 50).astype(name))
    for name in ("|u1", "<u2", "<u4", "<u8", ">u2"):
        numpy.save(out / f"{'big_' if name[0] == '>' else ''}{name[1:]}.npy", integers((3, 4)).astype(name))
    numpy.save(out / "b1.npy", integers((3, 4)) % 2 == 1)
    numpy.save(out / "fortran.npy", numpy.asfortranarray(values((2, 3, 4)).astype("f4")))
    arrays = {"t": values((2, 3)), "lat": numpy.array([50, 60], "f4"), "lon": numpy.array([0.0, 10, 20]),
              "names": numpy.array(["a", "b"])}
    numpy.savez(out / "plain.npz", **arrays)
    numpy.savez_compressed(out / "packed.npz", **arrays)


def write_netcdf(path, kind):
    with netCDF4.Dataset(path, "w", format=kind) as file:
        for name, size in (("time", None), ("level", 2), ("lat", 3), ("lon", 4), ("bounds", 2)):
            file.createDimension(name, size)
        for name, data, attributes in (
                ("time", [0, 6], {"units": "hours since 2026-01-02 00:00:00", "standard_name": "time"}),
                ("level", [500, 850], {"units": "hPa", "positive": "down"}),
                ("lat", [60, 55, 50], {"units": "degrees_north", "bounds": "lat_bnds"}),
                ("lon", [0, 10, 20, 30], {"units": "degrees_east"})):
            variable = file.createVariable(name, "f8", (name,))
            variable.setncatts(attributes)
            variable[:] = data
        file.createVariable("lat_bnds", "f8", ("lat", "bounds"))[:] = [[62.5, 57.5], [57.5, 52.5], [52.5, 47.5]]
        height = file.createVariable("height", "f8", ())
        height.setncatts({"units": "m", "standard_name": "height"})
        height[...] = 2.0
        t = file.createVariable("t", "f4", ("time", "level", "lat", "lon"), fill_value=numpy.float32(-999))
        t.setncatts({"units": "K", "long_name": "temperature"})
        data = values((2, 2, 3, 4)).astype("f4")
        data.flat[5] = -999
        t[:] = data
        packed = file.createVariable("packed", "i2", ("lat", "lon"))
        packed.set_auto_maskandscale(False)
        packed.setncatts({"scale_factor": 0.5, "add_offset": 100.0, "missing_value": numpy.int16(-99),
                          "valid_range": numpy.array([-98, 100], "i2"), "coordinates": "height", "units": "m s-1"})
        stored = (integers((3, 4)) - 50).astype("i2")
        stored.flat[2] = -99
        stored.flat[3] = 101
        packed[:] = stored


def grib_message(sample, keys, data):
    handle = eccodes.codes_grib_new_from_samples(sample)
    for key, value in keys.items():
        eccodes.codes_set(handle, key, value)
    eccodes.codes_set_values(handle, data)
    message = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    return message


def write_grib(out):
    grid = {"gridType": "regular_ll", "Ni": 4, "Nj": 3, "latitudeOfFirstGridPointInDegrees": 60, "latitudeOfLastGridPointInDegrees": 50,
            "longitudeOfFirstGridPointInDegrees": 0, "longitudeOfLastGridPointInDegrees": 30, "iDirectionIncrementInDegrees": 10,
            "jDirectionIncrementInDegrees": 5, "dataDate": 20260102, "dataTime": 0}
    data = values((2, 2, 12))
    with open(out / "pressure.grib2", "wb") as file:
        for step, hours in enumerate((0, 6)):
            for index, level in enumerate((500, 850)):
                keys = {**grid, "shortName": "t", "typeOfLevel": "isobaricInhPa", "level": level, "stepRange": hours, "bitsPerValue": 16}
                file.write(grib_message("regular_ll_pl_grib2", keys, data[step, index]))
    with open(out / "surface.grib1", "wb") as file:
        surface = values((12,))
        surface[4] = 9999
        keys = {**grid, "shortName": "2t", "bitsPerValue": 16, "missingValue": 9999, "bitmapPresent": 1}
        file.write(grib_message("regular_ll_sfc_grib1", keys, surface))


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "assets/golden/fields")
    out.mkdir(parents=True, exist_ok=True)
    write_npy(out)
    for name, kind in (("classic", "NETCDF3_CLASSIC"), ("offset64", "NETCDF3_64BIT_OFFSET"), ("data64", "NETCDF3_64BIT_DATA"),
                       ("netcdf4", "NETCDF4")):
        write_netcdf(out / f"{name}.nc", kind)
    write_grib(out)


main()
