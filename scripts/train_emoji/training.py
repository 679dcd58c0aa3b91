"""What the three trainings share: how long they go on, in what precision, and what they were told."""
import argparse
import contextlib
import math
import pathlib
import time

import torch


class Schedule:
    """for fraction in Schedule(seconds, optimizer, peak): one step each; sets the rate before the step.

    The rate rises, falls as a cosine, and ends when the time is over."""

    def __init__(self, seconds, optimizer, peak, warmup_steps=100, floor=1e-6):
        self.seconds, self.optimizer, self.peak = seconds, optimizer, peak
        self.warmup_steps, self.floor, self.step = warmup_steps, floor, 0
        self.started = time.time()

    @property
    def elapsed(self):
        return time.time() - self.started

    def __iter__(self):
        while (fraction := self.elapsed / self.seconds) < 1:
            rate = self.peak * min(1, (self.step + 1) / self.warmup_steps) * (0.5 + 0.5 * math.cos(math.pi * fraction))
            for group in self.optimizer.param_groups:
                group["lr"] = rate + self.floor
            yield fraction
            self.step += 1


def autocast(device):
    """Products in bf16, on a CPU only where it has them: without such instructions PyTorch's bf16 is 18 times slower."""
    if device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)  # a captured graph must not keep casts


def use_attention_for(device, network):
    """On a CPU, diffusers' plain attention: with bf16 it is 40 % faster than the fused one."""
    if device.type == "cpu":
        from diffusers.models.attention_processor import AttnProcessor

        network.set_attn_processor(AttnProcessor())


def parser_of(description):
    """The options that all three have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with emoji.pt")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for sd/ and clip/")
    parser.add_argument("--seconds", type=float, required=True, help="of training; loading and saving come on top")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=2)
    return parser


def prepare(given):
    torch.set_num_threads(given.threads)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
