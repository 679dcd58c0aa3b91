"""Makes assets/golden/diffusion/emoji_*.png: pictures that diffusers paints with the emoji model in float32.

Each file is a pipeline of its own; the parameters are in PARAMETERS and, for the test, in emoji_pictures.json.
usage: emoji_pictures.py     (needs torch, diffusers 0.42, transformers, pillow; deterministic on one kind of processor)
"""
import json
import pathlib

import diffusers
import torch
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "assets/golden/diffusion"
MODEL = ROOT / "assets/models/emoji"

PARAMETERS = {
    "emoji_ddim": {"prompt": "red apple", "steps": 20, "cfg": 4.0, "seed": 7, "sampler": "ddim"},
    "emoji_negative": {"prompt": "blue heart", "negative_prompt": "red apple", "steps": 12, "cfg": 3.0, "seed": 11,
                       "sampler": "dpmpp_2m", "guidance_rescale": 0.5},
    "emoji_ancestral": {"prompt": "猫脸", "steps": 15, "cfg": 4.0, "seed": 3, "sampler": "euler_ancestral"},
    "emoji_from_picture": {"prompt": "green apple", "steps": 20, "cfg": 4.0, "seed": 5, "sampler": "ddim", "strength": 0.6,
                           "image": "emoji_ddim.png"},
}
CLASSES = {"ddim": diffusers.DDIMScheduler, "dpmpp_2m": diffusers.DPMSolverMultistepScheduler,
           "euler_ancestral": diffusers.EulerAncestralDiscreteScheduler}


def main():
    torch.set_num_threads(2)
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(MODEL, torch_dtype=torch.float32)
    image_pipe = diffusers.StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    config = pipe.scheduler.config
    for name, p in PARAMETERS.items():
        scheduler = CLASSES[p["sampler"]].from_config(config)
        common = dict(prompt=p["prompt"], negative_prompt=p.get("negative_prompt"), num_inference_steps=p["steps"],
                      guidance_scale=p["cfg"], generator=torch.Generator("cpu").manual_seed(p["seed"]))
        if "image" in p:
            image_pipe.scheduler = scheduler
            picture = image_pipe(image=Image.open(OUT / p["image"]), strength=p["strength"], **common).images[0]
        else:
            pipe.scheduler = scheduler
            picture = pipe(height=64, width=64, guidance_rescale=p.get("guidance_rescale", 0.0), **common).images[0]
        picture.save(OUT / f"{name}.png", optimize=True)
    golden = {"made_by": "scripts/make_golden/emoji_pictures.py", "torch": torch.__version__,
              "diffusers": diffusers.__version__, "least_psnr_db": 45, "pictures": PARAMETERS}
    (OUT / "emoji_pictures.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
