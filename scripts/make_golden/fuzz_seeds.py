"""Makes the seed corpora of readers' fuzzers: tests/fuzz/corpus/{gguf,safetensors,pickle,structure,tokenizer}/. Deterministic.

usage: fuzz_seeds.py     (needs nothing but Python)
"""
import json
import pathlib
import struct

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests/fuzz/corpus"
U8, U32, F32, BOOL, STRING, ARRAY, U64, I32 = 0, 4, 6, 7, 8, 9, 10, 5


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def value(kind, content):
    formats = {U8: "<B", U32: "<I", I32: "<i", F32: "<f", BOOL: "<B", U64: "<Q"}
    return string(content) if kind == STRING else struct.pack(formats[kind], content)


def gguf(keys, tensors=(), data=b"", version=3):
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    for name, kind, content in keys:
        out += string(name)
        if isinstance(content, list):
            out += struct.pack("<IIQ", ARRAY, kind, len(content)) + b"".join(value(kind, item) for item in content)
        else:
            out += struct.pack("<I", kind) + value(kind, content)
    for name, shape, kind, offset in tensors:
        out += string(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape)
        out += struct.pack("<IQ", kind, offset)
    return out + b"\0" * (-len(out) % 32) + data


def safetensors(header, data):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def tokenizer(kind, text, file):
    data = text.encode()
    return kind.encode() + bytes([len(data)]) + data + file


STRUCTURE = """ATOM      1  N   ALA A   5      11.104   6.134  -6.504  1.00  0.00           N
ATOM      2  CA AALA A   5      11.639   6.071  -5.147  0.60  0.00           C
HETATM   10  CA  MSE B   1A      2.000   2.000   3.000  1.00  0.00           C
END
"""
CIF = """data_x
loop_
_atom_site.group_PDB
_atom_site.id
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_comp_id
_atom_site.label_asym_id
_atom_site.label_seq_id
_atom_site.auth_seq_id
_atom_site.auth_asym_id
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
ATOM 1 C CA GLY A 1 7 'A B' 1.0 2.5 -3.0
ATOM 2 N N GLY A 2 8 'A B' 1.0 2.5 -3e2
"""


def pickle():
    """{'n': 48, 'w': a tensor of torch's, 'd': OrderedDict()}, in protocol 2."""
    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()
    tensor = (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") +
              b"K\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\nq\x01)RtR")
    return b"\x80\x02}(" + text("n") + b"K0" + text("w") + tensor + text("d") + b"h\x01)Ru."


def protobuf(number, content):
    if isinstance(content, int):
        return bytes([number << 3 & 0xFF | 0x80 if number > 15 else number << 3]) + (
            bytes([number >> 4]) if number > 15 else b"") + bytes([content])
    if isinstance(content, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", content)
    return bytes([number << 3 | 2, len(content)]) + content


def sentencepiece():
    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("<0x61>", 0.0, 6), ("\n\n", 0.0, 4), ("▁", -1.0, 1), ("a", -2.0, 1),
              ("b", -3.0, 1), ("▁a", -4.0, 1), ("ab", -5.0, 5)]
    out = b"".join(protobuf(1, protobuf(1, p.encode()) + protobuf(2, s) + protobuf(3, t)) for p, s, t in pieces)
    return out + protobuf(2, protobuf(3, 2) + protobuf(35, 1)) + protobuf(3, protobuf(3, 1) + protobuf(4, 0))


def main():
    bpe = [("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, "llama-bpe"),
           ("tokenizer.ggml.tokens", STRING, ["a", "b", "Ġ", "ab", "Ġab", "<|end|>", "<x>"]),
           ("tokenizer.ggml.token_type", I32, [1, 1, 1, 1, 1, 3, 4]),
           ("tokenizer.ggml.merges", STRING, ["a b", "Ġ ab"]), ("tokenizer.ggml.eos_token_id", U32, 5)]
    spm = [("tokenizer.ggml.model", STRING, "llama"),
           ("tokenizer.ggml.tokens", STRING, ["<unk>", "<s>", "</s>", "<0x61>", "▁", "b", "▁b", "  "]),
           ("tokenizer.ggml.scores", F32, [0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0, 0.0]),
           ("tokenizer.ggml.token_type", I32, [2, 3, 3, 6, 1, 1, 1, 4])]
    unigram = [(k, t, "t5" if c == "llama" else c) for k, t, c in spm]
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "▁": 4}, "merges": ["a b"], "unk_token": "a"}
    split = {"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "add_prefix_space": True}]}
    json_bpe = {"normalizer": {"type": "NFC"}, "pre_tokenizer": split, "model": model,
                "added_tokens": [{"id": 5, "content": "<e>", "special": True, "rstrip": True}],
                "post_processor": {"type": "TemplateProcessing", "single": [
                    {"SpecialToken": {"id": "<e>"}}, {"Sequence": {"id": "A"}}]}}
    json_unigram = {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True},
                    "model": {"type": "Unigram", "unk_id": 0, "vocab": [["?", 0.0], ["a", -1.5], ["▁a", -2.0]]}}
    pieces = ["[UNK]", "[CLS]", "[SEP]", "a", "##a", "##b", "é", "中", "<x>"]
    json_word_piece = {"normalizer": {"type": "BertNormalizer", "lowercase": True, "strip_accents": False},
                       "pre_tokenizer": {"type": "BertPreTokenizer"},
                       "model": {"type": "WordPiece", "unk_token": "[UNK]", "max_input_chars_per_word": 9,
                                 "vocab": {piece: i for i, piece in enumerate(pieces)}},
                       "added_tokens": [{"id": 1, "content": "[CLS]", "special": True}, {"id": 8, "content": "<x>"}],
                       "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]}}
    seeds = {
        "gguf/empty": gguf([]),
        "gguf/v2": gguf([("general.alignment", U32, 32)], version=2),
        "gguf/tensors": gguf([("general.architecture", STRING, "llama"), ("x", U64, 1 << 63), ("f", F32, 0.5), ("b", BOOL, 1)],
                             [("a", (4, 2), 0, 0), ("q", (32,), 2, 32), ("odd", (256,), 16, 64)], b"\1" * 160),
        "gguf/tokenizer": gguf(bpe),
        "safetensors/one": safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"\0" * 8),
        "safetensors/several": safetensors({"__metadata__": {"format": "pt"},
                                            "a": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]},
                                            "m": {"dtype": "BOOL", "shape": [4], "data_offsets": [12, 16]},
                                            "e": {"dtype": "I64", "shape": [0], "data_offsets": [16, 16]}}, b"\0" * 16),
        "pickle/state": pickle(),
        "pickle/plain": b"\x80\x02](M\x2c\x01J\xfe\xff\xff\xffG\x3f\xf8\0\0\0\0\0\0N\x88\x8a\x01\xffe.",
        "structure/pdb": STRUCTURE.encode(),
        "structure/mmcif": CIF.encode(),
        "structure/fasta": b">a b\nACDE-\nFG*\n>c\nAC/DE\n",
        "structure/a3m": b">q\nACDE\n>h\nAcc-DE\n",
        "tokenizer/gguf_bpe": tokenizer("G", "ab <|end|>ab 12", gguf(bpe)),
        "tokenizer/gguf_spm": tokenizer("G", "b ab  é", gguf(spm)),
        "tokenizer/gguf_unigram": tokenizer("G", "b ab  é", gguf(unigram)),
        "tokenizer/sentencepiece": tokenizer("S", "ab a\n\nb", sentencepiece()),
        "tokenizer/json_bpe": tokenizer("J", "ab e\u0301<e> 1", json.dumps(json_bpe).encode()),
        "tokenizer/json_word_piece": tokenizer("J", "Aab É中[CLS]<x> a,b", json.dumps(json_word_piece).encode()),
        "tokenizer/json_unigram": tokenizer("J", "a a", json.dumps(json_unigram).encode()),
    }
    for name, data in seeds.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main()
