#!/usr/bin/env python3
"""Makes assets/golden/diffusion/comfyui_samplers.json: the samplers that ComfyUI has beside k-diffusion's, from their published
definitions, on ComfyUI's schedules.

  ddpm    the posterior q(x_{t-1} | x_t, x_0) of Ho et al. 2020 (arXiv:2006.11239), equations 6 and 7, between any two noise
          levels, in the scale of k-diffusion on its way in and out
  lcm     multistep consistency sampling, Luo et al. 2023 (arXiv:2310.04378), algorithm 3, in k-diffusion's scale: the predicted
          picture, with noise of the next level added
  uni_pc  Zhao et al. 2023 (arXiv:2302.04867), algorithms 5 to 8: order 3 on predicted pictures, B_1(h), multistep, lower orders
          at the end; ComfyUI leaves out the level before the last one and ends at a sigma of 0.001 in place of 0
Written here in numpy and double, from the papers; network, noise and file format are those of schedulers.py. Neither ComfyUI nor
k-diffusion is needed or read.
usage: comfyui_samplers.py     (needs what schedulers.py imports but k-diffusion: torch, diffusers, scipy, for the schedules)
"""
import json
import math
import pathlib

import numpy as np

from schedulers import CONFIGS, N, comfy_sigmas, comfy_table

OUT = pathlib.Path(__file__).resolve().parents[2] / "assets/golden/diffusion/comfyui_samplers.json"
INDEX = np.arange(N, dtype=np.float64)


class Noise:
    def __init__(self):
        self.k = 0

    def __call__(self):
        i = np.arange(self.k * N + 1, (self.k + 1) * N + 1, dtype=np.float64)
        self.k += 1
        return 1.4 * np.sin(7.31 * i)


class Model:
    """The picture that the toy network predicts of a sample in k-diffusion's scale."""

    def __init__(self, config):
        self.logs = comfy_table(config).log().double().numpy()
        self.velocity = config.get("prediction_type") == "v_prediction"
        self.calls = []

    def __call__(self, x, sigma):
        t = float(np.abs(math.log(sigma) - self.logs).argmin())
        self.calls.append(t)
        seen = x / math.sqrt(sigma**2 + 1)
        output = 0.6 * seen + 0.4 * np.sin(1.3 * seen + 0.01 * t + 0.37 * INDEX)
        if self.velocity:
            return x / (sigma**2 + 1) - output * sigma / math.sqrt(sigma**2 + 1)
        return x - output * sigma


def sample_ddpm(model, x, sigmas, noise):
    for sigma, following in zip(sigmas, sigmas[1:]):
        x0 = model(x, sigma)
        bar, bar_next = 1 / (sigma**2 + 1), 1 / (following**2 + 1)
        alpha = bar / bar_next
        xt = x * math.sqrt(bar)
        x = math.sqrt(bar_next) * (1 - alpha) / (1 - bar) * x0 + math.sqrt(alpha) * (1 - bar_next) / (1 - bar) * xt
        if following > 0:
            x = (x + math.sqrt((1 - bar_next) / (1 - bar) * (1 - alpha)) * noise()) / math.sqrt(bar_next)
    return x


def sample_lcm(model, x, sigmas, noise):
    for sigma, following in zip(sigmas, sigmas[1:]):
        x = model(x, sigma)
        if following > 0:
            x = x + following * noise()
    return x


def sample_uni_pc(model, x, sigmas, noise):
    sigmas = [*sigmas[:-1], 0.001]
    steps = len(sigmas) - 1
    most = max(1, min(3, steps - 1))
    alphas = [1 / math.sqrt(s**2 + 1) for s in sigmas]
    stds = [s * a for s, a in zip(sigmas, alphas)]
    lambdas = [math.log(a / s) for a, s in zip(alphas, stds)]

    def update(x_from, pictures, i, order, new):
        """From level i to i + 1, by pictures predicted at levels up to i; with the one predicted at i + 1: the corrector."""
        h = lambdas[i + 1] - lambdas[i]
        ratios = [(lambdas[i - k] - lambdas[i]) / h for k in range(1, order)]
        differences = [(pictures[i - k] - pictures[i]) / r for k, r in zip(range(1, order), ratios)]
        if new is not None:
            ratios, differences = ratios + [1.0], differences + [new - pictures[i]]
        result = stds[i + 1] / stds[i] * x_from - alphas[i + 1] * math.expm1(-h) * pictures[i]
        n = len(differences)
        if n == 0:
            return result
        # phi_{k+1}(-h) by its recursion, phi_1(x) = (e^x - 1) / x; B_1(h) = h.
        phi, b = math.expm1(-h) / -h, []
        for k in range(1, n + 1):
            phi = (phi - 1 / math.factorial(k)) / -h
            b.append(phi * math.factorial(k))
        matrix = np.array([[r**k for r in ratios] for k in range(n)])
        weights = np.linalg.solve(matrix, b) if n > 1 else [0.5]
        if new is None and n == 1:
            weights = [0.5]
        return result + alphas[i + 1] * h * sum(w * d for w, d in zip(weights, differences))

    def to_sample(picture_scale, i):
        return picture_scale / alphas[i]

    y = x * alphas[0]
    pictures, before, order = {}, None, 0
    for i in range(steps):
        pictures[i] = model(to_sample(y, i), sigmas[i])
        if i > 0:
            y = update(before, pictures, i - 1, order, pictures[i])
        order = min(most, i + 1, steps - i)
        before = y
        y = update(before, pictures, i, order, None)
    return y / alphas[-1]


SAMPLERS = {"ddpm": sample_ddpm, "lcm": sample_lcm, "uni_pc": sample_uni_pc}


def main():
    cases = []
    for sampler, sample in SAMPLERS.items():
        for config in ("sd15", "sd21v"):
            for schedule in ("normal", "karras", "exponential", "sgm_uniform", "beta", "simple"):
                for steps in (4, 10):
                    drops = sampler == "uni_pc"
                    sigmas = [float(s) for s in comfy_sigmas(comfy_table(CONFIGS[config]), schedule, steps + drops)]
                    if drops:
                        sigmas = sigmas[:-2] + sigmas[-1:]
                    noise, model = Noise(), Model(CONFIGS[config])
                    result = sample(model, noise() * math.sqrt(1 + sigmas[0]**2), sigmas, noise)
                    cases.append({"sampler": sampler, "schedule": schedule, "profile": "comfyui", "steps": steps, "strength": 1.0,
                                  "config": CONFIGS[config], "tolerance": 1e-5, "timesteps": model.calls,
                                  "samples": [[float(f"{v:.7g}") for v in result]]})
    head = {"made_by": "scripts/make_golden/comfyui_samplers.py", "numpy": np.__version__}
    lines = ",\n".join(json.dumps(case, separators=(",", ":"), allow_nan=False) for case in cases)
    OUT.write_text(json.dumps(head)[:-1] + ', "cases": [\n' + lines + "\n]}\n")
    print(len(cases), "cases", OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
