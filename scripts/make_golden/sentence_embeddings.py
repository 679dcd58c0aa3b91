#!/usr/bin/env python3
"""Writes what sentence-transformers makes of sentences with MiniLM: sentence_embeddings.json and .safetensors.

usage: sentence_embeddings.py MODEL_FOLDER               32 of them, to assets/golden
       sentence_embeddings.py MODEL_FOLDER FOLDER        all 1,000, which a test compares with when it is told where they are:
           WEFT_SENTENCES=FOLDER build/cpu/tests/text_pipeline_test --gtest_filter='SentenceEmbed.*OneThousand*'
needs: sentence-transformers, torch, safetensors (made with sentence-transformers 6.2, torch 2.15); not needed to run the tests.

The sentences: English ones of all lengths to beyond what the model reads, made from a seed, and lines of many scripts, emoji,
code and control characters (tokenizer_lines.py).
"""
import json
import pathlib
import sys

from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer

import tokenizer_lines

OUT = pathlib.Path(__file__).resolve().parents[2] / "assets/golden"
COUNT = 1000
SUBJECTS = "the old fisherman, a quiet engineer, my neighbour's cat, the new library, two children, our teacher, a tax office".split(", ")
VERBS = "mends, forgets, paints, compares, sells, measures, dreams of, never mentions".split(", ")
OBJECTS = "a red bicycle, wet nets, the price of bread, 42 pages of notes, an open-source compiler, the weather in Ōsaka, café chairs".split(", ")
TAILS = "before sunrise; while it rains; in spite of the rules; for no reason at all; because nobody else would; on Tuesdays".split("; ")
CHOSEN = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 19, 39, 59, 79] + [500 + 31 * i for i in range(16)]


def sentences():
    random = tokenizer_lines.SplitMix64(29)
    pick = lambda items: items[random.below(len(items))]
    made = ["", "Hello", "The cat sits outside.", "A man is playing guitar."]
    while len(made) < COUNT // 2:
        clauses = 1 + random.below(4) if len(made) % 20 != 19 else 60
        made.append("; ".join(f"{pick(SUBJECTS)} {pick(VERBS)} {pick(OBJECTS)} {pick(TAILS)}" for _ in range(clauses)) + ".")
    lines = tokenizer_lines.lines()
    # Texts of pipelines hold no NUL.
    made += [line for line in (next(lines) for _ in range(COUNT)) if "\0" not in line][:COUNT - len(made)]
    return made


def main():
    texts = sentences()
    out = OUT
    if len(sys.argv) > 2:
        out = pathlib.Path(sys.argv[2])
        out.mkdir(parents=True, exist_ok=True)
    else:
        texts = [texts[i] for i in CHOSEN]
    vectors = SentenceTransformer(sys.argv[1], device="cpu").encode(texts, batch_size=8)
    save_file({"vectors": vectors}, out / "sentence_embeddings.safetensors")
    golden = {"made_by": "scripts/make_golden/sentence_embeddings.py", "model": "all-MiniLM-L6-v2", "texts": texts}
    (out / "sentence_embeddings.json").write_text(json.dumps(golden, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
