#!/usr/bin/env python3
"""Trains the UNet on cached latents and text states, with the VAE and the text encoder as they are.

usage: train_unet.py --data FOLDER --out FOLDER --seconds S [--device cuda [--eager]] [--threads N] [--resume]
Writes OUT/sd/unet, OUT/sd/scheduler and OUT/sd/model_index.json every hundred seconds and at the end; more training is
--resume with further seconds, as often as one likes. On a GPU a step is captured as a graph and replayed, --eager does without.
"""
import copy
import json
import time

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTokenizer

import emoji_data
from training import Schedule, autocast, parser_of, prepare, use_attention_for

BATCH = {"cpu": 48, "cuda": 512}
VARIANTS, CAPTIONS = {"cpu": 5, "cuda": 16}, {"cpu": 3, "cuda": 4}  # cached pictures of an emoji, captions of a picture
SAVE_SECONDS = 100
EMPTY_PROMPT = 0.1  # how often the caption is left out, for guidance
NOISY = 0.7  # times are 1000 u^0.7: noisy steps, which decide the shape, come more often
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


class Cache:
    """Latents [example, 4, 16, 16] and text states [example, caption, length, width], and random batches of them."""

    @torch.no_grad()
    def __init__(self, data, sd, device):
        kind = device.type
        examples = emoji_data.Examples(data, device, VARIANTS[kind], CAPTIONS[kind], background=0.15, color=0.2)
        vae = AutoencoderKL.from_pretrained(sd / "vae", torch_dtype=torch.float32).to(device).eval()
        use_attention_for(device, vae)
        tokenizer = CLIPTokenizer.from_pretrained(sd / "tokenizer")
        encoder = CLIPTextModel.from_pretrained(sd / "text_encoder", torch_dtype=torch.float32).to(device).eval()

        def encode(images):
            with autocast(device):
                return vae.encode(images).latent_dist.mean.float() * vae.config.scaling_factor

        def encode_text(captions):
            ids = tokenizer(captions, padding="max_length", max_length=tokenizer.model_max_length, truncation=True,
                            return_tensors="pt").input_ids
            return encoder(ids.to(device))[0].bfloat16()

        order, texts = torch.arange(len(examples), device=device), examples.captions
        self.latents = torch.cat([encode(examples.pictures(part, shifted=0.15)) for part in order.split(256)])
        self.states = torch.cat([encode_text(texts[i:i + 512]) for i in range(0, len(texts), 512)])
        self.states = self.states.view(len(examples), CAPTIONS[kind], *self.states.shape[1:])
        self.empty = encode_text([""])
        people = torch.tensor([bool(PEOPLE & set(row["en"].split())) for row in examples.rows])
        weights = torch.where(people, 0.6, 1.0).double().repeat(examples.variants)
        self.cumulative = (weights / weights.sum()).cumsum(0).float().to(device)
        self.device, self.batch_size = device, BATCH[kind]

    def batch(self):
        def random():
            return torch.rand(self.batch_size, device=self.device)

        example = torch.searchsorted(self.cumulative, random()).clamp(max=len(self.latents) - 1)
        caption = (random() * self.states.shape[1]).long()
        states = torch.where((random() < EMPTY_PROMPT)[:, None, None], self.empty, self.states[example, caption])
        return self.latents[example], states.float()


def loss_of(unet, alphas, latents, states):
    """Plain v-prediction loss. A min-SNR weighting was tried: it starves the noisy steps that decide the shape."""
    count, device = len(latents), latents.device
    even = (torch.rand(1, device=device) + torch.arange(count, device=device) / count) % 1  # one in each stretch of time
    times = (even ** NOISY * len(alphas)).long().clamp(max=len(alphas) - 1)
    alpha = alphas[times].view(-1, 1, 1, 1)
    noise = torch.randn_like(latents)
    target = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    with autocast(device):
        predicted = unet(noisy, times, states).sample
    return F.mse_loss(predicted.float(), target)


def captured(step, warmup=5):
    """A step (random numbers, forward, backward) as a CUDA graph: such a small network waits for its launches otherwise."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(warmup):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replay():
        graph.replay()
        return loss

    return replay


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
    parser = parser_of(__doc__)
    parser.add_argument("--resume", action="store_true", help="go on from OUT/sd/unet")
    parser.add_argument("--eager", action="store_true", help="on a GPU: no graph")
    given = parser.parse_args()
    prepare(given)
    sd, device = given.out / "sd", given.device
    cache = Cache(given.data, sd, device)
    torch.manual_seed(time.time_ns() % 2**31)  # a resumed training must not repeat its noise
    unet = make()
    use_attention_for(device, unet)
    if given.resume:
        unet.load_state_dict(load_file(sd / "unet/diffusion_pytorch_model.safetensors"))
    unet.to(device).train()
    average = copy.deepcopy(unet).eval().requires_grad_(False)  # of the weights over time: what is saved
    weights = list(unet.parameters())
    peak = 6e-4 if given.resume else 1e-3
    optimizer = torch.optim.AdamW(weights, lr=peak, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    alphas = make_scheduler().alphas_cumprod.to(device)

    def step():
        for weight in weights:
            weight.grad = None
        loss = loss_of(unet, alphas, *cache.batch())
        loss.backward()
        return loss.detach()

    if device.type == "cuda" and not given.eager:
        step = captured(step)
    print(f"{len(cache.latents)} pictures", flush=True)
    schedule, saved, total, counted = Schedule(given.seconds, optimizer, peak, floor=1e-5), time.time(), 0.0, 0
    for _ in schedule:
        total, counted = total + step(), counted + 1
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        with torch.no_grad():
            decay = min(0.999, (2 + schedule.step) / (11 + schedule.step))
            torch._foreach_lerp_(list(average.parameters()), weights, 1 - decay)
        if (schedule.step + 1) % 100 == 0:
            mean, rate = float(total) / counted, cache.batch_size * (schedule.step + 1) / schedule.elapsed
            print(f"step {schedule.step + 1}, {schedule.elapsed:.0f} s, loss {mean:.4f}, {rate:.0f} pictures/s", flush=True)
            total, counted = 0.0, 0
        if time.time() - saved > SAVE_SECONDS:
            saved = time.time()
            save(average, sd)
    save(average, sd)
    print(f"{schedule.step} steps")


if __name__ == "__main__":
    main()
