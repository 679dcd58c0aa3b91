#!/usr/bin/env python3
"""Writes what transformers' image processors and reduced random image encoders make of small pictures.

usage: vision.py [OUTPUT_FOLDER]          (default: assets/golden/vision)
needs: torch, transformers, Pillow, safetensors (made with torch 2.15, transformers 5.24, Pillow 12.3.0); not needed to run the tests.
Pillow 13 resizes rows first where a picture gets lower by more than it gets narrower; transformers with torchvision, and Pillow
before, always columns first, which is what is kept here: the script refuses Pillow 13.

processors/NAME.json is a preprocessor_config.json; expected.safetensors holds, for each of them and each picture, under
"NAME.PICTURE" the bytes before normalisation [height, width, 3], from the processors that use Pillow; and under "NAME.values" the
normalised values of the first picture; of siglip2 as [patches, height * width * 3], without padding. Pictures are made by picture()
from their size and mode alone, as the test does.

models/NAME are Hugging Face folders of f16 weights, drawn from seed 23 by numpy. expected.safetensors beside them is computed in
float32 from the rounded weights, of pictures of the encoder's own size: hidden, pooled, and for those with texts the texts'
vectors and the logits of pictures and texts; for classifiers the logits of classes.
  clip        both towers, and the tokenizer of the reduced Stable Diffusion
  siglip      both towers, attention pooling, and a tokenizer of pieces; texts padded to all positions
  siglip2     the same with Gemma's kind of tokenizer, in files as the published models of fixed sizes have them; words.json has more texts
              and their ids, "words" in expected.safetensors their vectors
  siglip2_naflex  both towers, of pictures of their own shapes: the first three of PICTURES; the rows of hidden follow one another
  vit         a classifier of three classes
  dinov2      a classifier, with layer scales, of pictures of another size than its positions were trained on
  dinov2_swiglu  the same with gated MLPs, as in the giant model
"""
import json
import os
import shutil
import sys

import numpy
import PIL
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from bert import randomize

SEED = 23
TEXTS = ["a red cat", "cat", "the red, red cat on a mat"]
WORDS = ["A Red CAT!", "The QUICK, brown mat.", "ΣΊΣΥΦΟΣ", "İo", "two  spaces ", "", "a cat on a mat and a cat on a mat and a cat on a mat"]
PICTURES = {"wide": (97, 61, "RGB"), "high": (30, 211, "RGB"), "small": (9, 7, "RGB"), "same": (24, 24, "RGB"), "alpha": (50, 33, "RGBA"), "gray": (41, 65, "L")}


def picture(width, height, mode="RGB", salt=0):
    """Bytes that change smoothly in one half and abruptly in the other."""
    y, x, c = numpy.mgrid[0:height, 0:width, 0:len(Image.new(mode, (1, 1)).getbands())]
    smooth = (x * 3 + y * 5 + c * 40 + salt) % 256
    abrupt = (x * 37 + y * 91 + c * 53 + salt * 17) // 16 % 2 * 255
    pixels = numpy.where(2 * x < width, smooth, abrupt).astype(numpy.uint8)
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode=mode)


def processors():
    clip = dict(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    return {
        "clip": CLIPImageProcessorPil(**clip),
        "clip_bilinear": CLIPImageProcessorPil(**clip, resample=2),
        "padded": CLIPImageProcessorPil(size={"shortest_edge": 19}, crop_size={"height": 26, "width": 25}),
        "siglip": SiglipImageProcessorPil(size={"height": 24, "width": 20}),
        "vit": ViTImageProcessorPil(size={"height": 32, "width": 32}),
        "dinov2": BitImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 24, "width": 24}),
        "lanczos": ViTImageProcessorPil(size={"height": 17, "width": 40}, resample=1),
        "nearest": ViTImageProcessorPil(size={"height": 17, "width": 40}, resample=0),
        "siglip2": Siglip2ImageProcessorPil(patch_size=6, max_num_patches=20),
    }


def processed(processor, image, **options):
    """Of one picture [height, width, 3], or its patches."""
    made = processor(image, return_tensors="np", **options)
    values = made.pixel_values[0]
    return values[made.pixel_attention_mask[0] == 1] if "pixel_attention_mask" in made else values.transpose(1, 2, 0)


def write_processors(out):
    os.makedirs(out)
    expected = {}
    for name, processor in processors().items():
        processor.do_convert_rgb = True
        with open(f"{out}/{name}.json", "w") as file:
            kept = {k: v for k, v in json.loads(processor.to_json_string()).items() if v is not None and k != "data_format"}
            kept["image_processor_type"] = kept["image_processor_type"].replace("Pil", "")
            json.dump(kept, file, indent=1)
            file.write("\n")
        for of, (width, height, mode) in PICTURES.items():
            raw = processed(processor, picture(width, height, mode), do_rescale=False, do_normalize=False)
            expected[f"{name}.{of}"] = torch.from_numpy(raw.astype(numpy.float16)).contiguous()
        values = processed(processor, picture(*PICTURES["wide"]))
        expected[f"{name}.values"] = torch.from_numpy(values.astype(numpy.float32)).contiguous()
    save_file(expected, f"{out}/expected.safetensors")


def save_model(folder, model, processor, expected):
    shutil.rmtree(folder, ignore_errors=True)
    model.half().save_pretrained(folder, safe_serialization=True)
    processor.save_pretrained(folder)
    path = f"{folder}/preprocessor_config.json"
    text = open(path).read().replace("ProcessorPil", "Processor")
    open(path, "w").write(text)
    save_file({name: value.contiguous() for name, value in expected.items()}, f"{folder}/expected.safetensors")


def pictures_of(processor, size):
    """Three pictures of the encoder's own size, which a processor only normalises."""
    pictures = [picture(size, size, salt=salt) for salt in (0, 60, 130)]
    return processor(pictures, return_tensors="pt").pixel_values


def write_clip(folder):
    tokenizer = "assets/golden/diffusion/sd15/tokenizer"
    vocabulary = json.load(open(f"{tokenizer}/vocab.json"))
    model = transformers.CLIPModel(transformers.CLIPConfig(
        projection_dim=20,
        text_config=dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, vocab_size=len(vocabulary),
                         max_position_embeddings=12, bos_token_id=vocabulary["<|startoftext|>"], eos_token_id=vocabulary["<|endoftext|>"]),
        vision_config=dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=24, patch_size=6)))
    randomize(model, numpy.random.default_rng(SEED))
    with torch.no_grad():
        model.logit_scale.fill_(3.0)
    processor = processors()["clip"]
    pixels = pictures_of(processor, 24)
    tokens = transformers.CLIPTokenizer.from_pretrained(tokenizer)(TEXTS, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        out = model(pixel_values=pixels, **tokens)
        vision = model.vision_model(pixel_values=pixels)
        expected = {"hidden": vision.last_hidden_state, "pooled": model.visual_projection(vision.pooler_output),
                    "texts": model.text_projection(model.text_model(**tokens).pooler_output), "logits": out.logits_per_image}
    save_model(folder, model, processor, expected)
    for file in os.listdir(tokenizer):
        shutil.copy(f"{tokenizer}/{file}", folder)


def siglip_model(n_words, kind=transformers.SiglipModel, config=transformers.SiglipConfig, **pictures):
    size = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    model = kind(config(text_config=dict(**size, vocab_size=n_words, max_position_embeddings=9, projection_size=32),
                        vision_config=dict(**size, patch_size=6, **(pictures or {"image_size": 24}))))
    randomize(model, numpy.random.default_rng(SEED))
    with torch.no_grad():
        model.logit_scale.fill_(2.0)
        model.logit_bias.fill_(-3.0)
        model.vision_model.head.attention.in_proj_bias.copy_(model.vision_model.head.attention.in_proj_bias.half().float())
    return model


def siglip_expected(model, pixels, tokens):
    with torch.no_grad():
        out = model(pixel_values=pixels, input_ids=tokens)
        vision = model.vision_model(pixel_values=pixels)
        return {"hidden": vision.last_hidden_state, "pooled": vision.pooler_output,
                "texts": model.text_model(input_ids=tokens).pooler_output, "logits": out.logits_per_image}


def write_siglip(folder):
    pieces = "assets/golden/tokenizer/tiny_sentencepiece_unigram.model"
    tokenizer = transformers.SiglipTokenizer(pieces, model_max_length=9)
    model = siglip_model(len(tokenizer))
    processor = SiglipImageProcessorPil(size={"height": 24, "width": 24})
    tokens = tokenizer(TEXTS, padding="max_length", truncation=True, return_tensors="pt").input_ids
    save_model(folder, model, processor, siglip_expected(model, pictures_of(processor, 24), tokens))
    shutil.copy(pieces, f"{folder}/spiece.model")
    special = {"eos_token": tokenizer.eos_token, "unk_token": tokenizer.unk_token, "pad_token": tokenizer.pad_token}
    with open(f"{folder}/tokenizer_config.json", "w") as file:
        json.dump({**special, "tokenizer_class": "SiglipTokenizer", "model_max_length": 9}, file)


def gemma_vocabulary(n_merges):
    """Gemma's special tokens, the bytes, and the first merges of a trained tokenizer with the characters that they and TEXTS need."""
    trained = json.load(open("assets/golden/tokenizer/tiny_character_bpe.json"))["model"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in trained["merges"][:n_merges]]
    pieces = {piece for pair in merges for piece in (*pair, "".join(pair))} | set("▁".join(TEXTS).replace(" ", "▁"))
    known = [p for p in trained["vocab"] if p in pieces or (len(p) == 6 and p.startswith("<0x"))]
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *known]
    return {name: i for i, name in enumerate(names)}, merges


def gemma_tokenizer(kind, n_merges):
    vocabulary, merges = gemma_vocabulary(n_merges)
    return kind(vocab=vocabulary, merges=merges, add_bos_token=False, add_eos_token=True, padding_side="right", do_lower_case=True,
                model_input_names=["input_ids"], model_max_length=9)


def write_siglip2(folder):
    tokenizer = gemma_tokenizer(transformers.Siglip2Tokenizer, 120)
    model = siglip_model(len(tokenizer))
    processor = SiglipImageProcessorPil(size={"height": 24, "width": 24})
    tokens, words = (tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids for texts in (TEXTS, WORDS))
    expected = siglip_expected(model, pictures_of(processor, 24), tokens)
    with torch.no_grad():
        expected["words"] = model.text_model(input_ids=words).pooler_output
    save_model(folder, model, processor, expected)
    # As published: the file's own normaliser leaves the case as it is.
    gemma_tokenizer(transformers.GemmaTokenizer, 120).save_pretrained(folder)
    with open(f"{folder}/words.json", "w") as file:
        json.dump({"texts": WORDS, "ids": words.tolist()}, file, ensure_ascii=False)
        file.write("\n")


def write_siglip2_naflex(folder):
    tokenizer = gemma_tokenizer(transformers.Siglip2Tokenizer, 20)
    model = siglip_model(len(tokenizer), transformers.Siglip2Model, transformers.Siglip2Config, num_patches=16)
    processor = processors()["siglip2"]
    inputs = processor([picture(*PICTURES[name]) for name in ("wide", "high", "small")], return_tensors="pt")
    tokens = tokenizer(TEXTS, padding="max_length", truncation=True, return_tensors="pt").input_ids
    with torch.no_grad():
        out = model(input_ids=tokens, **inputs)
        vision = model.vision_model(**inputs)
        expected = {"hidden": vision.last_hidden_state[inputs.pixel_attention_mask == 1], "pooled": vision.pooler_output,
                    "texts": model.text_model(input_ids=tokens).pooler_output, "logits": out.logits_per_image}
    save_model(folder, model, processor, expected)
    tokenizer.save_pretrained(folder)


def write_classifier(folder, model, encoder, processor):
    randomize(model, numpy.random.default_rng(SEED))
    pixels = pictures_of(processor, 24)
    with torch.no_grad():
        inner = encoder(pixel_values=pixels)
        expected = {"hidden": inner.last_hidden_state, "pooled": inner.last_hidden_state[:, 0], "classes": model(pixel_values=pixels).logits}
    save_model(folder, model, processor, expected)


def write_classifiers(out):
    size = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, patch_size=6, id2label={0: "cat", 1: "dog", 2: "kite"},
                label2id={"cat": 0, "dog": 1, "kite": 2})
    vit = transformers.ViTForImageClassification(transformers.ViTConfig(intermediate_size=64, image_size=24, **size))
    write_classifier(f"{out}/vit", vit, vit.vit, ViTImageProcessorPil(size={"height": 24, "width": 24}))
    for name, gated in [("dinov2", False), ("dinov2_swiglu", True)]:
        dino = transformers.Dinov2ForImageClassification(
            transformers.Dinov2Config(mlp_ratio=2, image_size=36, use_swiglu_ffn=gated, **size))
        write_classifier(f"{out}/{name}", dino, dino.dinov2,
                         BitImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}))


def main():
    if int(PIL.__version__.split(".")[0]) > 12:
        sys.exit(f"Pillow 12 or older is needed, not {PIL.__version__}")
    out = sys.argv[1] if len(sys.argv) > 1 else "assets/golden/vision"
    shutil.rmtree(out, ignore_errors=True)
    write_processors(f"{out}/processors")
    write_clip(f"{out}/models/clip")
    write_siglip(f"{out}/models/siglip")
    write_siglip2(f"{out}/models/siglip2")
    write_siglip2_naflex(f"{out}/models/siglip2_naflex")
    write_classifiers(f"{out}/models")
    for root, _, files in os.walk(out):
        for file in files:
            os.chmod(os.path.join(root, file), 0o644)


if __name__ == "__main__":
    main()
