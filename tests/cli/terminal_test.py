#!/usr/bin/env python3
"""weft on a terminal: width, colours, progress, Ctrl-C, chat. Skips what needs the model where it is not there."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from workspace import MODEL, Workspace, has_model  # noqa: E402

PATIENCE_S = 60
LONG_PIPELINE = """{ "weft": 1, "models": { "m": { "path": "%s" } },
  "nodes": { "a": { "uses": "text.chat", "with": { "model": "m", "prompt": "Tell a long story.", "max_tokens": 4000, "seed": 1,
                                                   "logit_bias": { "<|im_end|>": "-inf" }, "temperature": 1 } },
             "s": { "uses": "text.save", "in": { "text": "a.text" }, "with": { "path": "story.txt" } } },
  "outputs": { "text": "a.text", "file": "s.path" } }""" % MODEL


class Screen:
    """A command on a pseudo-terminal of 80 columns, and all that it wrote."""

    def __init__(self, workspace, command, **environment):
        self.fd, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, cwd=workspace.path, start_new_session=True,
                                        env=dict(workspace.environment, TERM="xterm-256color", **environment),
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(child)
        self.text = ""

    def read_until(self, condition):
        """Reads until condition(text) holds or the program ends; whether it holds."""
        end = time.monotonic() + PATIENCE_S
        while not condition(self.text) and time.monotonic() < end:
            if not select.select([self.fd], [], [], 0.2)[0]:
                continue
            try:
                part = os.read(self.fd, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            self.text += part.decode(errors="replace")
        return condition(self.text)

    def finish(self):
        """Reads to the end; the exit code."""
        self.read_until(lambda _: False)
        os.close(self.fd)
        return self.process.wait(PATIENCE_S)

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def visible(self):
        """The text without escape sequences and carriage returns."""
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\r", "", self.text)


class Terminal(unittest.TestCase):
    def setUp(self):
        self.workspace = Workspace()
        self.workspace.__enter__()

    def tearDown(self):
        self.workspace.__exit__()

    def run_on_screen(self, command, **environment):
        screen = Screen(self.workspace, command, **environment)
        return screen, screen.finish()

    def assert_fits(self, screen, command):
        for line in screen.visible().splitlines():
            words = line.split()
            if len(line) > 80:  # only a word that is longer than the line, such as a path, may be
                self.assertLessEqual(len(line) - len(line.lstrip()), 24, (command, line))
                self.assertEqual(len(words), 1, (command, line))

    def test_tables_fit_80_columns(self):
        commands = [["models", "--no-hash"], ["doctor"], ["plugins"], ["nodes"], ["nodes", "text.chat"], ["cache", "ls"],
                    ["validate", "assets/pipelines/hello.json"], ["--help"], ["run", "--help"], ["bench", "--help"]]
        if has_model():
            commands += [["plan", "assets/pipelines/hello.json"], ["plan", "assets/pipelines/batch.json", "--max-memory", "2TiB"]]
        for command in commands:
            screen, code = self.run_on_screen(["weft", *command])
            self.assertEqual(code, 0, screen.visible())
            self.assert_fits(screen, command)

    def test_errors_fit_80_columns(self):
        commands = [["weft", "nodes", "a.node.type.with.a.long.name.that.no.plugin.on.this.machine.can.possibly.offer"],
                    ["weft", "run", "no/such/pipeline/anywhere/in/this/folder/or/any/other/that/you/can/think/of.json"],
                    ["weft", "cache", "clear", "a part that does not exist and whose name is very long indeed, longer than a line"]]
        for command in commands:
            screen, code = self.run_on_screen(command)
            self.assertNotEqual(code, 0)
            for line in screen.visible().splitlines():
                words = line.split()
                if len(words) > 1:  # a word that is longer than the line cannot be broken
                    self.assertLessEqual(len(line), max(80, max(map(len, words)) + 2), line)

    @unittest.skipUnless(has_model(), "skipped: the model is not there")
    def test_text_streams_and_progress_leaves_no_trace(self):
        screen = Screen(self.workspace, ["weft", "run", "assets/pipelines/hello.json", "--no-cache"])
        self.assertTrue(screen.read_until(lambda text: len(text) > 20))
        self.assertIsNone(screen.process.poll(), "nothing was shown before the end")
        self.assertEqual(screen.finish(), 0)
        # Whatever was drawn as progress was erased before the text.
        drawn, erased = screen.text.rfind("working"), screen.text.rfind("\x1b[J")
        self.assertTrue(drawn < 0 or erased > drawn, repr(screen.text))

    @unittest.skipUnless(has_model(), "skipped: the model is not there")
    def test_a_dumb_terminal_gets_no_escape_sequences(self):
        screen = Screen(self.workspace, ["env", "TERM=dumb", "weft", "run", "assets/pipelines/hello.json"])
        self.assertEqual(screen.finish(), 0)
        self.assertNotIn("\x1b", screen.text)

    @unittest.skipUnless(has_model(), "skipped: the model is not there")
    def test_no_color_means_no_colours(self):
        screen = Screen(self.workspace, ["weft", "chat", MODEL, "--max-tokens", "5"], NO_COLOR="1")
        self.assertTrue(screen.read_until(lambda text: "> " in text))
        screen.type("\x04")
        self.assertEqual(screen.finish(), 0)
        self.assertIsNone(re.search(r"\x1b\[[0-9;]*m", screen.text))

    @unittest.skipUnless(has_model(), "skipped: the model is not there")
    def test_ctrl_c_ends_a_run_and_leaves_nothing_half_written(self):
        (self.workspace.path / "long.json").write_text(LONG_PIPELINE)
        screen = Screen(self.workspace, ["weft", "run", "long.json", "--out", "result"])
        self.assertTrue(screen.read_until(lambda text: len(text) > 100))
        screen.type("\x03")
        self.assertEqual(screen.finish(), 130)
        out = self.workspace.path / "result"
        self.assertEqual([p.name for p in out.rglob("*")] if out.exists() else [], [])

    @unittest.skipUnless(has_model(), "skipped: the model is not there")
    def test_a_batch_shows_what_its_items_write(self):
        pipeline = LONG_PIPELINE.replace('"weft": 1,', '"weft": 1, "inputs": { "n": { "type": "int" } },').replace("long story.", "long story, the ${inputs.n}th.")
        (self.workspace.path / "long.json").write_text(pipeline)
        screen = Screen(self.workspace, ["weft", "batch", "long.json", "--matrix", "n=1..20", "--out", "result", "--concurrency", "10"])
        shown = re.compile(r"^  \d{6}  \S.{5,}$", re.MULTILINE)
        self.assertTrue(screen.read_until(lambda _: len(shown.findall(screen.visible())) > 8), screen.visible()[-2000:])
        self.assertIn("  and 2 more at work", screen.visible())
        self.assert_fits(screen, "batch")
        end = time.monotonic() + PATIENCE_S  # it is told once a second
        while True:
            status = json.loads(self.workspace.bash("weft status result --json").stdout)
            if len(status["at_work"]) == 10 and any(item.get("text") for item in status["at_work"]):
                break
            self.assertLess(time.monotonic(), end, status)
        lines = self.workspace.bash("weft status result").stdout.decode().splitlines()
        self.assertEqual(sum(line.startswith("    0000") for line in lines), 8, lines)
        self.assertLessEqual(max(map(len, lines)), 80, lines)
        screen.type("\x03")
        self.assertTrue(screen.read_until(lambda text: "finishing the items at work" in text))
        screen.type("\x03")
        self.assertEqual(screen.finish(), 130)
        self.assertIn("stopped; the same weft batch command goes on", self.workspace.bash("weft status result").stdout.decode())

    @unittest.skipUnless(has_model(), "skipped: the model is not there")
    def test_sigterm_ends_a_run_with_143(self):
        (self.workspace.path / "long.json").write_text(LONG_PIPELINE)
        screen = Screen(self.workspace, ["weft", "run", "long.json"])
        self.assertTrue(screen.read_until(lambda text: len(text) > 100))
        screen.process.send_signal(signal.SIGTERM)
        self.assertEqual(screen.finish(), 143)

    @unittest.skipUnless(has_model(), "skipped: the model is not there")
    def test_chat_goes_on_after_ctrl_c(self):
        screen = Screen(self.workspace, ["weft", "chat", MODEL, "--max-tokens", "4000", "--with", 'logit_bias={"<|im_end|>": "-inf"}'])
        self.assertTrue(screen.read_until(lambda text: "> " in text))
        screen.type("Tell a story.\n")
        self.assertTrue(screen.read_until(lambda text: len(text.partition("story.")[2]) > 200))
        screen.type("\x03")
        before = len(screen.text)
        self.assertTrue(screen.read_until(lambda text: "> " in text[before:]), "no prompt after Ctrl-C")
        screen.type("/clear\n/help\n")
        self.assertTrue(screen.read_until(lambda text: "/system TEXT" in text))
        screen.type("\x03")  # at the prompt: nothing to end
        self.assertTrue(screen.read_until(lambda text: "(Ctrl-D ends)" in text))
        screen.type("/exit\n")
        self.assertEqual(screen.finish(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
