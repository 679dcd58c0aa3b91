#!/usr/bin/env python3
"""The Kubernetes manifests: their fields are those that Kubernetes documents, and what their containers run does a batch.

Fields: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/ and pod-v1/, those of them that a job of
ours may use. The commands run here with the folder /data replaced, once for every completion index.
"""
import json
import pathlib
import re
import subprocess
import sys

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from workspace import ROOT, Workspace, build_dir  # noqa: E402

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")  # RFC 1123 label
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|[KMGT]i?|)")


def number(least):
    return lambda value, place: isinstance(value, int) and not isinstance(value, bool) and value >= least or f"{place}: not a number from {least}"


def text(pattern=".+"):
    return lambda value, place: isinstance(value, str) and re.fullmatch(pattern, value, re.S) is not None or f"{place}: not {pattern}"


def fields(required, optional=None):
    """An object with these members, each with a check of its own."""
    known = {**required, **(optional or {})}

    def check(value, place):
        if not isinstance(value, dict):
            return f"{place}: no object"
        problems = [f"{place}.{name}: missing" for name in required if name not in value]
        problems += [f"{place}.{name}: unknown" for name in value if name not in known]
        problems += [problem for name in value if name in known for problem in [known[name](value[name], f"{place}.{name}")] if problem is not True]
        return "\n".join(problems) or True
    return check


def each(item):
    def check(value, place):
        if not isinstance(value, list) or not value:
            return f"{place}: no list"
        problems = [problem for i, element in enumerate(value) for problem in [item(element, f"{place}[{i}]")] if problem is not True]
        return "\n".join(problems) or True
    return check


METADATA = fields({"name": text(NAME.pattern)}, {"namespace": text(NAME.pattern)})
AMOUNTS = fields({}, {"cpu": text(QUANTITY.pattern), "memory": text(QUANTITY.pattern), "nvidia.com/gpu": number(1)})
CONTAINER = fields({"name": text(NAME.pattern), "image": text()},
                   {"command": each(text()), "args": each(text()), "env": each(fields({"name": text(r"[A-Za-z_]\w*"), "value": text()})),
                    "resources": fields({}, {"requests": AMOUNTS, "limits": AMOUNTS}),
                    "volumeMounts": each(fields({"name": text(NAME.pattern), "mountPath": text("/.*")}))})
POD = fields({"restartPolicy": text("Never|OnFailure"), "containers": each(CONTAINER)},  # a job's pods are not restarted always
             {"terminationGracePeriodSeconds": number(0),
              "volumes": each(fields({"name": text(NAME.pattern), "persistentVolumeClaim": fields({"claimName": text(NAME.pattern)})}))})
JOB = fields({"apiVersion": text("batch/v1"), "kind": text("Job"), "metadata": METADATA,
              "spec": fields({"template": fields({"spec": POD}, {"metadata": METADATA})},
                             {"completionMode": text("Indexed|NonIndexed"), "completions": number(1), "parallelism": number(1),
                              "backoffLimit": number(0), "activeDeadlineSeconds": number(1), "ttlSecondsAfterFinished": number(0)})})


def read_job(name):
    documents = list(yaml.safe_load_all((ROOT / "scripts/cluster" / name).read_text()))
    assert len(documents) == 1, f"{name}: {len(documents)} documents"
    problem = JOB(documents[0], name)
    assert problem is True, problem
    pod = documents[0]["spec"]["template"]["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in pod["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, f"{name}: a volume is not there"
    return documents[0]


def run_pod(workspace, job, data, **environment):
    """What the job's container runs, with its folder /data at `data`."""
    container = job["spec"]["template"]["spec"]["containers"][0]
    command = [part.replace("/data", str(data)) for part in container["command"] + container["args"]]
    return subprocess.run(command, cwd=workspace.path, env={**workspace.environment, **environment}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)


def main():
    batch, merge = read_job("kubernetes_batch.yaml"), read_job("kubernetes_merge.yaml")
    spec = batch["spec"]
    assert spec["completionMode"] == "Indexed", "Kubernetes sets JOB_COMPLETION_INDEX for indexed jobs only"
    arguments = spec["template"]["spec"]["containers"][0]["args"]
    shards = int(arguments[arguments.index("--shard-count") + 1])
    assert shards == spec["completions"] == spec["parallelism"], "the shards are one number"
    with Workspace() as workspace:
        workspace.environment["WEFT_PLUGINS"] = str(build_dir() / "tests/plugins/nodes")
        data = workspace.path / "volume"
        data.mkdir()
        (data / "pipeline.json").write_text("""{ "weft": 1, "inputs": { "topic": { "type": "text" } },
          "nodes": { "check": { "uses": "test.fails", "in": { "x": "inputs.topic" }, "with": { "only": "bad", "times": 1000000 } },
                     "say": { "uses": "test.text", "with": { "text": "about ${inputs.topic}" } } },
          "outputs": { "text": "say.text" } }""")
        (data / "items.jsonl").write_text("".join(json.dumps({"topic": "bad" if i == 5 else f"t{i}"}) + "\n" for i in range(1, 12)))
        for index in range(shards):
            result = run_pod(workspace, batch, data, JOB_COMPLETION_INDEX=str(index))
            assert result.returncode == 0, result.stdout + result.stderr
            assert (data / f"out/journal-{index + 1}-of-{shards}.sqlite").exists(), result.stderr
        again = run_pod(workspace, batch, data, JOB_COMPLETION_INDEX="0")
        assert again.returncode == 0, "a pod that begins anew finds its shard done"
        result = run_pod(workspace, merge, data)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "10 of 11 items done, 1 failed" in result.stdout, result.stdout
        wrong = run_pod(workspace, batch, data, JOB_COMPLETION_INDEX="")
        assert wrong.returncode != 0 and "JOB_COMPLETION_INDEX" in wrong.stderr, "without an index nothing is run"


if __name__ == "__main__":
    sys.exit(main())
