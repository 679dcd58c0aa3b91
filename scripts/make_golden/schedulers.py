"""Makes assets/golden/diffusion/schedulers.json: what diffusers' schedulers, and k-diffusion's samplers on ComfyUI's
schedules, make of a fixed toy network and injected noise.

The network: out[i] = 0.6 x[i] + 0.4 sin(1.3 x[i] + 0.01 t + 0.37 i). The k-th array of noise: 1.4 sin(7.31 (k n + i + 1)),
n elements each; the first one is the start. All cases have 8 elements, channel-last order does not matter here.
Per case: scheduler_config.json's text, sampler, schedule, profile, steps, strength (below 1: the picture
0.5 cos(i) is where sampling starts), the timesteps of the calls, and the sample after every call or after the last one.
usage: schedulers.py     (needs torch, diffusers 0.42, scipy, k-diffusion; deterministic)
"""
import importlib
import importlib.util
import json
import math
import pathlib
import sys
import types

import diffusers
import numpy as np
import torch

for name in ("torchsde", "torchdiffeq"):  # imported by the modules below, not used here
    sys.modules.setdefault(name, types.ModuleType(name)).odeint = None

OUT = pathlib.Path(__file__).resolve().parents[2] / "assets/golden/diffusion/schedulers.json"
N, SHAPE = 8, (1, 2, 2, 2)
INDEX = torch.arange(N, dtype=torch.float32).reshape(SHAPE)
PICTURE = 0.5 * torch.cos(INDEX)

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
CONFIGS = {
    "sd15": SD | {"_class_name": "PNDMScheduler", "steps_offset": 1, "set_alpha_to_one": False, "clip_sample": False,
                  "skip_prk_steps": True, "trained_betas": None},
    "sd21v": SD | {"_class_name": "DDIMScheduler", "steps_offset": 1, "set_alpha_to_one": False, "clip_sample": False,
                   "prediction_type": "v_prediction", "skip_prk_steps": True},
    "sdxl": SD | {"_class_name": "EulerDiscreteScheduler", "steps_offset": 1, "prediction_type": "epsilon",
                  "interpolation_type": "linear", "set_alpha_to_one": False, "clip_sample": False,
                  "timestep_spacing": "leading", "use_karras_sigmas": False, "skip_prk_steps": True},
    "lcm": SD | {"_class_name": "LCMScheduler", "original_inference_steps": 50, "set_alpha_to_one": True,
                 "steps_offset": 1, "prediction_type": "epsilon", "timestep_spacing": "leading", "clip_sample": False,
                 "timestep_scaling": 10.0, "rescale_betas_zero_snr": False},
    "zero_snr": SD | {"_class_name": "DDIMScheduler", "prediction_type": "v_prediction", "rescale_betas_zero_snr": True,
                      "timestep_spacing": "trailing", "clip_sample": False, "set_alpha_to_one": True,
                      "skip_prk_steps": True},
    "cosine": {"_class_name": "DDPMScheduler", "beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 1000,
               "prediction_type": "sample", "clip_sample": True, "clip_sample_range": 0.8, "skip_prk_steps": True},
    "linear": {"_class_name": "DDIMScheduler", "beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02,
               "timestep_spacing": "linspace", "clip_sample": True},
}
CLASSES = {
    "ddim": "ddim.DDIMScheduler", "ddpm": "ddpm.DDPMScheduler", "pndm": "pndm.PNDMScheduler",
    "lms": "lms_discrete.LMSDiscreteScheduler", "euler": "euler_discrete.EulerDiscreteScheduler",
    "euler_ancestral": "euler_ancestral_discrete.EulerAncestralDiscreteScheduler",
    "heun": "heun_discrete.HeunDiscreteScheduler", "dpm_2": "k_dpm_2_discrete.KDPM2DiscreteScheduler",
    "dpmpp_2m": "dpmsolver_multistep.DPMSolverMultistepScheduler",
    "dpmpp_2m_sde": "dpmsolver_multistep.DPMSolverMultistepScheduler",
    "dpmpp_sde": "dpmsolver_sde.DPMSolverSDEScheduler", "uni_pc": "unipc_multistep.UniPCMultistepScheduler",
    "lcm": "lcm.LCMScheduler", "tcd": "tcd.TCDScheduler", "deis": "deis_multistep.DEISMultistepScheduler",
}
SIGMA_SAMPLERS = ["lms", "euler", "heun", "dpm_2", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde", "uni_pc", "deis"]
ORDER = {"heun": 2, "dpm_2": 2, "dpmpp_sde": 2}


def network(x, t):
    return 0.6 * x + 0.4 * torch.sin(1.3 * x + 0.01 * float(t) + 0.37 * INDEX)


class Noise:
    """The injected noise: the k-th array at the k-th call."""

    def __init__(self):
        self.k = 0

    def __call__(self, *args, **kwargs):
        i = torch.arange(self.k * N + 1, (self.k + 1) * N + 1, dtype=torch.float64)
        self.k += 1
        return (1.4 * torch.sin(7.31 * i)).to(torch.float32).reshape(SHAPE)


class Brownian:
    """Increments of one Brownian motion over [start, middle] and then [start, end], from two independent arrays."""

    def __init__(self, noise):
        self.noise, self.first = noise, None

    def __call__(self, start, end):
        if self.first is None or self.first[0] != float(start):
            self.first = (float(start), float(end), self.noise())
            return self.first[2]
        middle, old, new = self.first[1], self.first[2], self.noise()
        span = float(start) - float(end)
        self.first = None
        return math.sqrt((float(start) - middle) / span) * old + math.sqrt((middle - float(end)) / span) * new


def scheduler_of(sampler, config, schedule, options):
    module, name = CLASSES[sampler].split(".")
    module = importlib.import_module("diffusers.schedulers.scheduling_" + module)
    values = {k: v for k, v in (config | options).items() if k != "_class_name"}
    if sampler in ("dpmpp_2m", "dpmpp_2m_sde"):
        values["algorithm_type"] = "sde-dpmsolver++" if sampler == "dpmpp_2m_sde" else "dpmsolver++"
    for key in ("karras", "exponential", "beta"):
        if schedule == key:
            values |= {"use_karras_sigmas": False, f"use_{key}_sigmas": True}
    if schedule in ("sgm_uniform", "simple"):
        values["timestep_spacing"] = "trailing"
    scheduler = getattr(module, name).from_config(values)
    return module, scheduler


def run_diffusers(sampler, config, schedule, steps, strength, options):
    module, scheduler = scheduler_of(sampler, config, schedule, options)
    noise = Noise()
    if hasattr(module, "randn_tensor"):
        module.randn_tensor = noise
    scheduler.set_timesteps(steps)
    timesteps = scheduler.timesteps
    start = noise()
    if strength < 1:
        first = max(steps - min(int(steps * strength), steps), 0) * ORDER.get(sampler, 1)
        timesteps = timesteps[first:]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(first)
        sample = scheduler.add_noise(PICTURE, start, timesteps[:1])
    else:
        sample = start * scheduler.init_noise_sigma
    if sampler == "dpmpp_sde":
        scheduler.noise_sampler = Brownian(noise)
    extra = {"eta": options["eta"]} if "eta" in options else {}
    samples = []
    for t in timesteps:
        output = network(scheduler.scale_model_input(sample, t), t)
        sample = scheduler.step(output, t, sample, return_dict=False, **extra)[0]
        samples.append(sample)
    # Where sigma is large, as with a cosine schedule, the reference's own f32 sums lose digits.
    largest = float(scheduler.sigmas.max()) if hasattr(scheduler, "sigmas") else 0
    return [float(t) for t in timesteps], samples, max(1e-5, 1e-7 * largest)


# --- ComfyUI: schedules as comfy/samplers.py defines them, over k-diffusion's samplers.

def comfy_table(config):
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float32) ** 2
    bars = torch.cumprod(1 - betas, 0)
    return ((1 - bars) / bars) ** 0.5


def comfy_sigmas(table, schedule, steps):
    from scipy.stats import beta as beta_distribution
    logs = table.log()

    def sigma_at(t):
        low = t.floor().long()
        high = t.ceil().long()
        return ((1 - t.frac()) * logs[low] + t.frac() * logs[high]).exp()

    if schedule in ("normal", "sgm_uniform"):
        t = torch.linspace(999, 0, steps + 1)[:-1] if schedule == "sgm_uniform" else torch.linspace(999, 0, steps)
        sigmas = sigma_at(t)
    elif schedule == "karras":
        ramp, low, high = torch.linspace(0, 1, steps), float(table[0]) ** (1 / 7), float(table[-1]) ** (1 / 7)
        sigmas = (high + ramp * (low - high)) ** 7
    elif schedule == "exponential":
        sigmas = torch.linspace(math.log(table[-1]), math.log(table[0]), steps).exp()
    elif schedule == "simple":
        sigmas = torch.stack([table[-(1 + int(i * (len(table) / steps)))] for i in range(steps)])
    else:
        t = np.rint(beta_distribution.ppf(1 - np.linspace(0, 1, steps, endpoint=False), 0.6, 0.6) * 999)
        sigmas = torch.stack([table[int(v)] for i, v in enumerate(t) if i == 0 or v != t[i - 1]])
    return torch.cat([sigmas, torch.zeros(1)])


def k_diffusion_sampling():
    """k_diffusion/sampling.py alone: the package would import what training needs."""
    if "k_diffusion" not in sys.modules:
        package, utils = types.ModuleType("k_diffusion"), types.ModuleType("k_diffusion.utils")
        package.__path__ = importlib.util.find_spec("k_diffusion").submodule_search_locations
        utils.append_dims = lambda x, n: x[(...,) + (None,) * (n - x.ndim)]
        package.utils = utils
        sys.modules |= {"k_diffusion": package, "k_diffusion.utils": utils}
    return importlib.import_module("k_diffusion.sampling")


def run_comfyui(sampler, config, schedule, steps):
    sampling = k_diffusion_sampling()
    table = comfy_table(config)
    sigmas = comfy_sigmas(table, schedule, steps + (1 if sampler == "dpm_2" else 0))
    if sampler == "dpm_2":
        sigmas = torch.cat([sigmas[:-2], sigmas[-1:]])
    noise, calls = Noise(), []
    velocity = config.get("prediction_type") == "v_prediction"

    def model(x, sigma):
        s = sigma.reshape(-1)[0]
        t = int((s.log() - table.log()).abs().argmin())
        calls.append(float(t))
        output = network(x / (s**2 + 1) ** 0.5, t)
        return x / (s**2 + 1) - output * s / (s**2 + 1) ** 0.5 if velocity else x - output * s

    x = noise() * torch.sqrt(1 + sigmas[0] ** 2)
    name = {"ddim": "euler"}.get(sampler, sampler)
    extra = {}
    if name in ("euler_ancestral", "dpmpp_sde", "dpmpp_2m_sde"):
        extra["noise_sampler"] = Brownian(noise) if name == "dpmpp_sde" else (lambda *a: noise())
    x = getattr(sampling, "sample_" + name)(model, x, sigmas, disable=True, **extra)
    return calls, [x]


def main():
    cases = []

    def add(sampler, config, steps, schedule="normal", strength=1.0, **options):
        run = run_diffusers(sampler, CONFIGS[config], schedule, steps, strength, options)
        record(sampler, CONFIGS[config] | options, "diffusers", schedule, steps, strength, *run)

    def record(sampler, config, profile, schedule, steps, strength, timesteps, samples, tolerance=1e-5):
        kept = samples if steps <= 5 else samples[-1:]
        cases.append({"sampler": sampler, "schedule": schedule, "profile": profile, "steps": steps,
                      "strength": strength, "config": config, "tolerance": round(tolerance, 6), "timesteps": [round(t, 4) for t in timesteps],
                      "samples": [[float(f"{v:.7g}") for v in s.flatten().tolist()] for s in kept]})

    for sampler in CLASSES:
        for config in ("sd15", "sd21v", "sdxl"):
            for steps in (5, 20):
                add(sampler, config, steps)
        add(sampler, "sd15", 10, strength=0.6)
        if sampler not in ("lms",):
            add(sampler, "zero_snr", 8)
        if sampler not in ("lcm", "tcd"):
            add(sampler, "sd15", 12, schedule="sgm_uniform")
    for sampler in SIGMA_SAMPLERS:
        for schedule in ("karras", "exponential", "beta"):
            add(sampler, "sd15", 10, schedule=schedule)
    for sampler in ("ddim", "ddpm", "euler", "dpmpp_2m", "uni_pc", "deis", "heun"):
        add(sampler, "cosine", 10)
        add(sampler, "linear", 10)
    for sampler in ("lcm", "tcd"):
        for steps in (1, 4, 8):
            add(sampler, "lcm", steps)
    add("tcd", "lcm", 4, eta=0.0)
    add("ddim", "sd15", 10, eta=0.7)
    add("pndm", "sd15", 10, skip_prk_steps=False)
    add("ddim", "sd15", 1)
    add("dpmpp_2m", "sd15", 1)
    add("euler", "sdxl", 1, schedule="sgm_uniform")
    add("ddpm", "sd15", 10, variance_type="fixed_large")
    for sampler in ("dpmpp_2m", "dpmpp_2m_sde"):
        add(sampler, "sd15", 20, solver_order=3)
        add(sampler, "sd15", 10, solver_type="heun")
        add(sampler, "sd15", 20, final_sigmas_type="sigma_min")
    add("dpmpp_2m", "sd15", 20, euler_at_final=True, final_sigmas_type="sigma_min")
    add("uni_pc", "sd15", 10, solver_order=3)
    add("uni_pc", "sd15", 10, solver_type="bh1", final_sigmas_type="sigma_min")  # NaN with sigma 0
    add("deis", "sd15", 20, solver_order=3)
    add("euler", "sd15", 10, final_sigmas_type="sigma_min")
    for sampler in ("euler", "euler_ancestral", "heun", "lms", "dpm_2", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde", "ddim"):
        for config in ("sd15", "sd21v"):
            for schedule in ("normal", "karras", "exponential", "sgm_uniform", "beta", "simple"):
                timesteps, samples = run_comfyui(sampler, CONFIGS[config], schedule, 10)
                record(sampler, CONFIGS[config], "comfyui", schedule, 10, 1.0, timesteps, samples)

    head = {"made_by": "scripts/make_golden/schedulers.py", "torch": torch.__version__, "diffusers": diffusers.__version__}
    lines = ",\n".join(json.dumps(case, separators=(",", ":"), allow_nan=False) for case in cases)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(head)[:-1] + ', "cases": [\n' + lines + "\n]}\n")
    print(len(cases), "cases", OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
