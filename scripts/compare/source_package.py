"""What the comparisons with llama.cpp and stable-diffusion.cpp share: the peer's programs, built natively from the source package of its
Python bindings, as PyPI has it."""
import pathlib
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "build/peers"


def run(*words):
    command = [str(word) for word in words]
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode != 0:
        sys.exit(f"compare: {' '.join(command)} failed")


def unpacked(package, version):
    """The folder of the package's source in build/peers, fetched and unpacked unless it is there."""
    name = f"{package.replace('-', '_')}-{version}"
    source, archive = PEERS / name, PEERS / f"{name}.tar.gz"
    if source.exists():
        return source
    PEERS.mkdir(parents=True, exist_ok=True)
    if not archive.exists():
        run(sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "-d", PEERS, f"{package}=={version}")
    with tarfile.open(archive) as tar:
        tar.extractall(PEERS, filter="data")
    return source


def build(source, folder, programs, options, jobs):
    """Builds the programs of a CMake tree that uses ggml, for this machine, and returns the folder in which they are."""
    fix_tile_configuration(source / "ggml")
    run("cmake", "-S", source, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", *options)
    run("cmake", "--build", folder, "--target", *programs, "--parallel", jobs)
    return folder / "bin"


def fix_tile_configuration(ggml):
    """GCC 12's _tile_loadconfig says that it reads 8 of the 64 bytes, so that the peer's AMX code dies of SIGILL. An
    instruction that says what it reads makes the comparison on AMX machines a fair one."""
    path = ggml / "src/ggml-cpu/amx/mmq.cpp"
    text = path.read_text()
    fixed = text.replace("_tile_loadconfig(&tc);", '__asm__ volatile("ldtilecfg %0" :: "m"(tc));')
    if fixed != text:
        path.write_text(fixed)
    elif "ldtilecfg" not in text:
        sys.exit(f"compare: {path}: no call of _tile_loadconfig to replace; is this the version that the script names?")
