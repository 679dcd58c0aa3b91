#!/usr/bin/env python3
"""Writes what diffusers and transformers compute in float32 from a full-size SD 1.x checkpoint, beside its parts.

usage: diffusion_full.py FOLDER      a diffusers folder with unet/, vae/, text_encoder/; makes random f16 weights (seed 0) of SD 1.5's
                                     shape there if it does not exist
then:  WEFT_FULL_DIFFUSION=FOLDER build/cpu/tests/diffusion_networks_test --gtest_filter='FullSize*'
needs: torch, diffusers, transformers, safetensors (tried with torch 2.15, diffusers 0.42, transformers 5.23), 8 GB of memory.
"""
import json
import os
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel


def make(folder):
    torch.manual_seed(0)
    UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8).half().save_pretrained(f"{folder}/unet")
    AutoencoderKL(down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2,
                  block_out_channels=(128, 256, 512, 512), sample_size=512).half().save_pretrained(f"{folder}/vae")
    CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12, projection_dim=768,
                                 eos_token_id=49407)).half().save_pretrained(f"{folder}/text_encoder")
    with open(f"{folder}/model_index.json", "w") as f:
        json.dump({"_class_name": "StableDiffusionPipeline"}, f)


def nhwc(x):
    return x.permute(0, 2, 3, 1).contiguous()


def save(folder, **tensors):
    save_file({k: v.contiguous() for k, v in tensors.items()}, f"{folder}/expected.safetensors")


def main():
    folder = sys.argv[1]
    torch.set_grad_enabled(False)
    if not os.path.exists(f"{folder}/unet"):
        make(folder)
    torch.manual_seed(1)
    tokens = torch.randint(0, 49406, (1, 77))
    tokens[:, 0], tokens[:, 40:] = 49406, 49407
    text = CLIPTextModel.from_pretrained(f"{folder}/text_encoder", dtype=torch.float32).eval()
    hidden = text(tokens, output_hidden_states=True)
    save(f"{folder}/text_encoder", tokens=tokens.int(), hidden=hidden.last_hidden_state, penultimate=hidden.hidden_states[-2],
         pooled=hidden.pooler_output)
    sample, times = torch.randn(1, 4, 64, 64), torch.tensor([501.0])
    unet = UNet2DConditionModel.from_pretrained(f"{folder}/unet", torch_dtype=torch.float32).eval()
    noise = unet(sample, times, hidden.last_hidden_state).sample
    save(f"{folder}/unet", sample=nhwc(sample), timesteps=times, context=hidden.last_hidden_state, noise=nhwc(noise))
    half = unet.to(torch.bfloat16)(sample.bfloat16(), times, hidden.last_hidden_state.bfloat16()).sample.float()
    print("torch bf16 UNet, relative error:", float((half - noise).norm() / noise.norm()))
    del unet
    vae = AutoencoderKL.from_pretrained(f"{folder}/vae", torch_dtype=torch.float32).eval()
    latents = torch.randn(1, 4, 32, 32)
    decoded = vae.decode(latents).sample
    pictures = torch.rand(1, 3, 256, 256) * 2 - 1
    save(f"{folder}/vae", latents=nhwc(latents), decoded=nhwc(decoded), pictures=nhwc(pictures),
         moments=nhwc(vae.encode(pictures).latent_dist.parameters))


if __name__ == "__main__":
    main()
