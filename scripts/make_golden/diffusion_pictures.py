#!/usr/bin/env python3
"""Paints with diffusers and the reduced random models of diffusion.py: what the image plugin's nodes have to give.

usage: diffusion_pictures.py [FOLDER]        (default: assets/golden/diffusion, after diffusion.py and diffusion_adapters.py)
needs: torch, diffusers, transformers, safetensors, pillow (made with torch 2.15, diffusers 0.42, transformers 5.24); not
needed to run the tests.

Adds to the models: tokenizers of 60 tokens (letters, six merges, two marks); sd15/unet_inpaint (nine channels), sd15/unet_lcm
(guidance embedding), sd15/controlnet and its weights under the original names, sd15/controlnet_dense (another one),
sd15/lora_second.safetensors, sd15/embedding.safetensors; sdxl/unet_refiner.
pictures/NAME.png are the pictures, pictures/pictures.json the pipelines they come from, in Weft's terms.
"""
import json
import os
import re
import shutil
import sys

import diffusers
import numpy
import torch
from diffusers import (AutoencoderKL, ControlNetModel, DDIMScheduler, EulerDiscreteScheduler, LCMScheduler, UNet2DConditionModel)
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from diffusion import ATTENDING, GROUPS, PLAIN, blocks, ldm_unet, randomize
from diffusion_adapters import UNET_LAYERS, layer_of, pair

LENGTH, HEIGHT, WIDTH = 12, 24, 32
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MERGES = [("r", "e"), ("re", "d</w>"), ("a", "p"), ("ap", "p"), ("l", "e</w>"), ("app", "le</w>")]
LONG = "red apple " * 6 + "tree"  # 17 tokens: two chunks
LEAST_PSNR = 45


# ---- what is added to the models ------------------------------------------------------------------------------------

def write_tokenizer(folder):
    os.makedirs(folder, exist_ok=True)
    tokens = list(LETTERS) + [c + "</w>" for c in LETTERS] + ["".join(m) for m in MERGES] + ["<|startoftext|>", "<|endoftext|>"]
    special = {k: "<|endoftext|>" for k in ("eos_token", "unk_token", "pad_token")} | {"bos_token": "<|startoftext|>"}
    files = {"vocab.json": json.dumps({t: i for i, t in enumerate(tokens)}),
             "merges.txt": "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in MERGES),
             "special_tokens_map.json": json.dumps(special),
             "tokenizer_config.json": json.dumps(dict(special, tokenizer_class="CLIPTokenizer", model_max_length=LENGTH,
                                                      do_lower_case=True))}
    for name, text in files.items():
        with open(f"{folder}/{name}", "w") as f:
            f.write(text)


def write_model(model, folder):
    shutil.rmtree(folder, ignore_errors=True)
    model.half().save_pretrained(folder, safe_serialization=True)
    model.float()


def make_unets(root):
    random = numpy.random.default_rng(31)
    small = dict(sample_size=16, out_channels=4, norm_num_groups=GROUPS, layers_per_block=1, attention_head_dim=4,
                 block_out_channels=(8, 12), cross_attention_dim=32)
    write_model(randomize(UNet2DConditionModel(in_channels=9, **small, **blocks(ATTENDING, PLAIN)), random), f"{root}/sd15/unet_inpaint")
    write_model(randomize(UNet2DConditionModel(in_channels=4, time_cond_proj_dim=16, **small, **blocks(ATTENDING, PLAIN)), random),
                f"{root}/sd15/unet_lcm")
    small["attention_head_dim"] = [2, 3]
    refiner = UNet2DConditionModel(in_channels=4, use_linear_projection=True, addition_embed_type="text_time",
                                   addition_time_embed_dim=8, projection_class_embeddings_input_dim=24 + 5 * 8, **small,
                                   **blocks(PLAIN, ATTENDING))
    write_model(randomize(refiner, random), f"{root}/sdxl/unet_refiner")


def original_control_names(weights, layers_per_block):
    """Of a control network, as the original implementation calls its tensors."""
    out = {}
    hints = 2 + sum(k.startswith("controlnet_cond_embedding.blocks") and k.endswith("weight") for k in weights)
    for k, v in weights.items():
        k = re.sub(r"^controlnet_down_blocks\.(\d+)\.", r"zero_convs.\1.0.", k)
        k = k.replace("controlnet_mid_block.", "middle_block_out.0.")
        k = k.replace("controlnet_cond_embedding.conv_in.", "input_hint_block.0.")
        k = k.replace("controlnet_cond_embedding.conv_out.", f"input_hint_block.{2 * (hints - 1)}.")
        k = re.sub(r"^controlnet_cond_embedding\.blocks\.(\d+)\.", lambda m: f"input_hint_block.{2 * (int(m[1]) + 1)}.", k)
        k = list(ldm_unet({k: v}, layers_per_block))[0].replace("model.diffusion_model.", "control_model.")
        out[k] = v
    return out


def make_controls(root):
    unet = UNet2DConditionModel.from_pretrained(f"{root}/sd15/unet").config
    random = numpy.random.default_rng(32)
    for name in ("controlnet", "controlnet_dense"):
        control = randomize(ControlNetModel(
            in_channels=4, down_block_types=unet.down_block_types, block_out_channels=unet.block_out_channels,
            layers_per_block=unet.layers_per_block, cross_attention_dim=unet.cross_attention_dim,
            attention_head_dim=unet.attention_head_dim, norm_num_groups=GROUPS,
            conditioning_embedding_out_channels=(4, 6)), random)
        write_model(control, f"{root}/sd15/{name}")
    weights = load_file(f"{root}/sd15/controlnet/diffusion_pytorch_model.safetensors")
    save_file(original_control_names(weights, unet.layers_per_block), f"{root}/sd15/controlnet_original.safetensors")


def make_second_lora(root):
    random = numpy.random.default_rng(33)
    unet = UNet2DConditionModel.from_pretrained(f"{root}/sd15/unet", torch_dtype=torch.float32)
    tensors = {}
    for name in UNET_LAYERS[:4]:
        down, up = pair(random, unet.get_submodule(name).weight)
        tensors.update({f"unet.{name}.lora_A.weight": down, f"unet.{name}.lora_B.weight": up})
    save_file(tensors, f"{root}/sd15/lora_second.safetensors")
    save_file({"emb_params": torch.from_numpy(0.5 * random.standard_normal((2, 32)).astype(numpy.float32))},
              f"{root}/sd15/embedding.safetensors")


def make_pictures(out):
    """A picture to start from, a mask, and two pictures for control networks."""
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    wave = numpy.stack([128 + 100 * numpy.sin(0.3 * x + c) * numpy.cos(0.2 * y - c) for c in range(3)], -1)
    Image.fromarray(wave.round().astype(numpy.uint8)).save(f"{out}/start.png")
    mask = ((x - 14) ** 2 + (y - 11) ** 2 < 64) * 255
    Image.fromarray(mask.astype(numpy.uint8)).save(f"{out}/mask.png")
    edges = (((x // 5 + y // 3) % 2) * 255).astype(numpy.uint8)
    Image.fromarray(numpy.repeat(edges[..., None], 3, -1)).save(f"{out}/edges.png")
    depth = numpy.stack([x * 8, y * 10, 255 - x * 7], -1).clip(0, 255).astype(numpy.uint8)
    Image.fromarray(depth).save(f"{out}/depth.png")


# ---- diffusers' side ------------------------------------------------------------------------------------------------

class Painter:
    def __init__(self, root, out):
        self.root, self.out, self.cases = root, out, {}

    def part(self, kind, path):
        return kind.from_pretrained(f"{self.root}/{path}", torch_dtype=torch.float32).eval()

    def text(self, path, kind=CLIPTextModel):
        encoder = kind.from_pretrained(f"{self.root}/{path}", dtype=torch.float32).eval()
        if not hasattr(encoder, "text_model"):  # newer transformers have no such level, which diffusers asks for
            object.__setattr__(encoder, "text_model", encoder)
        return encoder

    def scheduler(self, model, kind):
        with open(f"{self.root}/{model}/scheduler/scheduler_config.json") as f:
            return kind.from_config(json.load(f))

    def sd(self, pipeline=diffusers.StableDiffusionPipeline, model="sd15", unet="unet", scheduler=DDIMScheduler, **more):
        return pipeline(vae=self.part(AutoencoderKL, f"{model}/vae"), text_encoder=self.text(f"{model}/text_encoder"),
                        tokenizer=CLIPTokenizer.from_pretrained(f"{self.root}/{model}/tokenizer"),
                        unet=self.part(UNet2DConditionModel, f"{model}/{unet}"), scheduler=self.scheduler(model, scheduler),
                        safety_checker=None, feature_extractor=None, requires_safety_checker=False, **more)

    def xl(self, pipeline=diffusers.StableDiffusionXLPipeline, unet="unet", scheduler=EulerDiscreteScheduler, **more):
        first = {} if "text_encoder" in more else dict(text_encoder=self.text("sdxl/text_encoder"),
                                                       tokenizer=CLIPTokenizer.from_pretrained(f"{self.root}/sdxl/tokenizer"))
        return pipeline(vae=self.part(AutoencoderKL, "sdxl/vae"), **first, **more,
                        text_encoder_2=self.text("sdxl/text_encoder_2", CLIPTextModelWithProjection),
                        tokenizer_2=CLIPTokenizer.from_pretrained(f"{self.root}/sdxl/tokenizer_2"),
                        unet=self.part(UNet2DConditionModel, f"sdxl/{unet}"), scheduler=self.scheduler("sdxl", scheduler),
                        add_watermarker=False)

    def picture(self, name):
        return Image.open(f"{self.out}/{name}.png")

    def hidden(self, pipe, text, weights=None, clip_skip=0):
        """The hidden states of a text in chunks, each weighed as stable-diffusion-webui does."""
        ids = pipe.tokenizer(text, add_special_tokens=False).input_ids
        room = LENGTH - 2
        states = []
        for begin in range(0, max(1, len(ids)), room):
            chunk = ids[begin:begin + room]
            row = [58] + chunk + [59] * (LENGTH - 1 - len(chunk))
            states_of = pipe.text_encoder(torch.tensor([row]), output_hidden_states=True).hidden_states
            z = pipe.text_encoder.text_model.final_layer_norm(states_of[-(clip_skip + 1)])
            if weights is not None:
                w = torch.ones(LENGTH)
                w[1:1 + len(chunk)] = torch.tensor(weights[begin:begin + room])
                mean = z.mean()
                z = z * w[None, :, None]
                z = z * (mean / z.mean())
            states.append(z)
        return torch.cat(states, 1)

    def paint(self, name, pipe, node, case=None, seed=7, **call):
        """node: what image.generate gets for the same picture; case: what else the test needs to know."""
        pipe.set_progress_bar_config(disable=True)
        call = dict(num_inference_steps=node["steps"], guidance_scale=node["cfg"], **call)
        if "image" not in call or "mask_image" in call or "controlnet_conditioning_scale" in call:
            call.update(height=HEIGHT, width=WIDTH)
        if "prompt_embeds" not in call:
            call["prompt"] = node["prompt"]
        picture = pipe(generator=torch.Generator("cpu").manual_seed(seed), **call).images[0]
        picture.save(f"{self.out}/{name}.png", optimize=True)
        self.cases[name] = {**(case or {}), "with": dict(node, seed=seed, width=WIDTH, height=HEIGHT)}


def control_cases(p):
    both = [p.part(ControlNetModel, "sd15/controlnet"), p.part(ControlNetModel, "sd15/controlnet_dense")]
    options = {"control": [{"name": "edges", "path": "controlnet"}, {"name": "depth", "path": "controlnet_dense"}]}
    node = dict(prompt="red apple", steps=6, cfg=4.0, sampler="ddim")
    use = dict(network="edges", picture="edges", strength=0.8)
    p.paint("control_one", p.sd(diffusers.StableDiffusionControlNetPipeline, controlnet=both[0]), node,
            dict(model="sd15", options=options, control=[use]), image=p.picture("edges"), controlnet_conditioning_scale=0.8)
    uses = [dict(use, start=0.0, end=0.7), dict(network="depth", picture="depth", strength=1.2, start=0.3, end=1.0)]
    p.paint("control_two_in_turn", p.sd(diffusers.StableDiffusionControlNetPipeline, controlnet=both), node,
            dict(model="sd15", options=options, control=uses), image=[p.picture("edges"), p.picture("depth")],
            controlnet_conditioning_scale=[0.8, 1.2], control_guidance_start=[0.0, 0.3], control_guidance_end=[0.7, 1.0])


def inpaint_cases(p):
    node = dict(prompt="red apple", steps=8, cfg=4.0, sampler="ddim")
    pictures = dict(image=p.picture("start"), mask_image=p.picture("mask"))
    case = dict(model="sd15", image="start", mask="mask")
    for name, unet, strength in (("inpaint_by_mask", "unet", 0.7), ("inpaint_model", "unet_inpaint", 1.0),
                                 ("inpaint_model_partly", "unet_inpaint", 0.6)):
        p.paint(name, p.sd(diffusers.StableDiffusionInpaintPipeline, unet=unet), dict(node, strength=strength),
                dict(case, unet=unet), strength=strength, **pictures)
    p.paint("from_picture", p.sd(diffusers.StableDiffusionImg2ImgPipeline), dict(node, strength=0.6),
            dict(model="sd15", image="start"), strength=0.6, image=pictures["image"])


def model_cases(p):
    node = dict(prompt="red apple", steps=6, cfg=4.0)
    lcm = p.sd(diffusers.LatentConsistencyModelPipeline, unet="unet_lcm", scheduler=LCMScheduler)
    p.paint("lcm", lcm, dict(node, steps=4, sampler="lcm"), dict(model="sd15", unet="unet_lcm"))
    p.paint("velocity", p.sd(model="sd21"), dict(node, sampler="ddim", guidance_rescale=0.7), dict(model="sd21"), guidance_rescale=0.7)
    p.paint("xl_base", p.xl(), dict(node, sampler="euler"), dict(model="sdxl"))
    p.paint("xl_negative", p.xl(), dict(node, sampler="euler", negative_prompt="tree"), dict(model="sdxl"), negative_prompt="tree")


def refiner_cases(p):
    """The base's latents go on in the refiner, which starts from them with a third of the noise."""
    base, seed, node = p.xl(), 7, dict(prompt="red apple", steps=6, cfg=4.0, sampler="euler")
    latents = base(prompt=node["prompt"], num_inference_steps=6, guidance_scale=4.0, height=HEIGHT, width=WIDTH, output_type="latent",
                   generator=torch.Generator("cpu").manual_seed(seed)).images
    refiner = p.xl(diffusers.StableDiffusionXLImg2ImgPipeline, unet="unet_refiner", text_encoder=None, tokenizer=None,
                   requires_aesthetics_score=True, force_zeros_for_empty_prompt=False)
    p.paint("xl_refined", refiner, dict(node, steps=9, strength=0.34), dict(base=node | {"seed": seed}, model="sdxl", unet="unet_refiner"),
            seed=8, image=latents, strength=0.34)


def prompt_cases(p):
    node, case = dict(prompt="red apple", steps=6, cfg=4.0, sampler="ddim"), dict(model="sd15")
    # In both prompts, as everywhere but in diffusers' own clip_skip, which leaves the negative one alone.
    pipe = p.sd()
    p.paint("clip_skip", pipe, dict(node, clip_skip=1), case, prompt_embeds=p.hidden(pipe, node["prompt"], clip_skip=1),
            negative_prompt_embeds=p.hidden(pipe, "", clip_skip=1))
    pipe = p.sd()
    pipe.load_textual_inversion(load_file(f"{p.root}/sd15/embedding.safetensors")["emb_params"], token="<cat>")
    p.paint("embedding", pipe, dict(node, prompt="red <cat> apple"),
            dict(case, options={"embeddings": [{"name": "<cat>", "path": "embedding.safetensors"}]}))
    for name, notation, prompt, weights in (("weights_a1111", "a1111", "red (apple:1.4) [tree]", [1, 1.4] + [1 / 1.1] * 3),
                                            ("weights_novelai", "novelai", "red {{apple}} [tree]", [1, 1.05 ** 2] + [1 / 1.05] * 3)):
        pipe = p.sd()
        p.paint(name, pipe, dict(node, prompt=prompt, prompt_weights=notation), case,
                prompt_embeds=p.hidden(pipe, "red apple tree", weights), negative_prompt_embeds=p.hidden(pipe, ""))
    pipe = p.sd()
    empty = p.hidden(pipe, "")
    p.paint("long_prompt", pipe, dict(node, prompt=LONG), case, prompt_embeds=p.hidden(pipe, LONG),
            negative_prompt_embeds=torch.cat([empty, empty], 1))


def adapter_cases(p):
    pipe = p.sd()
    options = [{"path": "lora_diffusers.safetensors", "scale": 0.8, "text_scale": 0.5}, {"path": "lora_second.safetensors", "scale": -0.6}]
    for adapter in options:
        tensors = load_file(f"{p.root}/sd15/{adapter['path']}")
        for key in [k for k in tensors if k.endswith(".lora_A.weight")]:
            name = key[:-len(".lora_A.weight")]
            part, layer = name.split(".", 1)
            scale = adapter["scale"] if part == "unet" else adapter.get("text_scale", adapter["scale"])
            model = pipe.unet if part == "unet" else pipe.text_encoder
            weight = layer_of(model, layer.removeprefix("text_model.")).data
            down, up = tensors[key].double(), tensors[f"{name}.lora_B.weight"].double()
            delta = scale * up.reshape(up.shape[0], -1) @ down.reshape(down.shape[0], -1)
            weight.copy_((weight.double() + delta.reshape(weight.shape)).float())
    p.paint("two_adapters", pipe, dict(prompt="red apple", steps=6, cfg=4.0, sampler="ddim"), dict(model="sd15", options={"lora": options}))


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "assets/golden/diffusion"
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    out = f"{root}/pictures"
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    for folder in ("sd15/tokenizer", "sd21/tokenizer", "sdxl/tokenizer", "sdxl/tokenizer_2"):
        write_tokenizer(f"{root}/{folder}")
    make_unets(root)
    make_controls(root)
    make_second_lora(root)
    make_pictures(out)
    painter = Painter(root, out)
    for cases in (control_cases, inpaint_cases, model_cases, refiner_cases, prompt_cases, adapter_cases):
        cases(painter)
    with open(f"{out}/pictures.json", "w") as f:
        json.dump({"made_by": "scripts/make_golden/diffusion_pictures.py", "torch": torch.__version__,
                   "diffusers": diffusers.__version__, "least_psnr_db": LEAST_PSNR, "pictures": painter.cases}, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
