"""A scratch folder that looks like the root of a checkout, for tests that run commands as a user would type them.

Top-level files and folders are links into the checkout, so that what a command writes (out/, my_plugin/) stays in the
scratch folder. The caches are its own, but for the compiler's; models are those of the user. The build's bin/ is first on PATH.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
SKIPPED = 77  # ctest's SKIP_RETURN_CODE


def build_dir():
    return pathlib.Path(os.environ.get("WEFT_BUILD_DIR", ROOT / "build/cpu")).resolve()


def model_folders():
    folders = [folder for folder in os.environ.get("WEFT_MODELS", "").split(":") if folder]
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return [pathlib.Path(folder) for folder in folders + [data + "/weft/models"]]


def has_model(name=MODEL):
    return any((folder / name).is_file() for folder in model_folders())


def compiler_cache():
    """Where ccache keeps what it compiled: commands that compile find there what this checkout's build left."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(os.environ.get("CCACHE_DIR") or cache + "/ccache")


class Workspace:
    """Use as a context manager; `path` is the scratch folder, `environment` what commands get."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="weft-test-"))
        for entry in ROOT.iterdir():
            if entry.name not in (".git", "build", "out"):
                (self.path / entry.name).symlink_to(entry)
        (self.path / "build").mkdir()
        (self.path / "build/cpu").symlink_to(build_dir())
        self.environment = dict(os.environ, XDG_CACHE_HOME=str(self.path / ".cache"), WEFT_BUILD_DIR=str(build_dir()), TERM="dumb",
                                WEFT_MODELS=":".join(str(folder) for folder in model_folders()), CCACHE_DIR=str(compiler_cache()),
                                PATH=f"{build_dir() / 'bin'}:{os.environ['PATH']}", LC_ALL="C.UTF-8")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def bash(self, script, timeout_s=None):
        """Runs a script; the completed process with output as bytes. Without a limit of its own it has the test's."""
        return subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=self.path, env=self.environment, timeout=timeout_s,
                              stdin=subprocess.DEVNULL, capture_output=True)
