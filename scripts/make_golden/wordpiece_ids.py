"""Makes assets/golden/tokenizer/wordpiece.json: what Hugging Face's tokenizers make of the lines of tokenizer_lines.py and of
some texts with a small WordPiece vocabulary, prepared in each way that BertNormalizer offers.

Per case and chunk of 100 lines: FNV-1a 64 over, for each line, the number of ids and the ids, as 32-bit little-endian. Of the
texts: the ids themselves, with the tokens that stand around a text. Special tokens that a text spells are text.
usage: wordpiece_ids.py [MINILM_FOLDER]     (its tokenizer.json too; needs tokenizers; deterministic)
"""
import collections
import json
import pathlib
import struct
import sys

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

import tokenizer_lines

OUT = tokenizer_lines.PHRASES.parent / "wordpiece.json"
LINES = list(tokenizer_lines.lines())
CHUNK = 100
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CASES = {
    "uncased": dict(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True),
    "cased": dict(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=False),
    "lower_case_with_accents": dict(clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=True),
    "upper_case_without_accents": dict(clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=False),
    "chinese_in_words": dict(clean_text=True, handle_chinese_chars=False, strip_accents=None, lowercase=True),
    "not_cleaned": dict(clean_text=False, handle_chinese_chars=True, strip_accents=None, lowercase=True),
}
TEXTS = [
    "", " ", "\n\t \r", "the cat sat on the mat", "The CAT, sat!", "don't stop: it's 5 o'clock...", "naïve café Ångström ÀÉÎÕÜ",
    "e\u0301clair e\u0301\u0323", "İstanbul ıI straße ΣΑΣ ǅ", "我喜欢红苹果 and 中文", "日本語テキスト 한국어 ไทย हिन्दी", "𠀀𪛖 豈 々〆",
    "a\u0000b\u0007c\u007fd\u0085e\u200bf\u00adg\ufeffh\ufffdi\ue000j", "a\u00a0b\u2003c\u3000d\u2028e\u1680f\u202fg\u205fh\u000bi\u000cj",
    "x" * 100, "x" * 101, "é" * 100, "é" * 101, "word" * 30, "[CLS] a [SEP] [MASK]", "[UNK]", "##the the##", "#", "a#b$c^d`e~f|g=h+i<j>k",
    "a\u2e43b a\u061db a\u166db a\U000111c9b", "क\u093c\u094d \u1734a x\u07fdy", "🐱😀 🥰👩‍👩‍👧", "©®™½²³ﬁ Ⅳ①", "\u1e9b\u0323 \u01d5",
    "http://example.com/a_b?c=d&e=%20", "3.14159 1,000 10%", "a" + "\u0301" * 300 + "b",
]


def vocabulary():
    """Characters, frequent words and frequent parts of words, of the phrases as they are and in lower case without accents."""
    prepare = normalizers.BertNormalizer()
    texts = tokenizer_lines.phrases()
    words = collections.Counter()
    for text in texts + [prepare.normalize_str(text) for text in texts]:
        words.update(word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text))
    characters, parts = collections.Counter(), collections.Counter()
    for word, count in words.items():
        characters.update({c: count for c in word})
        for size in (2, 3, 4):
            parts.update(word[i:i + size] for i in range(1, len(word) - size + 1))
    most = lambda counter, n: sorted(sorted(counter), key=lambda k: -counter[k])[:n]
    pieces = SPECIAL + [f"[unused{i}]" for i in range(3)]
    pieces += sorted(most(characters, 260)) + ["x", "é"] + ["##" + c for c in sorted(most(characters, 130))] + ["##x", "##é"]
    pieces += most(words, 220) + ["##" + part for part in most(parts, 240)] + ["a\u2e43b", "喜欢"]
    return list(dict.fromkeys(pieces))


def hashes(tokenizer):
    tokenizer.encode_special_tokens = True
    found = []
    for begin in range(0, len(LINES), CHUNK):
        value = 0xCBF29CE484222325
        for encoding in tokenizer.encode_batch(LINES[begin:begin + CHUNK], add_special_tokens=False):
            for byte in struct.pack(f"<{len(encoding.ids) + 1}i", len(encoding.ids), *encoding.ids):
                value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
        found.append(f"{value:016x}")
    return found


def answers(tokenizer):
    tokenizer.no_truncation()
    tokenizer.no_padding()
    lines = hashes(tokenizer)
    return {"hashes": lines, "ids": [encoding.ids for encoding in tokenizer.encode_batch(TEXTS)]}


def main():
    pieces = vocabulary()
    golden = {"made_by": "scripts/make_golden/wordpiece_ids.py", "tokenizers": tokenizers.__version__, "vocabulary": pieces,
              "texts": TEXTS, "cases": {}}
    for name, options in CASES.items():
        ids = {piece: i for i, piece in enumerate(pieces)}
        tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
        tokenizer.normalizer = normalizers.BertNormalizer(**options)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
        golden["cases"][name] = {"normalizer": options, **answers(tokenizer)}
    if len(sys.argv) > 1:
        golden["minilm"] = answers(Tokenizer.from_file(str(pathlib.Path(sys.argv[1]) / "tokenizer.json")))
    OUT.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")).replace('"cases"', '\n"cases"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
