#!/usr/bin/env python3
"""weft run on model files that are cut off, damaged or hostile, made from SmolLM2's header and weights of zeros.

Whatever the file, the program ends with an exit code of its own and an error that names the file (and where it is corrupt, the
offset or key), within little memory and time, and leaves no output. Skips where the model is not there.
"""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from workspace import MODEL, SKIPPED, Workspace, has_model, model_folders  # noqa: E402

MEMORY_BYTES = 3 << 30  # address space; SmolLM2's file is mapped, 98 MB
PATIENCE_S = 60
FAILED, CORRUPT = 1, 6
U32, F32, STRING, ARRAY = 4, 6, 8, 9
SCALAR = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

PIPELINE = {"weft": 1, "models": {"m": {"path": "bad.gguf"}},
            "nodes": {"a": {"uses": "text.chat", "with": {"model": "m", "prompt": "Hi", "max_tokens": 4, "seed": 1}},
                      "s": {"uses": "text.save", "in": {"text": "a.text"}, "with": {"path": "answer.txt"}}},
            "outputs": {"file": "s.path"}}


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(value)) + value


def strings(values):
    return struct.pack("<IQ", STRING, len(values)) + b"".join(text(value) for value in values)


class Gguf:
    """A header: keys {name: (type, payload)} and tensors [(name, extents, type, offset)]; and where its data begins."""

    def __init__(self, data):
        self.data, self.at = data, 8
        n_tensors, n_keys = self.take("<QQ")
        self.keys, self.tensors = {}, []
        for _ in range(n_keys):
            name = self.string()
            (kind,) = self.take("<I")
            begin = self.at
            self.skip(kind)
            self.keys[name] = (kind, data[begin:self.at])
        for _ in range(n_tensors):
            name = self.string()
            (rank,) = self.take("<I")
            self.tensors.append((name, *self.take(f"<{rank}Q"), *self.take("<IQ")))
        self.end = self.at
        self.data_begin = (self.at + 31) // 32 * 32

    def take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def string(self):
        (size,) = self.take("<Q")
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def skip(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            element, count = self.take("<IQ")
            for _ in range(count):
                self.skip(element)
        else:
            self.at += struct.calcsize("<" + SCALAR[kind])

    def header(self, keys=None, tensors=None, counts=None):
        """The header with some keys replaced (None: left out)."""
        all_keys = {k: v for k, v in {**self.keys, **(keys or {})}.items() if v is not None}
        tensors = self.tensors if tensors is None else tensors
        out = b"GGUF" + struct.pack("<IQQ", 3, *(counts or (len(tensors), len(all_keys))))
        for name, (kind, payload) in all_keys.items():
            out += text(name) + struct.pack("<I", kind) + payload
        for name, *extents, kind, offset in tensors:
            out += text(name) + struct.pack(f"<I{len(extents)}QIQ", len(extents), *extents, kind, offset)
        return out


@unittest.skipUnless(has_model(), "skipped: the model is not there; scripts/fetch_models fetches it")
class BadModelsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.workspace = Workspace().__enter__()
        cls.path = cls.workspace.path / "bad.gguf"
        model = next(folder / MODEL for folder in model_folders() if (folder / MODEL).is_file())
        cls.size = model.stat().st_size
        with open(model, "rb") as file:
            cls.begin = file.read(8 << 20)
        cls.good = Gguf(cls.begin)
        cls.data_bytes = cls.size - cls.good.data_begin

    @classmethod
    def tearDownClass(cls):
        cls.workspace.__exit__()

    def write(self, header, size=None):
        """The header, and zeros after it that take no room on the disk."""
        self.path.write_bytes(header)
        os.truncate(self.path, (len(header) + 31) // 32 * 32 + self.data_bytes if size is None else size)

    def run_weft(self, pipeline=PIPELINE):
        (self.workspace.path / "bad.json").write_text(json.dumps(pipeline))
        result = subprocess.run(["bash", "-c", f"ulimit -v {MEMORY_BYTES >> 10}; exec weft run bad.json --threads 2"],
                                cwd=self.workspace.path, env=self.workspace.environment, stdin=subprocess.DEVNULL,
                                capture_output=True, timeout=PATIENCE_S)
        return result.returncode, result.stderr.decode(errors="replace")

    def refused(self, what, code, *says, pipeline=PIPELINE):
        with self.subTest(what):
            shutil.rmtree(self.workspace.path / "out", ignore_errors=True)
            got, error = self.run_weft(pipeline)
            self.assertIn(got, code if isinstance(code, tuple) else (code,), error)
            for words in says:
                self.assertIn(words, error)
            self.assertEqual(error.count("/bad.gguf"), 1, "the file is named once")
            self.assertFalse((self.workspace.path / "out").exists(), "something was written")

    def with_keys(self, what, keys, code, *says):
        self.write(self.good.header(keys))
        self.refused(what, code, *says)

    def test_the_header_of_zeros_is_a_model(self):
        self.write(self.good.header())
        code, error = self.run_weft()
        self.assertEqual(code, 0, error)
        self.assertTrue((self.workspace.path / "out/answer.txt").exists())

    def test_files_that_are_cut_off(self):
        header = self.good.header()
        for size in (0, 1, 4, 8, 23, 24, 100, 4096, 500_000, 1 << 20, self.good.end - 1, self.good.data_begin, self.size // 2,
                     self.size - 1):
            self.write(header[:size], size)
            self.refused(f"{size} bytes", CORRUPT, "bad.gguf, " if size > 23 else "bad.gguf", "offset" if size > 3 else "")

    def test_headers_that_lie(self):
        header = self.good.header
        tensors = self.good.tensors
        first = tensors[0]
        for what, data in {
            "2^63 tensors": header(counts=(1 << 63, len(self.good.keys))),
            "2^63 keys": header(counts=(len(tensors), 1 << 63)),
            "2^63 elements": header(tensors=[(first[0], 1 << 63, *first[-2:])] + tensors[1:]),
            "extents that overflow": header(tensors=[(first[0], 1 << 33, 1 << 33, *first[-2:])] + tensors[1:]),
            "an offset past the end": header(tensors=[(*first[:-1], 1 << 40)] + tensors[1:]),
            "a tensor twice": header(tensors=tensors + [first]),
            "an array of 2^61 strings": header({"x": (ARRAY, struct.pack("<IQ", STRING, 1 << 61))}),
            "arrays in arrays": header({"x": (ARRAY, struct.pack("<IQ", ARRAY, 1) * 100)}),
            "a string of 2^64 - 1 bytes": header({"x": (STRING, struct.pack("<Q", (1 << 64) - 1))}),
        }.items():
            self.write(data)
            self.refused(what, CORRUPT, "bad.gguf, ")

    def test_shapes_that_cannot_be(self):
        u32 = lambda value: (U32, struct.pack("<I", value))  # noqa: E731
        for key in ("block_count", "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv",
                    "rope.dimension_count"):
            for value in (0, 7, (1 << 31) - 1, (1 << 32) - 1):
                self.with_keys(f"{key} = {value}", {"llama." + key: u32(value)}, CORRUPT, "bad.gguf")
        self.with_keys("no context", {"llama.context_length": u32(0)}, CORRUPT, "llama.context_length")
        self.with_keys("epsilon", {"llama.attention.layer_norm_rms_epsilon": (F32, struct.pack("<f", float("nan")))}, CORRUPT,
                       "llama.attention.layer_norm_rms_epsilon")
        self.with_keys("base", {"llama.rope.freq_base": (F32, struct.pack("<f", float("inf")))}, CORRUPT, "llama.rope.freq_base")
        self.with_keys("no architecture", {"general.architecture": None}, CORRUPT, "general.architecture")
        self.with_keys("unknown architecture", {"general.architecture": (STRING, text("lama"))}, CORRUPT, "lama", "llama")

    def test_tokenizers_that_do_not_fit(self):
        tokens = Gguf.__new__(Gguf)
        kind, payload = self.good.keys["tokenizer.ggml.tokens"]
        tokens.data, tokens.at = payload, 12
        (count,) = struct.unpack_from("<Q", payload, 4)
        names = [tokens.string() for _ in range(count)]
        self.with_keys("none", {"tokenizer.ggml.model": None}, CORRUPT, "tokenizer.ggml.model")
        self.with_keys("another kind", {"tokenizer.ggml.model": (STRING, text("bert"))}, CORRUPT, "bert")
        self.with_keys("another pre-tokenizer", {"tokenizer.ggml.pre": (STRING, text("martian"))}, CORRUPT, "martian")
        self.with_keys("no tokens", {"tokenizer.ggml.tokens": (ARRAY, strings([]))}, CORRUPT, "bad.gguf")
        self.with_keys("more tokens than rows", {"tokenizer.ggml.tokens": (ARRAY, strings(names + ["one more"]))}, CORRUPT, "bad.gguf")
        self.with_keys("numbers for tokens", {"tokenizer.ggml.tokens": (ARRAY, struct.pack("<IQ", U32, 3) + bytes(12))}, CORRUPT,
                       "tokenizer.ggml.tokens")
        self.with_keys("a token of bytes that no byte spells", {"tokenizer.ggml.tokens": (ARRAY, strings(names[:-1] + [b"\xff\xfe"]))},
                       CORRUPT, "bad.gguf")
        self.with_keys("merges of unknown tokens", {"tokenizer.ggml.merges": (ARRAY, strings(["qqqq zzzz"] * 1000))}, CORRUPT, "bad.gguf")
        self.with_keys("an end beyond the vocabulary", {"tokenizer.ggml.eos_token_id": (U32, struct.pack("<I", 1 << 31))}, CORRUPT,
                       "tokenizer.ggml.eos_token_id")

    def test_templates_that_do_not_end(self):
        for what, template in {
            "a loop": "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}x{% endfor %}{% endfor %}{% endfor %}",
            "a text that doubles": "{% set ns = namespace(x='xxxxxxxx') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
            "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "nesting": "{{ " + "(" * 100_000 + "1" + ")" * 100_000 + " }}",
            "an object's inside": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
            "a tag that is not there": "{% include '/etc/passwd' %}",
            "half a tag": "{% for m in messages %}",
        }.items():
            self.with_keys(what, {"tokenizer.chat_template": (STRING, text(template))}, (CORRUPT, FAILED), "chat template")

    def test_folders_of_hostile_json(self):
        folder = self.workspace.path / "bad.gguf"
        self.path.unlink(missing_ok=True)
        folder.mkdir()
        try:
            (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
            for what, content in {"nesting": '{"a":' * 200_000, "a number beyond all": '{"num_hidden_layers": 1e999}', "no object": "[]",
                                  "half": '{"model_type": "llama"', "a key twice": '{"model_type": "llama", "model_type": "gpt2"}',
                                  "a file of bytes": "\0" * 100}.items():
                (folder / "config.json").write_text(content)
                self.refused(what, CORRUPT, "config.json")
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    if not has_model():
        print("skipped: the model is not there")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
