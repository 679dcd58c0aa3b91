#!/usr/bin/env python3
"""Writes adapters for the models of diffusion.py, with what diffusers and transformers compute with them.

usage: diffusion_adapters.py [FOLDER]        (default: assets/golden/diffusion, where diffusion.py has put its models)
needs: torch, diffusers, transformers, safetensors (made with torch 2.15, diffusers 0.42, transformers 5.23); not needed to
run the tests.

  sd15/lora_kohya.safetensors, lora_diffusers.safetensors   one low-rank adapter under both kinds of names
  sd15/lora_expected.safetensors                            noise and text with it, weights merged in float64
  sd21/controlnet                                           a control network, its residuals, and the UNet's noise with them
  taesd                                                     a tiny autoencoder, and its decoder under the original names
  sdxl/lora_original.safetensors, lora_diffusers.safetensors  another, in kohya's names over the original ones and in PEFT's
"""
import sys

import numpy
import torch
from diffusers import AutoencoderTiny, ControlNetModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

RANK, ALPHA = 2, 1.0
UNET_LAYERS = ["down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "down_blocks.0.attentions.0.proj_in",
               "down_blocks.0.resnets.0.conv1", "down_blocks.1.attentions.1.transformer_blocks.0.attn2.to_k",
               "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj", "up_blocks.2.resnets.0.conv_shortcut",
               "up_blocks.2.attentions.0.transformer_blocks.0.attn1.to_out.0", "down_blocks.0.downsamplers.0.conv"]
TEXT_LAYERS = ["encoder.layers.1.self_attn.v_proj", "encoder.layers.2.mlp.fc1"]
# Of sdxl, by its original names.
ORIGINAL = {"input_blocks_3_1_transformer_blocks_0_attn1_to_q": "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
            "input_blocks_2_0_op": "down_blocks.0.downsamplers.0.conv", "input_blocks_1_0_in_layers_2": "down_blocks.0.resnets.0.conv1",
            "middle_block_1_proj_in": "mid_block.attentions.0.proj_in", "middle_block_2_out_layers_3": "mid_block.resnets.1.conv2",
            "output_blocks_0_1_transformer_blocks_1_ff_net_0_proj": "up_blocks.0.attentions.0.transformer_blocks.1.ff.net.0.proj",
            "output_blocks_1_2_conv": "up_blocks.0.upsamplers.0.conv", "output_blocks_4_0_skip_connection": "up_blocks.2.resnets.0.conv_shortcut",
            "time_embed_0": "time_embedding.linear_1", "label_emb_0_0": "add_embedding.linear_1"}


def draw(random, *shape):
    return torch.from_numpy(random.standard_normal(shape).astype(numpy.float32)).half()


def pair(random, weight):
    down = draw(random, RANK, *weight.shape[1:]) * 0.5
    up = draw(random, weight.shape[0], RANK, *([1, 1] if weight.dim() == 4 else []))
    return down, up


def merge(weight, down, up):
    delta = ALPHA / RANK * up.double().reshape(weight.shape[0], RANK) @ down.double().reshape(RANK, -1)
    weight.copy_((weight.double() + delta.reshape(weight.shape)).float())


def layer_of(model, name):
    tower = model.text_model if name.startswith("encoder.") and hasattr(model, "text_model") else model
    return tower.get_submodule(name).weight


def make_sd15(folder):
    random = numpy.random.default_rng(21)
    unet = UNet2DConditionModel.from_pretrained(f"{folder}/unet", torch_dtype=torch.float32).eval()
    text = CLIPTextModel.from_pretrained(f"{folder}/text_encoder", dtype=torch.float32).eval()
    kohya, diffusers = {}, {}
    for model, layers, a, b in ((unet, UNET_LAYERS, "lora_unet_", "unet."),
                                (text, TEXT_LAYERS, "lora_te_text_model_", "text_encoder.text_model.")):
        for name in layers:
            weight = layer_of(model, name)
            down, up = pair(random, weight)
            merge(weight, down, up)
            k = a + name.replace(".", "_")
            kohya.update({f"{k}.lora_down.weight": down, f"{k}.lora_up.weight": up, f"{k}.alpha": torch.tensor(ALPHA)})
            # No alpha here: its half is in the matrix, exactly.
            diffusers.update({f"{b}{name}.lora_A.weight": down, f"{b}{name}.lora_B.weight": up * (ALPHA / RANK)})
    save_file(kohya, f"{folder}/lora_kohya.safetensors")
    save_file(diffusers, f"{folder}/lora_diffusers.safetensors")
    u, t = load_file(f"{folder}/unet/expected.safetensors"), load_file(f"{folder}/text_encoder/expected.safetensors")
    sample = u["sample"].permute(0, 3, 1, 2).contiguous()
    noise = unet(sample, u["timesteps"], u["context"]).sample.permute(0, 2, 3, 1).contiguous()
    save_file(dict(noise=noise, hidden=text(t["tokens"].long()).last_hidden_state.contiguous()), f"{folder}/lora_expected.safetensors")


def make_sdxl(folder):
    random = numpy.random.default_rng(22)
    weights = load_file(f"{folder}/unet/diffusion_pytorch_model.safetensors")
    original, diffusers = {}, {}
    for k, name in ORIGINAL.items():
        down, up = pair(random, weights[f"{name}.weight"])
        original.update({f"lora_unet_{k}.lora_down.weight": down, f"lora_unet_{k}.lora_up.weight": up})
        diffusers.update({f"base_model.model.{name}.lora_A.weight": down, f"base_model.model.{name}.lora_B.weight": up})
    save_file(original, f"{folder}/lora_original.safetensors")
    save_file(diffusers, f"{folder}/lora_diffusers.safetensors")


def nhwc(x):
    return x.permute(0, 2, 3, 1).contiguous()


def nchw(x):
    return x.permute(0, 3, 1, 2).contiguous()


def randomize(model, random):
    """As diffusion.py does, zero convolutions too."""
    for name, p in sorted(model.named_parameters()):
        drawn = torch.from_numpy(random.standard_normal(tuple(p.shape)).astype(numpy.float32))
        if p.dim() == 1:
            drawn = (1.0 if name.endswith("weight") else 0.0) + 0.2 * drawn
        else:
            drawn = drawn / float(p[0].numel()) ** 0.5
        p.copy_(drawn.half().float())
    return model.eval()


def save_part(model, folder, expected):
    model.half().save_pretrained(folder, safe_serialization=True)
    model.float()
    save_file({k: v.contiguous() for k, v in expected.items()}, f"{folder}/expected.safetensors")


def make_control(folder):
    random = numpy.random.default_rng(23)
    unet = UNet2DConditionModel.from_pretrained(f"{folder}/unet", torch_dtype=torch.float32).eval()
    c = unet.config
    control = randomize(ControlNetModel(
        in_channels=4, down_block_types=c.down_block_types, block_out_channels=c.block_out_channels, layers_per_block=1,
        cross_attention_dim=c.cross_attention_dim, attention_head_dim=c.attention_head_dim, norm_num_groups=c.norm_num_groups,
        use_linear_projection=True, conditioning_embedding_out_channels=(4, 6)), random)
    u = load_file(f"{folder}/unet/expected.safetensors")
    sample, strength = nchw(u["sample"]), 0.75
    picture = torch.from_numpy(random.random((2, 3, 24, 16)).astype(numpy.float32))
    down, mid = control(sample, u["timesteps"], u["context"], picture, conditioning_scale=strength, return_dict=False)
    noise = unet(sample, u["timesteps"], u["context"], down_block_additional_residuals=down,
                 mid_block_additional_residual=mid).sample
    expected = {f"residual_{i}": nhwc(r) for i, r in enumerate(down)}
    save_part(control, f"{folder}/controlnet", dict(picture=nhwc(picture), mid=nhwc(mid), noise=nhwc(noise), **expected))


def make_taesd(folder):
    random = numpy.random.default_rng(24)
    tiny = randomize(AutoencoderTiny(encoder_block_out_channels=(6, 6, 6), decoder_block_out_channels=(6, 6, 6),
                                     num_encoder_blocks=(1, 1, 2), num_decoder_blocks=(2, 1, 1)), random)
    pictures = torch.from_numpy(random.random((2, 3, 20, 12)).astype(numpy.float32)) * 2 - 1
    latents = torch.from_numpy(random.standard_normal((2, 4, 5, 3)).astype(numpy.float32))
    save_part(tiny, folder, dict(pictures=nhwc(pictures), encoded=nhwc(tiny.encode(pictures).latents), latents=nhwc(latents),
                                 decoded=nhwc(tiny.decode(latents).sample)))
    # The original decoder's names: a clamp stands in front of the layers.
    weights = load_file(f"{folder}/diffusion_pytorch_model.safetensors")
    parts = {k.removeprefix("decoder.layers."): v for k, v in weights.items() if k.startswith("decoder.layers.")}
    original = {f"{int(k.split('.')[0]) + 1}.{k.split('.', 1)[1]}": v for k, v in parts.items()}
    save_file(original, f"{folder}/taesd_decoder.safetensors")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "assets/golden/diffusion"
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    make_sd15(f"{root}/sd15")
    make_sdxl(f"{root}/sdxl")
    make_control(f"{root}/sd21")
    make_taesd(f"{root}/taesd")


if __name__ == "__main__":
    main()
