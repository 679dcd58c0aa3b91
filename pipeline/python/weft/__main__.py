"""The command `weft` of this installation: python -m weft, or weft on PATH."""
import os
import pathlib
import sys


def main() -> None:
    program = str(pathlib.Path(__file__).resolve().parent / "bin" / "weft")
    os.execv(program, [program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
