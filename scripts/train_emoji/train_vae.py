#!/usr/bin/env python3
"""Trains the AutoencoderKL: 64 x 64 x 3 to 16 x 16 x 4 and back.

usage: train_vae.py --data FOLDER --out FOLDER --seconds S [--device cuda] [--threads N] [--resume --only decoder]
Writes OUT/sd/vae. --only decoder leaves the encoder as it is, so that a UNet trained on its latents stays valid.
"""
import json

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

import emoji_data
from training import Schedule, autocast, parser_of, prepare, use_attention_for

BATCH = {"cpu": 8, "cuda": 64}
SCALING_FACTOR = 0.18215  # Stable Diffusion's


def make():
    return AutoencoderKL(in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 3,
                         up_block_types=("UpDecoderBlock2D",) * 3, block_out_channels=(32, 64, 96), layers_per_block=1,
                         latent_channels=4, norm_num_groups=8, sample_size=emoji_data.SIDE)


def edges(images):
    return images[..., 1:, :] - images[..., :-1, :], images[..., 1:] - images[..., :-1]


@torch.no_grad()
def evaluate(vae, images, size=64):
    """Mean PSNR in dB of the pictures in -1..1 after the way there and back, and their latents."""
    ratios, latents = [], []
    for begin in range(0, len(images), size):
        part = images[begin:begin + size]
        latent = vae.encode(part).latent_dist.mean
        error = (vae.decode(latent).sample.clamp(-1, 1) - part).pow(2).mean((1, 2, 3))
        ratios.append(10 * torch.log10(4 / error))
        latents.append(latent)
    return torch.cat(ratios).mean().item(), torch.cat(latents)


@torch.no_grad()
def normalize(vae, mean, factor):
    """Makes the latents (z - mean) * factor, per channel, by changing the two 1 x 1 convolutions around them: exact."""
    quant, post = vae.quant_conv, vae.post_quant_conv
    post.bias += post.weight[:, :, 0, 0] @ mean
    post.weight /= factor[None, :, None, None]
    quant.weight[:4] *= factor[:, None, None, None]
    quant.bias[:4] = (quant.bias[:4] - mean) * factor
    quant.bias[4:] += 2 * factor.log()


def loss_of(vae, images):
    with autocast(images.device):
        posterior = vae.encode(images).latent_dist
        decoded = vae.decode(posterior.mean + posterior.std * torch.randn_like(posterior.mean)).sample
    decoded, mean, log_variance = decoded.float(), posterior.mean.float(), posterior.logvar.float()
    divergence = 0.5 * (mean * mean + log_variance.exp() - 1 - log_variance).mean()
    edge = sum(F.l1_loss(a, b) for a, b in zip(edges(decoded), edges(images)))
    return F.l1_loss(decoded, images) + F.mse_loss(decoded, images) + 0.5 * edge + 1e-3 * divergence


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--resume", action="store_true", help="go on from OUT/sd/vae")
    parser.add_argument("--only", choices=["decoder"], help="train the decoder alone; needs --resume")
    given = parser.parse_args()
    if given.resume != (given.only == "decoder"):
        parser.error("--resume goes with --only decoder: more training of the encoder would move the latents")
    prepare(given)
    torch.manual_seed(0)
    folder = given.out / "sd/vae"
    vae = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32) if given.resume else make()
    use_attention_for(given.device, vae)
    vae.to(given.device).train()
    if given.only == "decoder":
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    else:
        with torch.no_grad():
            vae.quant_conv.bias[4:] = -4  # begin with little noise
    peak = 6e-4 if given.only == "decoder" else 2e-3
    trained = [p for p in vae.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=peak, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
    examples = emoji_data.Examples(given.data, given.device, variants=16, captions=1, background=0.25, color=0.25)
    schedule = Schedule(given.seconds, optimizer, peak)
    for _ in schedule:
        loss = loss_of(vae, examples.pictures(examples.sample(BATCH[given.device.type]), shifted=0.5))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if schedule.step % 200 == 0:
            print(f"step {schedule.step}, {schedule.elapsed:.0f} s, loss {loss.item():.4f}", flush=True)
    vae.eval()
    ratio, latents = evaluate(vae, emoji_data.on_white(examples.rgba))
    if given.only != "decoder":
        normalize(vae, latents.mean((0, 2, 3)), 1 / SCALING_FACTOR / latents.std((0, 2, 3)))
    half = make()
    half.load_state_dict(vae.state_dict())
    half.half().save_pretrained(folder)
    print(json.dumps({"psnr_db": ratio, "steps": schedule.step}))


if __name__ == "__main__":
    main()
