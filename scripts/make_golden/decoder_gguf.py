#!/usr/bin/env python3
"""Converts the reduced random models of decoder.py to GGUF (F32) by llama.cpp's own conversion scripts, so that the GGUF
reader is checked against an independent writer.

usage: decoder_gguf.py LLAMA_CPP_TREE [FOLDER]      (default: assets/golden/decoder; made with llama-cpp-python 0.3.36)
needs: torch, transformers; not needed to run the tests. Tokenizers are left out: the models have none.
"""
import pathlib
import sys

sys.path[:0] = [sys.argv[1], sys.argv[1] + "/gguf-py"]

import gguf
from conversion import base, get_model_class

NAMES = ["llama", "llama_linear", "llama_yarn", "mistral", "qwen2", "qwen3", "gemma3", "gpt2", "falcon_first",
         "falcon_grouped"]
# What the scripts expect of config.json and newer versions of transformers leave out.
MISSING = {"gpt2": {"n_ctx": 64}, "falcon_first": {"num_kv_heads": 1}}


def main():
    root = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "assets/golden/decoder")
    for name in NAMES:
        hparams = base.ModelBase.load_hparams(root / name, False)
        hparams.update(MISSING.get(name, {}))
        model_class = get_model_class(hparams["architectures"][0])
        model_class.set_vocab = lambda self: None
        tokenizer = root / name / "tokenizer.json"
        if name == "gemma3":  # its converter counts the vocabulary there
            tokenizer.write_text('{"added_tokens": [], "model": {"vocab": {%s}}}' %
                                 ", ".join(f'"{i}": {i}' for i in range(hparams["vocab_size"])))
        try:
            model = model_class(root / name, gguf.LlamaFileType.ALL_F32, root / f"{name}.gguf", hparams=hparams, eager=True)
            if name == "mistral":  # its converter leaves the window out, which llama.cpp does not apply to this one
                model.gguf_writer.add_sliding_window(hparams["sliding_window"])
            model.write()
        finally:
            tokenizer.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
