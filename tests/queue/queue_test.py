#!/usr/bin/env python3
"""Queues from the command line: real workers, a real server, and what may befall both of them.

Workers are killed and frozen, the server is killed; in the end each item has one record, and a done one its files.
"""
import collections
import contextlib
import hashlib
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from workspace import SKIPPED, Workspace, build_dir  # noqa: E402
import nats  # noqa: E402

PATIENCE_S = 60
SILENCE_S = 1
PIPELINE = """{ "weft": 1, "inputs": { "topic": { "type": "text" }, "ms": { "type": "int", "default": 1 } },
  "nodes": {
    "check": { "uses": "test.fails", "in": { "x": "inputs.topic" }, "with": { "only": "bad", "times": 1000000 } },
    "wait": { "uses": "test.sleep", "with": { "ms": "${inputs.ms}" } },
    "say": { "uses": "test.text", "with": { "text": "${inputs.topic} after ${wait.y}" } },
    "keep": { "uses": "test.write", "in": { "text": "say.text" }, "with": { "path": "a.txt" } } },
  "outputs": { "text": "say.text" } }
"""


class Worker:
    """`weft worker --json`, with what it has printed so far."""

    def __init__(self, workspace, queue, *options, out="out"):
        self.log = workspace.path / f"worker-{time.monotonic_ns()}.log"
        self.errors = self.log.with_suffix(".err")
        with open(self.log, "wb") as log, open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(["weft", "worker", "--queue", queue, "--out", out, "--json", *options], cwd=workspace.path,
                                            env=workspace.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=errors)

    def events(self):
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]

    def items(self):
        return [event["name"] for event in self.events() if event["event"] == "item"]

    def send(self, number):
        self.process.send_signal(number)

    def finish(self):
        """The exit code."""
        return self.process.wait(PATIENCE_S)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class QueueTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.resources = contextlib.ExitStack()
        cls.server = cls.resources.enter_context(nats.Server())

    @classmethod
    def tearDownClass(cls):
        cls.resources.close()

    def setUp(self):
        self.workspace = Workspace()
        self.workspace.__enter__()
        self.addCleanup(self.workspace.__exit__)
        self.workspace.environment["WEFT_PLUGINS"] = str(build_dir() / "tests/plugins/nodes")
        (self.workspace.path / "card.json").write_text(PIPELINE)
        self.queue = self.server.queue(self._testMethodName)

    def weft(self, *arguments, code=0):
        result = subprocess.run(["weft", *arguments], cwd=self.workspace.path, env=self.workspace.environment, stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(result.returncode, code, f"weft {' '.join(arguments)}\n{result.stdout}\n{result.stderr}")
        return result.stdout + result.stderr

    def submit(self, items, *options, code=0):
        (self.workspace.path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
        return self.weft("submit", "card.json", "--items", "items.jsonl", "--queue", self.queue, "--silence", str(SILENCE_S), *options,
                         code=code)

    def worker(self, *options, **named):
        worker = Worker(self.workspace, self.queue, *options, **named)
        self.addCleanup(worker.stop)
        return worker

    def status(self):
        return json.loads(self.weft("status", "--queue", self.queue, "--json"))

    def wait_for(self, condition, what):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), end, f"waiting for {what}: {self.status()}")
            time.sleep(0.05)

    def gather(self, code=0):
        """Merges the queue and checks the batch that comes of it; results and failures by name."""
        self.weft("merge", "out", "--queue", self.queue, code=code)
        out = self.workspace.path / "out"
        results, failures = ([json.loads(line) for line in (out / name).read_text().splitlines()] for name in ("results.jsonl", "failures.jsonl"))
        counts = collections.Counter(item["name"] for item in results + failures)
        self.assertEqual([name for name, n in counts.items() if n != 1], [], "items with several records")
        known = set()
        for item in results:
            for file in item["files"]:
                known.add(file["path"])
                self.assertEqual(hashlib.sha256((out / file["path"]).read_bytes()).hexdigest(), file["sha256"], file["path"])
        found = {str(path.relative_to(out)) for path in (out / "items").rglob("*") if path.is_file()} if (out / "items").exists() else set()
        self.assertEqual(found, known, "files and records")
        self.assertFalse((out / "workers").exists())
        return {item["name"]: item for item in results}, {item["name"]: item for item in failures}

    def test_a_worker_is_killed(self):
        self.submit([{"topic": "bad" if i == 7 else f"t{i}", "ms": 60} for i in range(1, 31)], "--tries", "4")
        self.assertEqual(self.status(), {"queue": self.queue, "items": 30, "waiting": 30, "running": 0, "done": 0, "failed": 0})
        first, second = self.worker("--concurrency", "2"), self.worker("--concurrency", "2")
        self.wait_for(lambda: len(first.items()) >= 4, "the first worker")
        first.send(signal.SIGKILL)
        self.assertEqual(second.finish(), 0, second.errors.read_text())
        self.assertEqual(second.events()[-1]["end"], "nothing_left")
        self.assertEqual({**self.status(), "queue": ""}, {"queue": "", "items": 30, "waiting": 0, "running": 0, "done": 29, "failed": 1})
        self.assertIn("failed: item '000007': node 'check': made to fail", self.weft("status", "--queue", self.queue))
        results, failures = self.gather(code=1)
        self.assertEqual(len(results), 29)
        self.assertEqual(list(failures), ["000007"])
        self.assertEqual(results["000003"]["outputs"], {"text": "t3 after 1"})
        self.assertTrue(set(first.items()) <= set(results), "what the killed worker said to be recorded")
        # What reads a batch's folder reads a queue's outcome.
        self.assertIn('"done":29,"failed":1,"pending":0', self.weft("status", "out", "--json"))
        self.assertIn("30 items", self.weft("report", "out"))
        self.assertIn("29 of 30 items done, 1 failed", self.weft("batch", "card.json", "--items", "items.jsonl", "--out", "out", code=1))

    def test_the_server_is_killed(self):
        self.submit([{"topic": "t", "ms": 50} for _ in range(40)], "--tries", "4")
        workers = [self.worker("--concurrency", "2") for _ in range(2)]
        self.wait_for(lambda: sum(len(worker.items()) for worker in workers) >= 8, "the workers")
        self.server.kill()
        time.sleep(1.5 * SILENCE_S)
        self.server.start()
        for worker in workers:
            self.assertEqual(worker.finish(), 0, worker.errors.read_text())
        self.assertEqual(self.status()["done"], 40)
        recorded = collections.Counter(name for worker in workers for name in worker.items())
        self.assertEqual([name for name, n in recorded.items() if n != 1], [], "an item is recorded by one worker, and said so once")
        self.gather()

    def test_a_worker_is_frozen(self):
        self.submit([{"topic": "t", "ms": 700}])
        frozen = self.worker()
        self.wait_for(lambda: self.status()["running"] == 1, "the first worker")
        frozen.send(signal.SIGSTOP)
        other = self.worker()
        self.assertEqual(other.finish(), 0, other.errors.read_text())
        self.assertEqual(other.items(), ["000001"])
        frozen.send(signal.SIGCONT)
        self.assertEqual(frozen.finish(), 0, frozen.errors.read_text())
        self.assertEqual(frozen.items(), [], "its late result is not recorded")
        self.assertIn("has ended meanwhile, by another try", frozen.errors.read_text())
        self.assertEqual(self.status()["done"], 1)
        self.gather()

    def test_an_item_that_takes_its_workers_down(self):
        self.submit([{"topic": "killer", "ms": 30000}, *({"topic": "t"} for _ in range(6))], "--tries", "2")
        for n_tries in range(2):
            worker = self.worker("--concurrency", "2")
            self.wait_for(lambda: n_tries > 0 or len(worker.items()) == 6, "the other items")
            self.wait_for(lambda: self.status()["running"] == 1, "the killer")
            time.sleep(0 if n_tries == 0 else 1.5 * SILENCE_S)
            worker.send(signal.SIGKILL)
        last = self.worker()
        self.assertEqual(last.finish(), 0, last.errors.read_text())
        results, failures = self.gather(code=1)
        self.assertEqual(len(results), 6, "the others are done")
        self.assertIn("the item's worker did not come back, 2 times", failures["000001"]["reason"])

    def test_pictures_of_what_is_at_work(self):
        paint = '"paint": { "uses": "test.meet", "in": { "text": "inputs.topic" }, "with": { "n": 1 } },'
        pipeline = PIPELINE.replace('"wait": { "uses": "test.sleep",', paint + '"wait": { "uses": "test.sleep", "in": { "x": "paint.text" },')
        (self.workspace.path / "card.json").write_text(pipeline)
        self.submit([{"id": "sea", "topic": "the sea", "ms": 1500}])
        shown = self.workspace.path / "shown"
        picture = shown / "sea/paint.png"
        killed = self.worker("--previews", "shown")
        self.wait_for(picture.exists, "a picture")
        self.assertEqual(picture.read_text(), "the sea")
        killed.send(signal.SIGKILL)
        killed.finish()
        self.assertTrue(picture.exists())
        self.assertEqual(self.worker("--previews", "shown").finish(), 0)
        self.assertEqual(list(shown.iterdir()), [])
        results, _ = self.gather()
        self.assertEqual([file["path"] for file in results["sea"]["files"]], ["items/sea/a.txt"])

    def test_a_queue_is_cancelled(self):
        self.submit([{"topic": "quick"}, *({"topic": "t", "ms": 30000} for _ in range(20))])
        worker = self.worker("--concurrency", "2")
        self.wait_for(lambda: worker.items() == ["000001"], "the first item")
        self.assertIn("20 items cancelled", self.weft("cancel", "--queue", self.queue))
        self.assertEqual(worker.finish(), 0, worker.errors.read_text())
        self.assertEqual(worker.events()[-1]["end"], "queue_cancelled")
        results, failures = self.gather(code=1)
        self.assertEqual(list(results), ["000001"])
        self.assertEqual({item["code"] for item in failures.values()}, {"cancelled"})
        self.assertIn("the queue was cancelled", self.submit([{"topic": "more"}], code=1))
        self.assertIn("the queue is removed", self.weft("cancel", "--queue", self.queue, "--remove"))
        self.assertIn("there is no such queue", self.weft("status", "--queue", self.queue, code=4))

    def test_workers_need_what_was_submitted(self):
        self.submit([{"topic": "t"}])
        plugins = self.workspace.path / "other plugins"
        shutil.copytree(self.workspace.environment["WEFT_PLUGINS"], plugins)
        with open(plugins / "test.so", "ab") as library:
            library.write(b"\0")
        (self.workspace.path / "card.json").write_text(PIPELINE.replace("after", "behind"))
        self.workspace.environment["WEFT_PLUGINS"] = str(plugins)
        message = self.weft("worker", "--queue", self.queue, code=6)
        self.assertIn("different here: pipeline card.json (was ", message)
        self.assertIn(", plugin test (was ", message)
        self.assertEqual(self.status()["waiting"], 1)

    def test_ctrl_c_ends_what_is_at_work(self):
        self.submit([{"topic": "t", "ms": 400} for _ in range(8)])
        worker = self.worker("--concurrency", "2")
        self.wait_for(lambda: len(worker.items()) >= 1, "an item")
        worker.send(signal.SIGINT)
        self.assertEqual(worker.finish(), 130)
        self.assertEqual(worker.events()[-1]["end"], "drained")
        # The server counts an acknowledgement a moment after it has received it.
        self.wait_for(lambda: self.status()["running"] == 0, "the end of what was at work")
        status = self.status()
        self.assertEqual((status["failed"], status["done"]), (0, len(worker.items())))
        self.assertEqual(self.worker("--concurrency", "4").finish(), 0)
        self.gather()

    def test_workers_without_a_shared_disk(self):
        self.submit([{"topic": "t", "ms": 50} for _ in range(8)])
        workers = [self.worker("--concurrency", "1", out=out) for out in ("a", "b")]
        for worker in workers:
            self.assertEqual(worker.finish(), 0, worker.errors.read_text())
        self.assertIn("8 of 8 items done", self.weft("merge", "whole", "a", "b", "--queue", self.queue))
        self.assertEqual(len(list((self.workspace.path / "whole/items").rglob("a.txt"))), 8)

    def test_mistakes_are_named(self):
        self.assertIn("expected: nats://HOST:4222/NAME", self.weft("worker", "--queue", "localhost", code=2))
        self.assertIn("there is no such queue", self.weft("worker", "--queue", self.queue, code=4))
        nobody = f"nats://127.0.0.1:{nats.free_port()}/q"
        self.assertIn("no NATS server answers there", self.weft("status", "--queue", nobody, code=8))


if __name__ == "__main__":
    if not nats.is_installed():
        print("skipped: nats-server is not installed; scripts/install_packages test")
        sys.exit(SKIPPED)
    with Workspace() as build:
        if "libnats was not there" in build.bash("weft status --queue nats://127.0.0.1:1/q; true").stderr.decode():
            print("skipped: this build has no queues")
            sys.exit(SKIPPED)
    unittest.main()
