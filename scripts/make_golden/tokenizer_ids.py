"""Makes assets/golden/tokenizer/: tiny vocabularies, and what the reference tokenizers make of the lines of
tokenizer_lines.py with them and with the real vocabularies of SmolLM2 and Gemma 3.

Per case and chunk of 100 lines: FNV-1a 64 over, for each line, the number of ids and the ids, as 32-bit little-endian.
The references: Hugging Face tokenizers with the pipeline that each model publishes; sentencepiece.
usage: tokenizer_ids.py [SMOLLM2.gguf GEMMA3.gguf]     (needs tokenizers, sentencepiece, gguf; deterministic)
"""
import json
import pathlib
import struct
import sys
import tempfile

import gguf
import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import tokenizer_lines

OUT = tokenizer_lines.PHRASES.parent
LINES = list(tokenizer_lines.lines())
CHUNK = 100

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
QWEN35 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
TEKKEN = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*|\p{{N}}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TAIL = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
GPT4O = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{TAIL}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{TAIL}|\p{{N}}{{1,3}}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_level(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def split(regex):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), byte_level(False)])


PIPELINES = {  # by GGUF's name
    "gpt-2": byte_level(True),
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(True)]),
    "llama-bpe": split(LLAMA3),
    "qwen2": split(QWEN2),
    "qwen35": split(QWEN35),
    "tekken": split(TEKKEN),
    "gpt-4o": split(GPT4O),
    "falcon": pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), byte_level(True), pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")]),
}


def chunk_hashes(all_ids):
    hashes = []
    for begin in range(0, len(all_ids), CHUNK):
        value = 0xCBF29CE484222325
        for ids in all_ids[begin:begin + CHUNK]:
            for byte in struct.pack(f"<{len(ids) + 1}i", len(ids), *ids):
                value = ((value ^ byte) * 0x100000001B3) & ((1 << 64) - 1)
        hashes.append(f"{value:016x}")
    return hashes


def hugging_face_ids(tokenizer):
    tokenizer.encode_special_tokens = True  # special tokens in a user's text are text
    return [encoding.ids for encoding in tokenizer.encode_batch(LINES, add_special_tokens=False)]


def gguf_pipeline(name, vocab, merges):
    tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=name in ("llama-bpe", "tekken")))
    tokenizer.pre_tokenizer = PIPELINES[name]
    if name.startswith("qwen"):
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train_bpe():
    """Merges across words, so that a wrong split changes ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = byte_level(False)
    trainer = trainers.BpeTrainer(vocab_size=1500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator(LINES[:3000], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def train_sentencepiece(kind, size):
    with tempfile.TemporaryDirectory() as folder:
        corpus = pathlib.Path(folder) / "lines.txt"
        # Phrases only: the random characters of the lines would fill a tiny vocabulary.
        phrases = [phrase.replace("\n", " ").replace("\0", " ") for phrase in tokenizer_lines.phrases()] * 20
        corpus.write_text("\n".join(phrases), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus), model_prefix=str(pathlib.Path(folder) / "m"), model_type=kind, vocab_size=size,
            byte_fallback=kind == "bpe", normalization_rule_name="identity", remove_extra_whitespaces=False,
            character_coverage=0.98, user_defined_symbols=["<div>", "\n\n", "▁▁▁▁"] if kind == "bpe" else [],
            control_symbols=["<|im_end|>"], num_threads=1, minloglevel=2)
        return (pathlib.Path(folder) / "m.model").read_bytes()


def sentencepiece_ids(proto):
    processor = sentencepiece.SentencePieceProcessor(model_proto=proto)
    return [processor.encode(line) for line in LINES]


def proto_of_gguf(fields):
    """The sentencepiece model that a GGUF vocabulary of kind 'llama' came from."""
    proto = sentencepiece_model_pb2.ModelProto()
    unknown = int(fields["tokenizer.ggml.unknown_token_id"].contents())
    columns = [fields["tokenizer.ggml." + key].contents() for key in ("tokens", "scores", "token_type")]
    for i, (text, score, kind) in enumerate(zip(*columns)):
        piece = proto.pieces.add()
        piece.piece = text.replace(" ", "▁") if kind == 4 else text
        piece.score = score
        piece.type = 2 if i == unknown else kind
    proto.trainer_spec.model_type = 2
    proto.trainer_spec.byte_fallback = True
    proto.trainer_spec.unk_id = unknown
    proto.trainer_spec.vocab_size = len(proto.pieces)
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = bool(fields["tokenizer.ggml.add_space_prefix"].contents())
    proto.normalizer_spec.remove_extra_whitespaces = False
    return proto.SerializeToString()


def character_bpe(proto_bytes):
    """The tokenizer.json that Hugging Face makes of a sentencepiece BPE model: scores become ranked merges."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(proto_bytes)
    vocab = {piece.piece: i for i, piece in enumerate(proto.pieces)}
    normal = {piece.piece for piece in proto.pieces if piece.type == 1}
    merges = []
    for piece in sorted((p for p in proto.pieces if p.type == 1), key=lambda p: -p.score):
        text = piece.piece
        pairs = [(text[:i], text[i:]) for i in range(1, len(text)) if text[:i] in normal and text[i:] in normal]
        merges += sorted(pairs, key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
    tokenizer = Tokenizer(models.BPE(vocab, merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in ("<unk>", "<s>", "</s>", "<|im_end|>")])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocab["<s>"])])
    return tokenizer


def unigram(proto_bytes):
    proto = sentencepiece_model_pb2.ModelProto.FromString(proto_bytes)
    # Hugging Face's Unigram would find control tokens in text, whatever it is told: give them names that no text has.
    pieces = [(piece.piece if piece.type == 1 else f"\U000F0000{i}", piece.score) for i, piece in enumerate(proto.pieces)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=False)
    tokenizer.decoder = decoders.Metaspace("▁", "first", split=False)
    return tokenizer


def write_tiny_gguf(proto_bytes):
    proto = sentencepiece_model_pb2.ModelProto.FromString(proto_bytes)
    writer = gguf.GGUFWriter(OUT / "tiny_sentencepiece.gguf", "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list([piece.piece for piece in proto.pieces])
    writer.add_token_scores([piece.score for piece in proto.pieces])
    writer.add_token_types([piece.type for piece in proto.pieces])
    writer.add_unk_token_id(0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def main():
    goldens = {"provenance": {
        "script": "scripts/make_golden/tokenizer_ids.py", "tokenizers": tokenizers.__version__,
        "sentencepiece": sentencepiece.__version__, "gguf": "0.19.0", "lines": tokenizer_lines.COUNT,
        "seed": tokenizer_lines.SEED, "chunk": CHUNK}, "pipelines": {}, "files": {}, "models": {}}

    vocab, merges = train_bpe()
    (OUT / "tiny_bpe.json").write_text(json.dumps({"vocab": vocab, "merges": [" ".join(m) for m in merges]},
                                                  ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    for name in PIPELINES:
        tokenizer = gguf_pipeline(name, vocab, merges)
        settings = json.loads(tokenizer.to_str())
        goldens["pipelines"][name] = {
            "normalizer": settings["normalizer"], "pre_tokenizer": settings["pre_tokenizer"],
            "ignore_merges": settings["model"]["ignore_merges"], "hashes": chunk_hashes(hugging_face_ids(tokenizer))}

    bpe = train_sentencepiece("bpe", 1500)
    (OUT / "tiny_sentencepiece_bpe.model").write_bytes(bpe)
    goldens["files"]["tiny_sentencepiece_bpe.model"] = chunk_hashes(sentencepiece_ids(bpe))
    write_tiny_gguf(bpe)
    goldens["files"]["tiny_sentencepiece.gguf"] = goldens["files"]["tiny_sentencepiece_bpe.model"]
    uni = train_sentencepiece("unigram", 800)
    (OUT / "tiny_sentencepiece_unigram.model").write_bytes(uni)
    goldens["files"]["tiny_sentencepiece_unigram.model"] = chunk_hashes(sentencepiece_ids(uni))
    for name, tokenizer in (("tiny_character_bpe.json", character_bpe(bpe)), ("tiny_unigram.json", unigram(uni))):
        (OUT / name).write_text(tokenizer.to_str(), encoding="utf-8")
        goldens["files"][name] = chunk_hashes(hugging_face_ids(tokenizer))

    if len(sys.argv) == 3:
        fields = gguf.GGUFReader(sys.argv[1]).fields
        tokens = fields["tokenizer.ggml.tokens"].contents()
        pairs = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
        smollm = gguf_pipeline("smollm", {token: i for i, token in enumerate(tokens)}, pairs)
        goldens["models"]["SmolLM2-135M-Instruct.Q4_1.gguf"] = chunk_hashes(hugging_face_ids(smollm))
        gemma = proto_of_gguf(gguf.GGUFReader(sys.argv[2]).fields)
        goldens["models"]["gemma-3-270m-Q4_K_M.gguf"] = chunk_hashes(sentencepiece_ids(gemma))
    (OUT / "ids.json").write_text(json.dumps(goldens, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
