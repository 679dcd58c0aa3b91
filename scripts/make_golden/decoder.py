#!/usr/bin/env python3
"""Writes reduced random models of every decoder architecture with the logits that transformers computes from them.

usage: decoder.py [OUTPUT_FOLDER]          (default: assets/golden/decoder)
needs: torch, transformers, safetensors (made with torch 2.15, transformers 5.23); not needed to run the tests.

Each folder is a Hugging Face checkpoint (config.json, model.safetensors, f32) with expected.safetensors beside it:
tokens [n] i32, logits [n, vocabulary] f32 (eager attention, float32, CPU). Weights are drawn from seed 7 by numpy, with
spreads that make every switch of the architecture visible in the logits. llama/ also has an adapter in PEFT's format
and the logits with it (weights merged in float64).
"""
import json
import os
import sys

import numpy
import torch
import transformers
from safetensors.torch import save_file

SEED = 7
TOKENS = 40
SHAPE = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0, eos_token_id=1, pad_token_id=None)


def configurations():
    t = transformers
    llama3 = dict(rope_type="llama3", rope_theta=500.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=16)
    yarn = dict(rope_type="yarn", rope_theta=100.0, factor=4.0, original_max_position_embeddings=16)
    yield "llama", t.LlamaConfig(**SHAPE, rope_parameters=llama3)
    yield "llama_yarn", t.LlamaConfig(**SHAPE, rope_parameters=yarn, tie_word_embeddings=True)
    yield "llama_linear", t.LlamaConfig(
        **SHAPE, rope_parameters=dict(rope_type="linear", rope_theta=100.0, factor=2.0), tie_word_embeddings=True)
    yield "mistral", t.MistralConfig(**SHAPE, head_dim=12, sliding_window=9)
    yield "qwen2", t.Qwen2Config(**SHAPE)
    yield "qwen3", t.Qwen3Config(**SHAPE, head_dim=16)
    small = {**SHAPE, "num_hidden_layers": 6, "num_attention_heads": 2, "num_key_value_heads": 1,
             "intermediate_size": 32}
    yield "gemma3", t.Gemma3TextConfig(**small, head_dim=16, sliding_window=9, query_pre_attn_scalar=16)
    yield "gpt2", t.GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=64)
    falcon = dict(vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, bias=False,
                  max_position_embeddings=64)
    yield "falcon_first", t.FalconConfig(**falcon, new_decoder_architecture=False, multi_query=True, parallel_attn=True)
    yield "falcon_grouped", t.FalconConfig(**falcon, new_decoder_architecture=True, num_kv_heads=2)


def randomize(model, random):
    gemma = "Gemma" in type(model).__name__
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            drawn = torch.from_numpy(random.standard_normal(tuple(parameter.shape)).astype(numpy.float32))
            if parameter.dim() == 1:
                centre = 1.0 if name.endswith("weight") and not gemma else 0.0
                parameter.copy_(centre + 0.3 * drawn)
            elif "embed" in name or "wte" in name or "wpe" in name:
                parameter.copy_(0.5 * drawn)
            else:
                parameter.copy_(drawn * 1.2 / parameter.shape[-1] ** 0.5)


def logits_of(model, tokens):
    with torch.no_grad():
        return model(torch.tensor(tokens)[None].long(), use_cache=False).logits[0].float().contiguous()


def write_adapter(model, folder, tokens, random):
    rank, alpha = 3, 6.0
    tensors = {}
    for i, layer in enumerate(model.model.layers):
        for path in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                     "mlp.up_proj", "mlp.down_proj"]:
            weight = layer.get_submodule(path).weight
            a = torch.from_numpy(random.standard_normal((rank, weight.shape[1])).astype(numpy.float32)) * 0.2
            b = torch.from_numpy(random.standard_normal((weight.shape[0], rank)).astype(numpy.float32)) * 0.2
            name = f"base_model.model.model.layers.{i}.{path}"
            tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = a.contiguous(), b.contiguous()
            with torch.no_grad():
                weight.copy_((weight.double() + alpha / rank * b.double() @ a.double()).float())
    os.makedirs(f"{folder}/adapter", exist_ok=True)
    save_file(tensors, f"{folder}/adapter/adapter_model.safetensors")
    with open(f"{folder}/adapter/adapter_config.json", "w") as f:
        json.dump({"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "bias": "none", "use_dora": False}, f)
    save_file({"logits": logits_of(model, tokens)}, f"{folder}/adapter/expected.safetensors")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "assets/golden/decoder"
    torch.set_num_threads(1)
    for name, config in configurations():
        random = numpy.random.default_rng(SEED)
        config._attn_implementation = "eager"
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        model.config._attn_implementation = "eager"
        randomize(model, random)
        folder = f"{root}/{name}"
        model.save_pretrained(folder)
        generation = f"{folder}/generation_config.json"
        if os.path.exists(generation):
            os.remove(generation)
        tokens = random.integers(0, config.vocab_size, TOKENS).astype(numpy.int32)
        save_file({"tokens": torch.from_numpy(tokens), "logits": logits_of(model, tokens)},
                  f"{folder}/expected.safetensors")
        if name == "llama":
            write_adapter(model, folder, tokens, random)


if __name__ == "__main__":
    main()
