#!/usr/bin/env python3
"""Writes reduced random BERT encoders with what transformers computes from them.

usage: bert.py [OUTPUT_FOLDER]          (default: assets/golden/bert)
needs: torch, transformers, safetensors (made with torch 2.15, transformers 5.23); not needed to run the tests.

Each model is a Hugging Face folder of f16 weights, drawn from seed 17 by numpy; expected.safetensors beside them holds texts
of different lengths, one behind the other (starts: where each begins), with the hidden states of all tokens, computed in
float32 from the rounded weights, in one padded batch with an attention mask.
  bert     heads of 8, two types of tokens, gelu; saved as BertForMaskedLM: a prefix before the names, and a head, whose logits
           are there as "words"
  roberta  heads of 20, positions from 2, one type, gelu_new; the bare model
"""
import os
import shutil
import sys

import numpy
import torch
import transformers
from safetensors.torch import save_file

SEED = 17
LENGTHS = [12, 1, 5, 30, 2]


def randomize(model, random):
    """Draws weights, rounds them to f16, and keeps the rounded values in float32."""
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            drawn = torch.from_numpy(random.standard_normal(tuple(p.shape)).astype(numpy.float32))
            if p.dim() <= 1:
                drawn = (1.0 if name.endswith("weight") else 0.0) + 0.2 * drawn
            elif "embedding" in name:
                drawn = 0.5 * drawn
            else:
                drawn = drawn * 1.5 / float(p[0].numel()) ** 0.5
            p.copy_(drawn.half().float())
    return model.float().eval()


def make(folder, model, encoder, first_id, n_types):
    random = numpy.random.default_rng(SEED)
    randomize(model, random)
    longest = max(LENGTHS)
    padding = encoder.config.pad_token_id
    tokens = torch.full((len(LENGTHS), longest), padding, dtype=torch.long)
    mask = torch.zeros_like(tokens)
    types = torch.zeros_like(tokens)
    for row, length in enumerate(LENGTHS):
        tokens[row, :length] = torch.from_numpy(random.integers(first_id, encoder.config.vocab_size, length))
        types[row, :length] = torch.from_numpy(random.integers(0, n_types, length))
        mask[row, :length] = 1
    with torch.no_grad():
        hidden = encoder(input_ids=tokens, attention_mask=mask, token_type_ids=types).last_hidden_state
        words = model(input_ids=tokens, attention_mask=mask, token_type_ids=types).logits if model is not encoder else None
    kept = mask.bool()
    starts = torch.tensor([sum(LENGTHS[:i]) for i in range(len(LENGTHS) + 1)], dtype=torch.int32)
    shutil.rmtree(folder, ignore_errors=True)
    model.half().save_pretrained(folder, safe_serialization=True)
    generation = f"{folder}/generation_config.json"
    if os.path.exists(generation):
        os.remove(generation)
    expected = {"tokens": tokens[kept].int().contiguous(), "types": types[kept].int().contiguous(), "starts": starts,
                "hidden": hidden[kept].contiguous()}
    if words is not None:
        expected["words"] = words[kept].contiguous()
    save_file(expected, f"{folder}/expected.safetensors")


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "assets/golden/bert"
    bert = transformers.BertForMaskedLM(transformers.BertConfig(
        vocab_size=70, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=32, attn_implementation="eager"))
    make(f"{out}/bert", bert, bert.bert, 1, 2)
    roberta = transformers.RobertaModel(transformers.RobertaConfig(
        vocab_size=70, hidden_size=60, num_hidden_layers=2, num_attention_heads=3, intermediate_size=100,
        max_position_embeddings=34, type_vocab_size=1, hidden_act="gelu_new", layer_norm_eps=1e-5,
        attn_implementation="eager"))
    make(f"{out}/roberta", roberta, roberta, 3, 1)


if __name__ == "__main__":
    main()
