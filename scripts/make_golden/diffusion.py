#!/usr/bin/env python3
"""Writes reduced random Stable Diffusion models with what diffusers and transformers compute from them.

usage: diffusion.py [OUTPUT_FOLDER]          (default: assets/golden/diffusion)
needs: torch, diffusers, transformers, safetensors (made with torch 2.15, diffusers 0.42, transformers 5.23); not needed to
run the tests.

Each model is a diffusers folder of f16 weights, drawn from seed 11 by numpy; every part has an expected.safetensors beside
its weights, computed in float32 from the rounded weights: images and latents are NHWC. ldm.safetensors holds the same
weights under the names of the original implementation; that diffusers' own converter turns them back is checked here.
  sd15     conv projections, 4 heads, CLIP text encoder (quick_gelu)
  sd21     linear projections, heads of 4, OpenCLIP-like text encoder (gelu, its last layer left out)
  sdxl     text_time embedding, two text encoders (the second pooled and projected), deeper transformers
  refiner  SDXL's: OpenCLIP's tower alone, five sizes, a score of beauty the last of them, plain blocks at both ends
  switches a UNet alone: nine input channels, class table, guidance embedding, only_cross_attention, odd extents
"""
import json
import os
import re
import shutil
import sys

import numpy
import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file

SEED = 11
GROUPS = 4


def draw(random, *shape):
    return torch.from_numpy(random.standard_normal(shape).astype(numpy.float32))


def randomize(model, random):
    """Draws weights, rounds them to f16, and keeps the rounded values in float32."""
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            drawn = draw(random, *p.shape)
            if p.dim() == 1:
                drawn = (1.0 if name.endswith("weight") else 0.0) + 0.2 * drawn
            elif "embedding" in name and "time" not in name and "add" not in name:
                drawn = 0.5 * drawn
            else:
                drawn = drawn / float(p[0].numel()) ** 0.5
            p.copy_(drawn.half().float())
    return model.eval()


def nhwc(x):
    return x.permute(0, 2, 3, 1).contiguous()


def save_part(model, folder, expected):
    model.half().save_pretrained(folder, safe_serialization=True)
    model.float()
    generation = f"{folder}/generation_config.json"
    if os.path.exists(generation):
        os.remove(generation)
    save_file({k: v.contiguous() for k, v in expected.items()}, f"{folder}/expected.safetensors")


def make_unet(folder, random, height=12, width=8, images=2, n_sizes=6, **config):
    shape = dict(sample_size=16, in_channels=4, out_channels=4, norm_num_groups=GROUPS, layers_per_block=1)
    unet = randomize(UNet2DConditionModel(**{**shape, **config}), random)
    c = unet.config
    sample = draw(random, images, c.in_channels, height, width)
    times = torch.tensor([999.0, 37.0][:images])
    context = draw(random, images, 7, c.cross_attention_dim)
    expected = dict(sample=nhwc(sample), timesteps=times, context=context)
    extra = {}
    if c.addition_embed_type == "text_time":
        pooled = draw(random, images, c.projection_class_embeddings_input_dim - n_sizes * c.addition_time_embed_dim)
        sizes = torch.tensor([[96, 64, 0, 8, 96, 64], [1024, 512, 3, 0, 96, 64]][:images], dtype=torch.float32)[:, :n_sizes]
        extra["added_cond_kwargs"] = dict(text_embeds=pooled, time_ids=sizes)
        expected.update(pooled=pooled, sizes=sizes)
    if c.num_class_embeds:
        labels = torch.tensor([3, 0][:images])
        extra["class_labels"] = labels
        expected["classes"] = labels.int()
    if c.time_cond_proj_dim:
        guidance = draw(random, images, c.time_cond_proj_dim)
        extra["timestep_cond"] = guidance
        expected["guidance"] = guidance
    with torch.no_grad():
        expected["noise"] = nhwc(unet(sample, times, context, **extra).sample)
    save_part(unet, folder, expected)
    return unet


def make_vae(folder, random, **config):
    shape = dict(in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 2,
                 up_block_types=("UpDecoderBlock2D",) * 2, block_out_channels=(8, 12), layers_per_block=1,
                 latent_channels=4, norm_num_groups=GROUPS, sample_size=32)
    vae = randomize(AutoencoderKL(**{**shape, **config}), random)
    pictures = draw(random, 2, 3, 20, 12).clamp(-1, 1)
    latents = draw(random, 2, 4, 10, 6)
    with torch.no_grad():
        moments = vae.encode(pictures).latent_dist.parameters
        decoded = vae.decode(latents).sample
    save_part(vae, folder, dict(pictures=nhwc(pictures), moments=nhwc(moments), latents=nhwc(latents), decoded=nhwc(decoded)))
    return vae


def make_text(folder, random, projected=False, **config):
    shape = dict(vocab_size=60, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
                 max_position_embeddings=12, hidden_act="quick_gelu", bos_token_id=58, eos_token_id=59, pad_token_id=59,
                 projection_dim=32)
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    c = transformers.CLIPTextConfig(**{**shape, **config})
    c._attn_implementation = "eager"
    model = randomize(kind(c).float(), random)
    tokens = torch.from_numpy(random.integers(0, 58, (2, 12)))
    tokens[:, 0] = 58
    tokens[0, 6:] = 59
    tokens[1, 11:] = 59
    with torch.no_grad():
        out = model(tokens, output_hidden_states=True)
        tower = model.text_model if hasattr(model, "text_model") else model
        skipped = tower.final_layer_norm(out.hidden_states[-2])
    expected = dict(tokens=tokens.int(), hidden=out.last_hidden_state, penultimate=out.hidden_states[-2],
                    skipped=skipped, pooled=out.text_embeds if projected else out.pooler_output)
    save_part(model, folder, expected)
    return model


# The names of the original implementation.

def ldm_unet(weights, layers_per_block):
    out = {}
    stride = layers_per_block + 1
    for k, v in weights.items():
        k = k.replace("time_embedding.linear_1", "time_embed.0").replace("time_embedding.linear_2", "time_embed.2")
        k = k.replace("add_embedding.linear_1", "label_emb.0.0").replace("add_embedding.linear_2", "label_emb.0.2")
        k = re.sub(r"^conv_in\.", "input_blocks.0.0.", k)
        k = re.sub(r"^conv_norm_out\.", "out.0.", k)
        k = re.sub(r"^conv_out\.", "out.2.", k)
        k = re.sub(r"^down_blocks\.(\d)\.(resnets|attentions)\.(\d)\.",
                   lambda m: f"input_blocks.{stride * int(m[1]) + int(m[3]) + 1}.{int(m[2] == 'attentions')}.", k)
        k = re.sub(r"^down_blocks\.(\d)\.downsamplers\.0\.conv\.", lambda m: f"input_blocks.{stride * (int(m[1]) + 1)}.0.op.", k)
        k = re.sub(r"^up_blocks\.(\d)\.(resnets|attentions)\.(\d)\.",
                   lambda m: f"output_blocks.{stride * int(m[1]) + int(m[3])}.{int(m[2] == 'attentions')}.", k)
        if ".upsamplers." in k:
            block = int(re.match(r"up_blocks\.(\d)", k)[1])
            place = 2 if any(n.startswith(f"up_blocks.{block}.attentions") for n in weights) else 1
            k = re.sub(r"^up_blocks\.\d\.upsamplers\.0\.", f"output_blocks.{stride * block + layers_per_block}.{place}.", k)
        k = k.replace("mid_block.attentions.0.", "middle_block.1.")
        k = re.sub(r"^mid_block\.resnets\.(\d)\.", lambda m: f"middle_block.{2 * int(m[1])}.", k)
        if "transformer_blocks" not in k:
            for a, b in (("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("norm2", "out_layers.0"),
                         ("conv2", "out_layers.3"), ("time_emb_proj", "emb_layers.1"), ("conv_shortcut", "skip_connection")):
                k = k.replace(f".{a}.", f".{b}.")
        out["model.diffusion_model." + k] = v
    return out


def ldm_vae(weights, levels):
    out = {}
    for k, v in weights.items():
        k = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)\.", r"down.\1.block.\2.", k)
        k = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)\.", lambda m: f"up.{levels - 1 - int(m[1])}.block.{m[2]}.", k)
        k = re.sub(r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample.", k)
        k = re.sub(r"up_blocks\.(\d)\.upsamplers\.0\.", lambda m: f"up.{levels - 1 - int(m[1])}.upsample.", k)
        attention = "attentions" in k
        k = k.replace("mid_block.attentions.0.", "mid.attn_1.")
        k = re.sub(r"mid_block\.resnets\.(\d)\.", lambda m: f"mid.block_{int(m[1]) + 1}.", k)
        k = k.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        if attention:
            for a, b in (("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")):
                k = k.replace(a, b)
            v = v[:, :, None, None] if v.dim() == 2 else v
        out["first_stage_model." + k] = v
    return out


def clip_names(weights):
    """With transformers' classic prefix, whichever version wrote them."""
    return {k if k.startswith("text_") else "text_model." + k: v for k, v in weights.items()}


def open_clip(weights, prefix, random, extra_layer):
    w = clip_names(weights)
    out = {}
    layers = 1 + max(int(m[1]) for m in (re.match(r"text_model\.encoder\.layers\.(\d+)", k) for k in w) if m)
    names = (("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"),
             ("self_attn.out_proj", "attn.out_proj"))
    for i in range(layers):
        a, b = f"text_model.encoder.layers.{i}.", f"{prefix}transformer.resblocks.{i}."
        for kind in ("weight", "bias"):
            for x, y in names:
                out[f"{b}{y}.{kind}"] = w[f"{a}{x}.{kind}"]
            out[f"{b}attn.in_proj_{kind}"] = torch.cat([w[f"{a}self_attn.{p}_proj.{kind}"] for p in "qkv"])
    if extra_layer:  # SD 2.x files hold a last layer that is not used
        for k in [k for k in out if f"resblocks.{layers - 1}." in k]:
            out[k.replace(f"resblocks.{layers - 1}.", f"resblocks.{layers}.")] = draw(random, *out[k].shape).half()
    for kind in ("weight", "bias"):
        out[f"{prefix}ln_final.{kind}"] = w[f"text_model.final_layer_norm.{kind}"]
    out[f"{prefix}token_embedding.weight"] = w["text_model.embeddings.token_embedding.weight"]
    out[f"{prefix}positional_embedding"] = w["text_model.embeddings.position_embedding.weight"]
    width = out[f"{prefix}positional_embedding"].shape[1]
    projection = w.get("text_projection.weight")
    out[f"{prefix}text_projection"] = projection.T if projection is not None else draw(random, width, width).half()
    out[f"{prefix}logit_scale"] = torch.tensor(4.6052)
    return out


def half(model):
    return {k: v.half() for k, v in model.state_dict().items() if v.is_floating_point()}


def check_conversion(ldm, unet, vae):
    """diffusers' converter gives the diffusers names back."""
    from diffusers.loaders import single_file_utils as s
    got = s.convert_ldm_unet_checkpoint(dict(ldm), dict(unet.config))
    assert {k: tuple(v.shape) for k, v in got.items()} == {k: tuple(v.shape) for k, v in unet.state_dict().items()}
    assert all(torch.equal(v.half(), unet.state_dict()[k].half()) for k, v in got.items())
    got = s.convert_ldm_vae_checkpoint(dict(ldm), dict(vae.config))
    assert all(torch.equal(v.half().squeeze(), vae.state_dict()[k].half().squeeze()) for k, v in got.items())
    assert set(got) == set(vae.state_dict())


def save_ldm(folder, tensors, unet, vae):
    check_conversion(tensors, unet, vae)
    # Buffers of the original implementation that no network reads.
    tensors["model_ema.decay"] = torch.tensor(0.9999)
    tensors["betas"] = torch.linspace(0.00085, 0.012, 10)
    save_file({k: v.contiguous() for k, v in tensors.items()}, f"{folder}/ldm.safetensors")


def index(folder, pipeline, **parts):
    with open(f"{folder}/model_index.json", "w") as f:
        json.dump({"_class_name": pipeline, "_diffusers_version": "0.42.0", **parts}, f, indent=1)
    os.makedirs(f"{folder}/scheduler", exist_ok=True)
    v = pipeline == "StableDiffusionPipeline" and folder.endswith("sd21")
    with open(f"{folder}/scheduler/scheduler_config.json", "w") as f:
        json.dump({"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                   "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1,
                   "prediction_type": "v_prediction" if v else "epsilon"}, f)


ATTENDING, PLAIN = ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D"), ("DownBlock2D", "UpBlock2D")


def blocks(*kinds):
    return dict(down_block_types=tuple(k[0] for k in kinds), up_block_types=tuple(k[1] for k in reversed(kinds)))


def make_sd15(root):
    random, folder = numpy.random.default_rng(SEED), f"{root}/sd15"
    text = make_text(f"{folder}/text_encoder", random)
    unet = make_unet(f"{folder}/unet", random, block_out_channels=(8, 12, 16), cross_attention_dim=32,
                     attention_head_dim=4, layers_per_block=2, **blocks(ATTENDING, ATTENDING, PLAIN))
    vae = make_vae(f"{folder}/vae", random)
    clip = {f"cond_stage_model.transformer.{k}": v for k, v in clip_names(half(text)).items()}
    clip["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(12)[None]
    save_ldm(folder, {**ldm_unet(half(unet), 2), **ldm_vae(half(vae), 2), **clip}, unet, vae)
    index(folder, "StableDiffusionPipeline", unet=["diffusers", "UNet2DConditionModel"], vae=["diffusers", "AutoencoderKL"],
          text_encoder=["transformers", "CLIPTextModel"], scheduler=["diffusers", "DDIMScheduler"])


def make_sd21(root):
    random, folder = numpy.random.default_rng(SEED + 1), f"{root}/sd21"
    text = make_text(f"{folder}/text_encoder", random, hidden_act="gelu", num_hidden_layers=2)
    unet = make_unet(f"{folder}/unet", random, block_out_channels=(8, 16), cross_attention_dim=32, attention_head_dim=[2, 4],
                     use_linear_projection=True, **blocks(ATTENDING, PLAIN))
    vae = make_vae(f"{folder}/vae", random)
    save_ldm(folder, {**ldm_unet(half(unet), 1), **ldm_vae(half(vae), 2),
                      **open_clip(half(text), "cond_stage_model.model.", random, True)}, unet, vae)
    index(folder, "StableDiffusionPipeline", unet=["diffusers", "UNet2DConditionModel"], vae=["diffusers", "AutoencoderKL"],
          text_encoder=["transformers", "CLIPTextModel"], scheduler=["diffusers", "DDIMScheduler"])


def make_sdxl(root):
    random, folder = numpy.random.default_rng(SEED + 2), f"{root}/sdxl"
    first = make_text(f"{folder}/text_encoder", random, hidden_size=16, intermediate_size=32, num_attention_heads=2, num_hidden_layers=2)
    second = make_text(f"{folder}/text_encoder_2", random, projected=True, hidden_act="gelu", projection_dim=24, eos_token_id=2)
    unet = make_unet(f"{folder}/unet", random, block_out_channels=(8, 12, 16), cross_attention_dim=48,
                     attention_head_dim=[2, 3, 4], transformer_layers_per_block=[1, 1, 2], use_linear_projection=True,
                     addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=24 + 48,
                     **blocks(PLAIN, ATTENDING, ATTENDING))
    vae = make_vae(f"{folder}/vae", random, scaling_factor=0.13025)
    clip = {f"conditioner.embedders.0.transformer.{k}": v for k, v in clip_names(half(first)).items()}
    save_ldm(folder, {**ldm_unet(half(unet), 1), **ldm_vae(half(vae), 2), **clip,
                      **open_clip(half(second), "conditioner.embedders.1.model.", random, False)}, unet, vae)
    index(folder, "StableDiffusionXLPipeline", unet=["diffusers", "UNet2DConditionModel"], vae=["diffusers", "AutoencoderKL"],
          text_encoder=["transformers", "CLIPTextModel"], text_encoder_2=["transformers", "CLIPTextModelWithProjection"],
          scheduler=["diffusers", "DDIMScheduler"], force_zeros_for_empty_prompt=True)


def make_refiner(root):
    random, folder = numpy.random.default_rng(SEED + 4), f"{root}/refiner"
    text = make_text(f"{folder}/text_encoder_2", random, projected=True, hidden_act="gelu", projection_dim=24, eos_token_id=2)
    unet = make_unet(f"{folder}/unet", random, n_sizes=5, block_out_channels=(8, 12, 16, 16), cross_attention_dim=32,
                     attention_head_dim=[2, 3, 4, 4], transformer_layers_per_block=[2, 2, 2, 2], use_linear_projection=True,
                     addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=24 + 40,
                     height=16, **blocks(PLAIN, ATTENDING, ATTENDING, PLAIN))
    vae = make_vae(f"{folder}/vae", random, scaling_factor=0.13025)
    save_ldm(folder, {**ldm_unet(half(unet), 1), **ldm_vae(half(vae), 2),
                      **open_clip(half(text), "conditioner.embedders.0.model.", random, False)}, unet, vae)
    index(folder, "StableDiffusionXLImg2ImgPipeline", unet=["diffusers", "UNet2DConditionModel"],
          vae=["diffusers", "AutoencoderKL"], text_encoder=[None, None],
          text_encoder_2=["transformers", "CLIPTextModelWithProjection"], scheduler=["diffusers", "DDIMScheduler"],
          requires_aesthetics_score=True)


def make_switches(root):
    random = numpy.random.default_rng(SEED + 3)
    make_unet(f"{root}/switches/unet", random, height=9, width=7, in_channels=9, block_out_channels=(8, 8), cross_attention_dim=12,
              attention_head_dim=2, num_class_embeds=5, time_cond_proj_dim=6, only_cross_attention=[True, False],
              flip_sin_to_cos=False, freq_shift=1, **blocks(ATTENDING, ATTENDING))


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "assets/golden/diffusion"
    torch.set_num_threads(1)
    for make in (make_sd15, make_sd21, make_sdxl, make_refiner, make_switches):
        shutil.rmtree(f"{root}/{make.__name__[5:]}", ignore_errors=True)
        make(root)


if __name__ == "__main__":
    main()
