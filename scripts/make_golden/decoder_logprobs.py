#!/usr/bin/env python3
"""Writes the log-probability of each token of a mixed text under a real GGUF model, dequantised to float32.

usage: decoder_logprobs.py MODEL.gguf OUTPUT.safetensors [f16]      (text: assets/golden/decoder/mixed_text.txt)
needs: torch, transformers, safetensors, gguf (made with torch 2.15, transformers 5.23, those of f16 with 5.24); not
needed to run the tests.

With f16 the dequantised matrices are rounded to halves first, as a file of F16 weights would hold them; the vectors and
the computation stay float32.

Output: tokens [n] i32 (as the model's own tokenizer gives them, with its beginning-of-text token if it adds one);
logprobs [n - 1] f32, natural logarithms, of token i + 1 given tokens 0 to i.
"""
import hashlib
import os
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

torch.set_num_threads(2)
torch.set_grad_enabled(False)
folder, name = os.path.split(os.path.abspath(sys.argv[1]))
with open("assets/golden/decoder/mixed_text.txt", encoding="utf-8") as f:
    text = f.read()
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
weights = sys.argv[3] if len(sys.argv) > 3 else "f32"
if weights == "f16":
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.copy_(parameter.half().float())
tokens = tokenizer(text, return_tensors="pt", add_special_tokens=True).input_ids
logprobs = torch.log_softmax(model(tokens).logits[0, :-1].float(), -1).gather(-1, tokens[0, 1:, None])[:, 0]
with open(sys.argv[1], "rb") as f:
    provenance = {"made by": "scripts/make_golden/decoder_logprobs.py", "model": name, "weights": weights,
                  "model sha256": hashlib.file_digest(f, "sha256").hexdigest(), "torch": torch.__version__,
                  "transformers": transformers.__version__, "tolerance": "see the tests that read this"}
save_file({"tokens": tokens[0].int().contiguous(), "logprobs": logprobs.contiguous()}, sys.argv[2], provenance)
print(f"{tokens.shape[1]} tokens, mean log-probability {logprobs.mean():.4f}")
