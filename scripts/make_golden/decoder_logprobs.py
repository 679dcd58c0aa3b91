#!/usr/bin/env python3
"""Writes the log-probability of each token of a mixed text under a real GGUF model, dequantised to float32.

usage: decoder_logprobs.py MODEL.gguf OUTPUT.safetensors      (text: assets/golden/decoder/mixed_text.txt)
needs: torch, transformers, safetensors, gguf (made with torch 2.15, transformers 5.23); not needed to run the tests.

Output: tokens [n] i32 (as the model's own tokenizer gives them, with its beginning-of-text token if it adds one);
logprobs [n - 1] f32, natural logarithms, of token i + 1 given tokens 0 to i.
"""
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

torch.set_num_threads(2)
torch.set_grad_enabled(False)
folder, name = os.path.split(os.path.abspath(sys.argv[1]))
with open("assets/golden/decoder/mixed_text.txt", encoding="utf-8") as f:
    text = f.read()
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
tokens = tokenizer(text, return_tensors="pt", add_special_tokens=True).input_ids
logprobs = torch.log_softmax(model(tokens).logits[0, :-1].float(), -1).gather(-1, tokens[0, 1:, None])[:, 0]
save_file({"tokens": tokens[0].int().contiguous(), "logprobs": logprobs.contiguous()}, sys.argv[2])
print(f"{tokens.shape[1]} tokens, mean log-probability {logprobs.mean():.4f}")
