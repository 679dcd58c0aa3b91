#!/usr/bin/env python3
"""Writes what diffusers and transformers compute from the emoji model in float32: a text, one UNet step, one picture.

usage: emoji.py [MODEL_FOLDER [OUTPUT]]      (default: assets/models/emoji assets/golden/diffusion/emoji.safetensors)
needs: torch, diffusers, transformers, safetensors (made with torch 2.15, diffusers 0.42, transformers 5.23); not needed to
run the tests. To be run again when the model's weights change. Images and latents are NHWC.
"""
import sys

import numpy
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTokenizer


def nhwc(x):
    return x.permute(0, 2, 3, 1).contiguous()


def main():
    model = sys.argv[1] if len(sys.argv) > 1 else "assets/models/emoji"
    output = sys.argv[2] if len(sys.argv) > 2 else "assets/golden/diffusion/emoji.safetensors"
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    random = numpy.random.default_rng(5)
    tokenizer = CLIPTokenizer.from_pretrained(f"{model}/tokenizer")
    tokens = tokenizer(["a red apple", ""], padding="max_length", max_length=32, truncation=True, return_tensors="pt").input_ids
    text = CLIPTextModel.from_pretrained(f"{model}/text_encoder", dtype=torch.float32).eval()
    hidden = text(tokens).last_hidden_state
    sample = torch.from_numpy(random.standard_normal((2, 4, 16, 16)).astype(numpy.float32))
    times = torch.tensor([951.0, 301.0])
    unet = UNet2DConditionModel.from_pretrained(f"{model}/unet", torch_dtype=torch.float32).eval()
    noise = unet(sample, times, hidden).sample
    vae = AutoencoderKL.from_pretrained(f"{model}/vae", torch_dtype=torch.float32).eval()
    latents = sample[:1] / 0.18215
    decoded = vae.decode(latents).sample
    moments = vae.encode(decoded).latent_dist.parameters
    expected = dict(tokens=tokens.int(), hidden=hidden, sample=nhwc(sample), timesteps=times, noise=nhwc(noise),
                    latents=nhwc(latents), decoded=nhwc(decoded), moments=nhwc(moments))
    save_file({k: v.contiguous() for k, v in expected.items()}, output)


if __name__ == "__main__":
    main()
