"""Makes assets/golden/tokenizer/clip_ids.json: what transformers' CLIPTokenizer makes of the lines of tokenizer_lines.py and
of some prompts, with the vocabulary of the emoji model and, as in Stable Diffusion 2, with "!" for padding.

Per case and chunk of 100 lines: FNV-1a 64 over, for each line, the number of ids and the ids, as 32-bit little-endian, with
the tokens that stand around a text. Of the prompts: the ids themselves.
usage: clip_tokenizer_ids.py FOLDER     (vocab.json, merges.txt, tokenizer_config.json; needs transformers; deterministic)
"""
import json
import pathlib
import struct
import sys

import transformers

import tokenizer_lines

OUT = tokenizer_lines.PHRASES.parent / "clip_ids.json"
CHUNK = 100
PROMPTS = ["", "red apple", "A RED   apple!", "红苹果", "🐱 cat face\n😀😀", "it's a dog's life, isn't it?", "İstanbul ÀÉ straße ΣΑΣ",
           "don't 123 4½", "<|endoftext|> <|startoftext|>a", "e\u0301clair", "hello! world!!", "  a\u3000b\u00a0c  ", "1girl, (blue:1.2)"]


def main():
    golden = {"made_by": "scripts/make_golden/clip_tokenizer_ids.py", "transformers": transformers.__version__,
              "prompts": PROMPTS, "cases": {}}
    for name, options in (("pad_is_end", {}), ("pad_is_exclamation_mark", {"pad_token": "!"})):
        tokenizer = transformers.CLIPTokenizer.from_pretrained(sys.argv[1], **options)
        encode = lambda text: tokenizer(text).input_ids
        lines, hashes = list(tokenizer_lines.lines()), []
        for begin in range(0, len(lines), CHUNK):
            value = 0xCBF29CE484222325
            for line in lines[begin:begin + CHUNK]:
                ids = encode(line)
                for byte in struct.pack(f"<{len(ids) + 1}i", len(ids), *ids):
                    value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
            hashes.append(f"{value:016x}")
        golden["cases"][name] = {"hashes": hashes, "ids": [encode(p) for p in PROMPTS]}
    OUT.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
