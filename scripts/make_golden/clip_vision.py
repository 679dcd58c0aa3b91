#!/usr/bin/env python3
"""Writes reduced random CLIP image towers with what transformers computes from them, and what the emoji model's gives.

usage: clip_vision.py [OUTPUT_FOLDER]          (default: assets/golden/clip_vision)
       clip_vision.py --full FOLDER            a tower of ViT-L/14's size instead (600 MB); then
                                               WEFT_FULL_VISION=FOLDER build/cpu/tests/vision_transformer_test --gtest_filter='*FullSize*'
needs: torch, transformers, safetensors (made with torch 2.15, transformers 5.24); not needed to run the tests.

Each model is a Hugging Face folder of f16 weights, drawn from seed 19 by numpy; expected.safetensors beside them holds pictures
(NHWC, normalised), the hidden states of all tokens and the projected class token, computed in float32 from the rounded weights.
  tower   a CLIPVisionModelWithProjection; pictures of 20 pixels in patches of 6, so that two rows are not seen; quick_gelu
  whole   a CLIPModel with its text tower; gelu
emoji.safetensors is the vector of one picture: value i is (7919 i mod 255) / 127.5 - 1.
"""
import os
import shutil
import sys

import numpy
import torch
import transformers
from safetensors.torch import save_file

from bert import randomize

SEED = 19


def expected_of(tower, projection, pictures):
    with torch.no_grad():
        out = tower(pixel_values=pictures.permute(0, 3, 1, 2))
        return {"hidden": out.last_hidden_state.contiguous(), "pooled": projection(out.pooler_output).contiguous()}


def make(folder, model, tower, size):
    random = numpy.random.default_rng(SEED)
    randomize(model, random)
    pictures = torch.from_numpy(random.standard_normal((3, size, size, 3)).astype(numpy.float32))
    expected = expected_of(tower, model.visual_projection, pictures)
    shutil.rmtree(folder, ignore_errors=True)
    model.half().save_pretrained(folder, safe_serialization=True)
    save_file({"pictures": pictures, **expected}, f"{folder}/expected.safetensors")


def make_full(folder):
    config = transformers.CLIPVisionConfig(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16,
                                           image_size=224, patch_size=14, projection_dim=768)
    tower = transformers.CLIPVisionModelWithProjection(config)
    make(folder, tower, tower.vision_model, 224)


def main():
    if sys.argv[1:2] == ["--full"]:
        return make_full(sys.argv[2])
    out = sys.argv[1] if len(sys.argv) > 1 else "assets/golden/clip_vision"
    vision = dict(num_hidden_layers=3, num_attention_heads=4, attn_implementation="eager")
    tower = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, image_size=20, patch_size=6, projection_dim=24, **vision))
    make(f"{out}/tower", tower, tower.vision_model, 20)
    text = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=20, max_position_embeddings=8)
    whole = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, projection_dim=20, vision_config=dict(
        hidden_size=36, intermediate_size=72, image_size=16, patch_size=4, hidden_act="gelu", layer_norm_eps=1e-6, **vision)))
    make(f"{out}/whole", whole, whole.vision_model, 16)
    emoji = transformers.CLIPModel.from_pretrained("assets/models/emoji/clip", dtype=torch.float32).eval()
    size = emoji.config.vision_config.image_size
    picture = torch.tensor([(7919 * i % 255) / 127.5 - 1 for i in range(size * size * 3)], dtype=torch.float64).float()
    pooled = expected_of(emoji.vision_model, emoji.visual_projection, picture.reshape(1, size, size, 3))["pooled"]
    save_file({"pooled": pooled}, f"{out}/emoji.safetensors")
    for root, _, files in os.walk(out):
        for file in files:
            os.chmod(os.path.join(root, file), 0o644)


if __name__ == "__main__":
    main()
