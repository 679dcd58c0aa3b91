#!/usr/bin/env python3
"""Trains the tokenizer (CLIP's byte-level BPE) and a small CLIPModel with the contrastive loss.

usage: train_clip.py --data FOLDER --out FOLDER --seconds S [--device cuda] [--threads N] [--resume [--only vision]]
Writes OUT/clip, OUT/sd/tokenizer and OUT/sd/text_encoder (the text tower under its classic names). A tokenizer that is there is
kept. --only vision leaves the text tower as it is, so that a UNet trained on it stays valid.
"""
import copy
import json
import math
import random
import shutil

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextModel, CLIPTokenizer

import emoji_data
from training import Schedule, autocast, parser_of, prepare

LENGTH, MERGES, WIDTH = 32, 4000, 192
BATCH = {"cpu": 128, "cuda": 1024}
VARIANTS, CAPTIONS = 16, 4  # of each emoji; captions of each variant
START, END = "<|startoftext|>", "<|endoftext|>"


def corpus_of(data):
    """Captions as training will see them, and every name by itself."""
    random.seed(0)
    rows, _ = emoji_data.load(data)
    texts = [emoji_data.caption(row, random.choice([None, None, *emoji_data.BACKGROUNDS])) for row in rows for _ in range(12)]
    texts += [emoji_data.caption(emoji_data.recolored_row(row, color))
              for row in rows for color in random.sample(list(emoji_data.COLORS), 2)]
    return texts + [name for row in rows for name in [row["en"], row["zh"], *row["alias"]]]


def train_tokenizer(data, folder):
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(words, "removed", invert=True),
         pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(vocab_size=MERGES + 512, min_frequency=3, end_of_word_suffix="</w>",
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(corpus_of(data), trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]  # the order of bytes in CLIP's vocabulary
    alphabet = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = alphabet + [c + "</w>" for c in alphabet] + ["".join(pair) for pair in merges] + [START, END]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=1))
    configuration = {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, "do_lower_case": True,
                     "add_prefix_space": False, "errors": "replace", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration, indent=1))


def make_model(vocabulary):
    tower = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_hidden_layers": 4, "num_attention_heads": 4,
             "projection_dim": WIDTH}
    text = {**tower, "vocab_size": vocabulary, "max_position_embeddings": LENGTH, "bos_token_id": vocabulary - 2,
            "eos_token_id": vocabulary - 1, "pad_token_id": vocabulary - 1}
    vision = {**tower, "image_size": emoji_data.SIDE, "patch_size": 8}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))


def embed_text(model, ids):
    return F.normalize(model.text_projection(model.text_model(input_ids=ids).pooler_output).float(), dim=-1)


def embed_images(model, images):
    return F.normalize(model.visual_projection(model.vision_model(pixel_values=images).pooler_output).float(), dim=-1)


def tokenize(tokenizer, texts, padding="max_length"):
    return tokenizer(texts, padding=padding, max_length=LENGTH, truncation=True, return_tensors="pt").input_ids


@torch.no_grad()
def embed(model, tokenizer, texts=None, images=None, size=256):
    """Unit vectors, [count, WIDTH], of texts or of pictures in -1..1."""
    if texts is not None:
        parts = [embed_text(model, tokenize(tokenizer, texts[i:i + size]).to(model.device)) for i in range(0, len(texts), size)]
    else:
        parts = [embed_images(model, images[i:i + size].to(model.device)) for i in range(0, len(images), size)]
    return torch.cat(parts).cpu()


def top_rates(similarity, target=None):
    """How often the target (the diagonal unless given) is the first, and among the first five, of its row."""
    target = torch.arange(len(similarity)) if target is None else target
    rank = (similarity > similarity[torch.arange(len(similarity)), target][:, None]).sum(1)
    return round((rank < 1).float().mean().item(), 3), round((rank < 5).float().mean().item(), 3)


def evaluate(model, tokenizer, data):
    model.eval()
    rows, rgba = emoji_data.load(data)
    images = embed(model, tokenizer, images=emoji_data.on_white(rgba))

    def texts(form, language):
        return embed(model, tokenizer, [form.format(row[language]) for row in rows])

    english, chinese = texts("{}", "en"), texts("{}", "zh")
    aliases = [(i, alias) for i, row in enumerate(rows) for alias in row["alias"]]
    result = {
        "picture to English name": top_rates(images @ english.T),
        "picture to Chinese name": top_rates(images @ chinese.T),
        "unseen 'could you paint X for us' to picture": top_rates(texts("could you paint {} for us", "en") @ images.T),
        "unseen '来一幅X' to picture": top_rates(texts("来一幅{}", "zh") @ images.T),
        "alias to picture": top_rates(embed(model, tokenizer, [alias for _, alias in aliases]) @ images.T,
                                      torch.tensor([i for i, _ in aliases])),
    }
    model.train()
    return result


def save(model, out):
    half = copy.deepcopy(model).cpu().half().eval()
    half.save_pretrained(out / "clip")
    text_encoder = out / "sd/text_encoder"
    CLIPTextModel(half.config.text_config).half().save_pretrained(text_encoder)  # for its config.json
    # transformers 5 would write the names without "text_model."; everything reads the classic ones.
    tower = {name: values.contiguous() for name, values in half.state_dict().items()
             if name.startswith("text_model.") and "position_ids" not in name}
    save_file(tower, text_encoder / "model.safetensors", metadata={"format": "pt"})
    side = emoji_data.SIDE
    CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side}, image_mean=[0.5] * 3,
                       image_std=[0.5] * 3).save_pretrained(out / "clip")
    for file in (out / "sd/tokenizer").iterdir():
        shutil.copy(file, out / "clip")


def optimizer_of(model):
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [{"params": [p for p in trained if p.ndim > 1], "weight_decay": 0.1},
              {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0}]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.98), fused=True)


def loss_of(model, images, tokens):
    with autocast(images.device):
        texts, pictures = embed_text(model, tokens), embed_images(model, images)
    logits = model.logit_scale.exp().clamp(max=100) * texts @ pictures.T
    target = torch.arange(len(images), device=images.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--resume", action="store_true", help="go on from OUT/clip")
    parser.add_argument("--only", choices=["vision"], help="train the vision tower alone; needs --resume")
    given = parser.parse_args()
    prepare(given)
    torch.manual_seed(0)
    if not (given.out / "sd/tokenizer").exists():
        train_tokenizer(given.data, given.out / "sd/tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(given.out / "sd/tokenizer")
    model = CLIPModel.from_pretrained(given.out / "clip", dtype=torch.float32) if given.resume else make_model(len(tokenizer))
    if given.device.type == "cpu":
        model.set_attn_implementation("eager")  # with bf16 faster than the fused one
    model.to(given.device).train()
    if given.only == "vision":
        model.text_model.requires_grad_(False)
        model.text_projection.requires_grad_(False)
    examples = emoji_data.Examples(given.data, given.device, VARIANTS, CAPTIONS, background=0.2, color=0.25)
    tokens = tokenize(tokenizer, examples.captions, padding=True).view(len(examples), CAPTIONS, -1).to(given.device)
    optimizer = optimizer_of(model)
    schedule = Schedule(given.seconds, optimizer, peak=6e-4 if given.resume else 1e-3, warmup_steps=50)
    for _ in schedule:
        batch = examples.sample(BATCH[given.device.type])
        caption = torch.randint(CAPTIONS, batch.shape, device=given.device)
        loss = loss_of(model, examples.pictures(batch, shifted=0.8), tokens[batch, caption])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if schedule.step % 50 == 0:
            print(f"step {schedule.step}, {schedule.elapsed:.0f} s, loss {loss.item():.3f}", flush=True)
    with torch.no_grad():
        model.logit_scale.clamp_(max=math.log(100))
    save(model, given.out)
    print(json.dumps({"steps": schedule.step, **evaluate(model, tokenizer, given.data)}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
