#!/usr/bin/env python3
"""A batch as a job array of a real Slurm: controller, node and munge of its own, in a folder that is removed. Needs root."""
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from workspace import SKIPPED, Workspace, build_dir  # noqa: E402

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo", "squeue")
START_S, PATIENCE_S = 30, 120
CONFIGURATION = """ClusterName=weft
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_min_interval=100000,bf_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus}
PartitionName=all Nodes={host} Default=YES State=UP
"""
PIPELINE = """{ "weft": 1, "inputs": { "topic": { "type": "text" } },
  "nodes": {
    "check": { "uses": "test.fails", "in": { "x": "inputs.topic" }, "with": { "only": "bad", "times": 1000000 } },
    "say": { "uses": "test.text", "with": { "text": "about ${inputs.topic}" } },
    "keep": { "uses": "test.write", "in": { "text": "say.text" }, "with": { "path": "a.txt" } } },
  "outputs": { "text": "say.text" } }
"""


class NotHere(Exception):
    """Slurm does not run on this machine, whatever Weft does."""


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Slurm:
    """Use as a context manager; `environment` makes sbatch and its like speak to it."""

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weft-slurm-"))
        self.daemons = []
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        self.folder.chmod(0o755)  # munge wants everybody to reach its socket
        host = socket.gethostname().split(".")[0]
        controller_port, node_port = free_ports(2)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        configuration = self.folder / "slurm.conf"
        configuration.write_text(CONFIGURATION.format(host=host, folder=self.folder, controller_port=controller_port, node_port=node_port,
                                                      cpus=os.cpu_count()))
        self.environment = dict(os.environ, SLURM_CONF=str(configuration))
        files = [f"--{name.replace('_', '-')}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self.daemon("munged", "--foreground", f"--socket={self.folder}/munge.socket", "--num-threads=2", *files)
        self.wait_for(lambda: (self.folder / "munge.socket").exists())
        self.daemon("slurmctld", "-D", "-f", configuration)
        self.daemon("slurmd", "-D", "-N", host, "-f", configuration)
        self.wait_for(lambda: self.ask("sinfo", "--noheader", "--format=%T") == "idle")

    def daemon(self, name, *arguments):
        with open(self.folder / f"{name}.out", "wb") as output:
            self.daemons.append(subprocess.Popen([shutil.which(name), *map(str, arguments)], env=getattr(self, "environment", os.environ),
                                                 stdin=subprocess.DEVNULL, stdout=output, stderr=output))

    def ask(self, *command):
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60).stdout.strip()

    def wait_for(self, condition):
        end = time.monotonic() + START_S
        while not condition():
            dead = [daemon.args[0] for daemon in self.daemons if daemon.poll() is not None]
            if dead or time.monotonic() > end:
                logs = "\n".join(f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in sorted(self.folder.glob("*.out")))
                raise NotHere(f"{dead or 'slurm'} does not run here\n{logs}")
            time.sleep(0.1)


def check(workspace, slurm):
    workspace.environment.update(WEFT_PLUGINS=str(build_dir() / "tests/plugins/nodes"), SLURM_CONF=slurm.environment["SLURM_CONF"])
    (workspace.path / "card.json").write_text(PIPELINE)
    topics = ["bad" if i == 5 else f"t{i}" for i in range(1, 11)]
    (workspace.path / "items.jsonl").write_text("".join(json.dumps({"topic": topic}) + "\n" for topic in topics))
    out = workspace.path / "my out"
    submitted = workspace.bash("scripts/cluster/slurm_batch 3 card.json --items items.jsonl --out 'my out' --concurrency 1 -- --cpus-per-task=1")
    text = (submitted.stdout + submitted.stderr).decode()
    assert submitted.returncode == 0, text
    print(text, end="")
    end = time.monotonic() + PATIENCE_S
    while slurm.ask("squeue", "--noheader"):
        assert time.monotonic() < end, slurm.ask("squeue")
        time.sleep(0.2)
    logs = "\n".join(f"{path.name}:\n{path.read_text()}" for path in sorted(out.glob("slurm-*.log")))
    assert len(list(out.glob("journal-*-of-3.sqlite"))) == 3, f"each task runs a shard of its own\n{logs}"
    assert (out / "results.jsonl").exists(), f"no merge\n{logs}"
    results = {item["name"]: item for item in map(json.loads, (out / "results.jsonl").read_text().splitlines())}
    failures = [json.loads(line)["name"] for line in (out / "failures.jsonl").read_text().splitlines()]
    assert sorted(results) == [f"{i:06}" for i in range(1, 11) if i != 5], f"{sorted(results)}\n{logs}"
    assert failures == ["000005"], failures
    assert (out / "items/000010/a.txt").read_text() == "about t10"
    assert "3 shards: 9 of 10 items done, 1 failed" in logs, logs


def main():
    missing = [name for name in PROGRAMS if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if missing or os.geteuid() != 0:
        print(f"skipped: {'not root' if not missing else ', '.join(missing) + ' not installed; scripts/install_packages cluster'}")
        return SKIPPED
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    try:
        with Slurm() as slurm, Workspace() as workspace:
            check(workspace, slurm)
    except NotHere as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
