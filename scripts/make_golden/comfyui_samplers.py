#!/usr/bin/env python3
"""Makes assets/golden/diffusion/comfyui_samplers.json: the samplers that ComfyUI has beside k-diffusion's, from their published
definitions, on ComfyUI's schedules.

  ddpm    the posterior q(x_{t-1} | x_t, x_0) of Ho et al. 2020 (arXiv:2006.11239), equations 6 and 7, between any two noise
          levels, in the scale of k-diffusion on its way in and out
  lcm     multistep consistency sampling, Luo et al. 2023 (arXiv:2310.04378), algorithm 3, in k-diffusion's scale: the predicted
          picture, with noise of the next level added
  uni_pc  Zhao et al. 2023 (arXiv:2302.04867), algorithms 5 to 8: order 3 on predicted pictures, B_1(h), multistep, lower orders
          at the end; ComfyUI leaves out the level before the last one and ends at a sigma of 0.001 in place of 0
  uni_pc_bh2  the same with B_2(h) = e^h - 1
  deis    Zhang & Chen 2022 (arXiv:2204.13902), tAB-DEIS of order 3 on EDM's variance-preserving time, 0.002 to 80; its integrals
          are sums of 10,000 points, both ends included
  ipndm   Adams-Bashforth of order 4 on the slope in sigma (the same paper's iPNDM); the last step gives the predicted picture
  ipndm_v the form of it for steps of any length, as zju-pi/diff-sampler published it (Apache-2.0) and ComfyUI runs it. It differs
          from Adams-Bashforth in three factors (kernels/diffusion/samplers/ipndm.cc says which), so that no paper gives it: its
          three formulas were taken from there
Written here in numpy and double, from the papers but for that; network, noise and file format are those of schedulers.py.
Neither ComfyUI nor k-diffusion is needed to run this.
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


def slopes(model, x, sigmas, step):
    """Steps of x by step(i, slopes so far, newest first), the last one to the predicted picture."""
    found = []
    for i, sigma in enumerate(sigmas[:-1]):
        picture = model(x, sigma)
        found.insert(0, (x - picture) / sigma)
        x = x + step(i, found) if sigmas[i + 1] > 0 else picture
    return x


def sample_ipndm(model, x, sigmas, noise):
    table = [[1], [3 / 2, -1 / 2], [23 / 12, -4 / 3, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -3 / 8]]
    return slopes(model, x, sigmas, lambda i, d: (sigmas[i + 1] - sigmas[i]) * sum(
        w * slope for w, slope in zip(table[min(i, 3)], d)))


def sample_ipndm_v(model, x, sigmas, noise):
    def step(i, d):
        h, h1, h2, h3 = (sigmas[i + 1 - k] - sigmas[i - k] if k <= i else None for k in range(4))
        if i == 0:
            weights = [1]
        elif i == 1:
            weights = [(2 + h / h1) / 2, -h / h1 / 2]
        else:
            second = (1 - h / (3 * (h + h1)) * (h * (h + h1)) / (h1 * (h1 + h2))) / 2
            weights = [(2 + h / h1) / 2 + second, -h / h1 / 2 - (1 + h1 / h2) * second, second * h1 / h2]
        if i > 2:
            third = (1 - h / (3 * (h + h1))) / 2 + (1 - h / (2 * (h + h1))) * h / (6 * (h + h1 + h2))
            third *= h * (h + h1) * (h + h1 + h2) / (h1 * (h1 + h2) * (h1 + h2 + h3))
            ratio = h1 * (h1 + h2) / (h2 * (h2 + h3))
            weights = [weights[0] + third, weights[1] - (1 + h1 / h2 + ratio) * third,
                       weights[2] + (h1 / h2 + ratio * (1 + h2 / h3)) * third, -third * ratio * h1 / h2]
        return h * sum(w * slope for w, slope in zip(weights, d))
    return slopes(model, x, sigmas, step)


def sample_deis(model, x, sigmas, noise):
    points, f32 = 10000, np.float32
    first, last = np.log(f32(0.002)**2 + f32(1)), np.log(f32(80)**2 + f32(1))
    beta_range = f32(2) * (first / f32(1e-3) - last) / f32(1e-3 - 1)
    beta_min, beta_range = float(last - f32(0.5) * beta_range), float(beta_range)
    times = [(math.sqrt(beta_min**2 + 2 * beta_range * math.log(s * s + 1)) - beta_min) / beta_range for s in sigmas]

    def step(i, d):
        order = min(i + 1, 3)
        if order == 1:
            return (sigmas[i + 1] - sigmas[i]) * d[0]
        t = np.linspace(times[i], times[i + 1], points)
        alpha = np.exp(-0.5 * t**2 * beta_range - t * beta_min)
        slope = 0.5 * (t * beta_range + beta_min) / np.sqrt(alpha * (1 - alpha))
        nodes, result = [times[i - k] for k in range(order)], 0
        for j in range(order):
            poly = np.prod([(t - n) / (nodes[j] - n) for k, n in enumerate(nodes) if k != j], axis=0)
            result = result + np.sum(slope * poly) * (times[i + 1] - times[i]) / points * d[j]
        return result
    return slopes(model, x, sigmas, step)


def sample_uni_pc_bh2(model, x, sigmas, noise):
    return sample_uni_pc(model, x, sigmas, noise, lambda h: -math.expm1(-h))


def sample_uni_pc(model, x, sigmas, noise, b_of=lambda h: h):
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
        # phi_{k+1}(-h) by its recursion, phi_1(x) = (e^x - 1) / x.
        phi, b = math.expm1(-h) / -h, []
        for k in range(1, n + 1):
            phi = (phi - 1 / math.factorial(k)) / -h
            b.append(phi * math.factorial(k) * h / b_of(h))
        matrix = np.array([[r**k for r in ratios] for k in range(n)])
        weights = np.linalg.solve(matrix, b) if n > 1 else [0.5]
        if new is None and n == 1:
            weights = [0.5]
        return result + alphas[i + 1] * b_of(h) * sum(w * d for w, d in zip(weights, differences))

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


SAMPLERS = {"ddpm": sample_ddpm, "lcm": sample_lcm, "uni_pc": sample_uni_pc, "uni_pc_bh2": sample_uni_pc_bh2,
            "deis": sample_deis, "ipndm": sample_ipndm, "ipndm_v": sample_ipndm_v}


def main():
    cases = []
    for sampler, sample in SAMPLERS.items():
        for config in ("sd15", "sd21v"):
            for schedule in ("normal", "karras", "exponential", "sgm_uniform", "beta", "simple"):
                for steps in (4, 10):
                    drops = sampler.startswith("uni_pc")
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
