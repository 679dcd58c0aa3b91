#!/usr/bin/env python3
"""Trains the UNet on cached latents and text states, with the VAE and the text encoder as they are.

usage: train_unet.py --data FOLDER --out FOLDER --minutes M [--threads N] [--resume]
Writes OUT/sd/unet, OUT/sd/scheduler and OUT/sd/model_index.json every five minutes and at the end; more training is
--resume with further minutes, as often as one likes.
"""
import argparse
import copy
import json
import pathlib
import random
import time

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTokenizer

import emoji_data
from mixed_precision import autocast
from schedule import Schedule

BATCH, VARIANTS, CAPTIONS = 48, 5, 3  # examples a step; cached pictures an emoji; captions a picture
SAVE_SECONDS = 300
EMPTY_PROMPT = 0.1  # how often the caption is left out, for guidance
# There are many of them and they look alike.
PEOPLE = {"man", "woman", "men", "women", "person", "people", "family", "couple", "kiss"}


def make():
    return UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, cross_attention_dim=192, layers_per_block=1, attention_head_dim=4,
        block_out_channels=(64, 128, 192),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"))


def make_scheduler():
    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000,
                         clip_sample=False, set_alpha_to_one=False, steps_offset=1, prediction_type="v_prediction")


@torch.no_grad()
def encode_text(tokenizer, encoder, captions, size=512):
    parts = []
    for begin in range(0, len(captions), size):
        ids = tokenizer(captions[begin:begin + size], padding="max_length", max_length=tokenizer.model_max_length,
                        truncation=True, return_tensors="pt").input_ids
        parts.append(encoder(ids)[0].bfloat16())
    return torch.cat(parts)


class Cache:
    """Latents [emoji, variant, 4, 16, 16] and text states [emoji, variant, caption, length, width]; variant 0 is plain."""

    def __init__(self, data, sd):
        random.seed(1)
        torch.manual_seed(1)
        vae = AutoencoderKL.from_pretrained(sd / "vae", torch_dtype=torch.float32).eval()
        vae.set_attn_processor(AttnProcessor())
        tokenizer = CLIPTokenizer.from_pretrained(sd / "tokenizer")
        encoder = CLIPTextModel.from_pretrained(sd / "text_encoder", torch_dtype=torch.float32).eval()
        varied = emoji_data.Sampler(data, background=0.25, color=0.2, shift=0.3)
        plain = emoji_data.Sampler(data, background=0, color=0, shift=0)
        count, latents, captions = len(varied.rows), [], []
        for variant in range(VARIANTS):
            for begin in range(0, count, 64):
                sampler = plain if variant == 0 else varied
                images, texts = sampler.batch(range(begin, min(count, begin + 64)), CAPTIONS)
                with torch.no_grad(), autocast():
                    latent = vae.encode(images).latent_dist.mean.float()
                latents.append(latent * vae.config.scaling_factor)
                captions += [text for of_one in texts for text in of_one]
        self.latents = torch.cat(latents).view(VARIANTS, count, 4, 16, 16).transpose(0, 1).contiguous()
        states = encode_text(tokenizer, encoder, captions)
        self.states = states.view(VARIANTS, count, CAPTIONS, *states.shape[1:]).transpose(0, 1).contiguous()
        self.empty = encode_text(tokenizer, encoder, [""])[0]
        people = torch.tensor([bool(PEOPLE & set(row["en"].split())) for row in varied.rows])
        self.weights = torch.where(people, 0.6, 1.0)
        self.variant_weights = torch.tensor([0.6] + [0.4 / (VARIANTS - 1)] * (VARIANTS - 1))

    def batch(self):
        emoji = torch.multinomial(self.weights, BATCH)
        variant = torch.multinomial(self.variant_weights, BATCH, replacement=True)
        states = self.states[emoji, variant, torch.randint(CAPTIONS, (BATCH,))].clone()
        states[torch.rand(BATCH) < EMPTY_PROMPT] = self.empty
        return self.latents[emoji, variant], states.float()


def loss_of(unet, alphas, latents, states):
    """Plain v-prediction loss. A min-SNR weighting was tried: it starves the noisy steps that decide the shape."""
    times = ((torch.rand(1) + torch.arange(BATCH) / BATCH) % 1 * len(alphas)).long()  # one in each stretch of time
    alpha = alphas[times].view(-1, 1, 1, 1)
    noise = torch.randn_like(latents)
    target = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    with autocast():
        predicted = unet(noisy, times, states).sample
    return F.mse_loss(predicted.float(), target)


def save(average, sd):
    half = make()
    half.load_state_dict(average.state_dict())
    half.half().save_pretrained(sd / "unet")
    make_scheduler().save_pretrained(sd / "scheduler")
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1", "requires_safety_checker": False,
             "safety_checker": [None, None], "feature_extractor": [None, None], "image_encoder": [None, None],
             "scheduler": ["diffusers", "DDIMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
             "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
             "vae": ["diffusers", "AutoencoderKL"]}
    (sd / "model_index.json").write_text(json.dumps(index, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with emoji.pt")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder with sd/, clip/")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="go on from OUT/sd/unet")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sd = given.out / "sd"
    cache = Cache(given.data, sd)
    torch.manual_seed(time.time_ns() % 2**31)  # a resumed training must not repeat its noise
    unet = make()
    unet.set_attn_processor(AttnProcessor())  # with bf16 on a CPU 40 % faster than the fused one
    if given.resume:
        unet.load_state_dict(load_file(sd / "unet/diffusion_pytorch_model.safetensors"))
    average = copy.deepcopy(unet).eval().requires_grad_(False)  # of the weights over time: what is saved
    peak = 6e-4 if given.resume else 8e-4
    optimizer = torch.optim.AdamW(unet.parameters(), lr=peak, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    alphas = make_scheduler().alphas_cumprod
    schedule, saved, total = Schedule(given.minutes, optimizer, peak, floor=1e-5), time.time(), 0.0
    for _ in schedule:
        loss = loss_of(unet, alphas, *cache.batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        total += loss.item()
        with torch.no_grad():
            decay = min(0.998, (2 + schedule.step) / (11 + schedule.step))
            torch._foreach_lerp_(list(average.parameters()), list(unet.parameters()), 1 - decay)
        if (schedule.step + 1) % 200 == 0:
            rate = BATCH * (schedule.step + 1) / schedule.elapsed
            print(f"step {schedule.step + 1}, {schedule.elapsed:.0f} s, loss {total / 200:.4f}, {rate:.0f} pictures/s",
                  flush=True)
            total = 0.0
        if time.time() - saved > SAVE_SECONDS:
            saved = time.time()
            save(average, sd)
    save(average, sd)
    print(f"{schedule.step} steps")


if __name__ == "__main__":
    main()
