#!/usr/bin/env python3
"""Builds the wheel, installs it into a fresh virtual environment, and runs the tests of this folder there.

  wheel_test.py [pytest options]

Packages come from PyPI; without it the test is skipped. WEFT_BUILD_DIR: the build with the test plugins.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SKIPPED = 77  # ctest's SKIP_RETURN_CODE
NO_NETWORK = re.compile(r"connection broken|Network is unreachable|Name or service not known|Temporary failure in name resolution")


def run(*command):
    """Runs a command that may need PyPI."""
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode == 0:
        return
    print(done.stdout)
    if NO_NETWORK.search(done.stdout):
        print("skipped: PyPI cannot be reached, and the wheel's tests need packages from there")
        sys.exit(SKIPPED)
    sys.exit(f"{command[0]} failed: exit code {done.returncode}")


def main(arguments):
    build = pathlib.Path(os.environ.get("WEFT_BUILD_DIR", ROOT / "build/cpu")).resolve()
    with tempfile.TemporaryDirectory(prefix="weft-wheel-") as scratch:
        wheels = pathlib.Path(scratch, "wheels")
        run(ROOT / "scripts/build_wheel", "--out", wheels)
        environment = pathlib.Path(scratch, "venv")
        run(sys.executable, "-m", "venv", environment)
        python = environment / "bin/python"
        run(python, "-m", "pip", "install", *wheels.glob("weft-*.whl"), "-r", HERE / "requirements.txt")
        tested = subprocess.run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE, *arguments], cwd=scratch,
                                env={**os.environ, "WEFT_BUILD_DIR": str(build), "PYTHONDONTWRITEBYTECODE": "1"})
        return tested.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
