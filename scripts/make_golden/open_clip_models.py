#!/usr/bin/env python3
"""Writes reduced random OpenCLIP models with what open_clip computes from them, and what its preprocessing makes of small pictures.

usage: open_clip_models.py [OUTPUT_FOLDER]          (default: assets/golden/open_clip)
needs: open_clip_torch, torch, torchvision, transformers, Pillow before 13, safetensors (made with open_clip_torch 3.3.0, torch 2.15,
torchvision 0.29.2, transformers 5.24, Pillow 12.3.0); not needed to run the tests.

models/NAME are folders as OpenCLIP publishes them, of f16 weights drawn from seed 29 by numpy. expected.safetensors beside them is
computed in float32 from the rounded weights, of pictures of the encoder's own size: hidden, pooled, the texts' vectors and the logits.
  plain     quick_gelu, all else by default; the tokenizer of the reduced Stable Diffusion as vocab.json and merges.txt
  custom    custom_text, gelu, heads and MLPs of other widths, no norm before the layers, an epsilon; the tokenizer as tokenizer.json
preprocess.safetensors holds for each resize_mode and interpolation, and for each picture of vision.py that is opaque, under
"MODE.INTERPOLATION.PICTURE" the bytes before normalisation [24, 24, 3]; and under "values" the normalised values of the first picture.
"""
import json
import os
import shutil
import sys
from pathlib import Path

import numpy
import open_clip
import PIL
import torch
import transformers
from open_clip.push_to_hf_hub import save_config_for_hf
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors.torch import save_file

from bert import randomize
from vision import PICTURES, TEXTS, picture

SEED = 29
SIZE = 24
TOKENIZER = "assets/golden/diffusion/sd15/tokenizer"


def configurations(vocabulary):
    text = dict(context_length=12, vocab_size=vocabulary, width=32, heads=4, layers=2)
    vision = dict(image_size=SIZE, patch_size=6, width=32, layers=2, head_width=8)
    return {
        "plain": dict(embed_dim=20, quick_gelu=True, vision_cfg=vision, text_cfg=text),
        "custom": dict(embed_dim=28, custom_text=True, vision_cfg=dict(vision, image_size=[SIZE, SIZE], head_width=16, mlp_ratio=3.1, no_ln_pre=True,
                                                                       norm_kwargs=dict(eps=1e-4)),
                       text_cfg=dict(text, width=24, heads=3, mlp_ratio=2.5)),
    }


def encode(model, pictures, tokens):
    """The states of the last layer are those before the last norm, the class token first."""
    inner = model.visual.forward_intermediates(pictures, indices=1, output_fmt="NLC", output_extra_tokens=True)
    hidden = torch.cat([inner["image_intermediates_prefix"][-1], inner["image_intermediates"][-1]], dim=1)
    image, text = model.encode_image(pictures), model.encode_text(tokens)
    logits = model.logit_scale.exp() * torch.nn.functional.normalize(image, dim=-1) @ torch.nn.functional.normalize(text, dim=-1).T
    return {"hidden": hidden, "pooled": image, "texts": text, "logits": logits}


def make(folder, name, configuration, tokenizer):
    kind = open_clip.CustomTextCLIP if configuration.get("custom_text") else open_clip.CLIP
    model = kind(**{key: value for key, value in configuration.items() if key != "custom_text"})
    randomize(model, numpy.random.default_rng(SEED))
    with torch.no_grad():
        model.logit_scale.fill_(3.0)
    preprocess = dict(mean=(0.5, 0.25, 0.5), std=(0.5, 0.5, 0.25), interpolation="bilinear", resize_mode="squash") if name == "custom" else {}
    open_clip.model.set_model_preprocess_cfg(model, {**vars(PreprocessCfg(size=SIZE)), **preprocess})
    transform = image_transform_v2(PreprocessCfg(size=SIZE, **preprocess), is_train=False)
    pixels = torch.stack([transform(picture(SIZE, SIZE, salt=salt)) for salt in (0, 60, 130)])
    longest = configuration["text_cfg"]["context_length"]
    tokens = torch.zeros(len(TEXTS), longest, dtype=torch.long)  # padded as open_clip's own tokenizer does
    for row, ids in enumerate(tokenizer(TEXTS, truncation=True, max_length=longest).input_ids):
        tokens[row, :len(ids)] = torch.tensor(ids)
    with torch.no_grad():
        expected = encode(model, pixels, tokens)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    save_config_for_hf(model, Path(folder) / "open_clip_config.json", configuration)
    save_file({key: value.contiguous() for key, value in model.half().state_dict().items()}, f"{folder}/open_clip_model.safetensors")
    save_file({key: value.contiguous() for key, value in expected.items()}, f"{folder}/expected.safetensors")
    if name == "plain":
        for file in os.listdir(TOKENIZER):
            shutil.copy(f"{TOKENIZER}/{file}", folder)
    else:
        transformers.CLIPTokenizer.from_pretrained(TOKENIZER).backend_tokenizer.save(f"{folder}/tokenizer.json")
    # What was written is what open_clip reads: it gives the same vectors.
    read, _, read_transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    with torch.no_grad():
        again = encode(read.eval(), torch.stack([read_transform(picture(SIZE, SIZE, salt=salt)) for salt in (0, 60, 130)]), tokens)
    for key, value in expected.items():
        assert torch.allclose(again[key], value, rtol=1e-4, atol=1e-5), (name, key)


def preprocess(out):
    expected = {}
    for mode in ("shortest", "longest", "squash"):
        for interpolation in ("bicubic", "bilinear"):
            cfg = PreprocessCfg(size=SIZE, resize_mode=mode, interpolation=interpolation, mean=(0.0,) * 3, std=(1.0,) * 3)
            transform = image_transform_v2(cfg, is_train=False)
            for name, (width, height, kind) in PICTURES.items():
                if kind == "RGBA":
                    continue
                values = transform(picture(width, height, kind)).permute(1, 2, 0)
                expected[f"{mode}.{interpolation}.{name}"] = (values * 255).round().half().contiguous()
    values = image_transform_v2(PreprocessCfg(size=SIZE), is_train=False)(picture(*PICTURES["wide"]))
    expected["values"] = values.permute(1, 2, 0).contiguous()
    save_file(expected, f"{out}/preprocess.safetensors")


def main():
    if int(PIL.__version__.split(".")[0]) > 12:
        sys.exit(f"Pillow 12 or older is needed, not {PIL.__version__}")
    out = sys.argv[1] if len(sys.argv) > 1 else "assets/golden/open_clip"
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(TOKENIZER)
    for name, configuration in configurations(len(json.load(open(f"{TOKENIZER}/vocab.json")))).items():
        make(f"{out}/models/{name}", name, configuration, tokenizer)
    preprocess(out)
    for root, _, files in os.walk(out):
        for file in files:
            os.chmod(os.path.join(root, file), 0o644)


if __name__ == "__main__":
    main()
