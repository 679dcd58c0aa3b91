"""A real nats-server with JetStream for tests, on a port of its own, with its files in a folder that is removed."""
import shutil
import socket
import subprocess
import tempfile
import time

PATIENCE_S = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_installed():
    return shutil.which("nats-server") is not None


class Server:
    """Use as a context manager."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.process = None

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weft-nats-")
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        self.folder.cleanup()

    def start(self):
        self.process = subprocess.Popen(
            ["nats-server", "--jetstream", "--store_dir", self.folder.name, "--port", str(self.port), "--addr", "127.0.0.1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE_S
        while not answers(self.port):
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("nats-server does not answer")
            time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def queue(self, name):
        return f"nats://127.0.0.1:{self.port}/{name}"
