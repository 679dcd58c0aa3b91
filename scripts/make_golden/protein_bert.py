#!/usr/bin/env python3
"""Writes what AntiBERTy's own code makes of sequences of antibodies.

usage: protein_bert.py [OUTPUT_FOLDER]     (default: assets/golden/antiberty)
needs: torch, transformers, tokenizers, safetensors, tqdm, and antiberty 0.1.3 on PYTHONPATH, the unpacked wheel (made with torch 2.15,
transformers 5.23); not needed to run the tests.

The package's runner calls the network with the real weights, in float32 on the CPU. sequences.txt has a sequence a line; of
number i expected.safetensors holds
  hidden.i   final hidden states of every eighth residue, from the first one on
  pooled.i   the mean over all residues
  seen.i     ln p of each residue among the 20, from one pass that sees all of them; NaN where the sequence has X or _
  masked.i   the same while the residue alone is hidden; of short sequences without X and _
The first are the variable regions of trastuzumab's heavy and light chain; the third begins a camel's; the others have residues that
are hidden or unknown, or one residue alone.
"""
import math
import os
import sys

import torch
import transformers
from antiberty import AntiBERTy, AntiBERTyRunner
from antiberty.AntiBERTyRunner import CHECKPOINT_PATH, VOCAB_FILE
from safetensors.torch import save_file

SEQUENCES = [
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS",
    "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK",
    "QVQLQESGGGLVQAGGSLRLSCAASGRTFSSYA",
    "EVQLV_SGGGLVQPGGSLRLSCXASGFNIK__YIHWVRQAPGKGLEWVAR",
    "W"]
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def load_runner():
    """The runner, by hand: from_pretrained() of today's transformers does not take this class."""
    AntiBERTy.init_weights = lambda self: None
    model = AntiBERTy(transformers.BertConfig.from_pretrained(CHECKPOINT_PATH, attn_implementation="eager"))
    state = torch.load(f"{CHECKPOINT_PATH}/pytorch_model.bin", map_location="cpu", weights_only=True)
    state.pop("bert.embeddings.position_ids", None)
    model.load_state_dict(state)
    runner = object.__new__(AntiBERTyRunner)
    runner.device, runner.model = torch.device("cpu"), model.eval()
    runner.tokenizer = transformers.BertTokenizer(vocab=VOCAB_FILE, do_lower_case=False)
    return runner


def log_probabilities(runner, spaced):
    """[residues, 20]"""
    tokens = runner.tokenizer(spaced, return_tensors="pt")
    with torch.no_grad():
        logits = runner.model(**{name: tokens[name] for name in ("input_ids", "attention_mask")}).prediction_logits[0, 1:-1]
    columns = runner.tokenizer.convert_tokens_to_ids(list(RESIDUES))
    return torch.log_softmax(logits[:, columns], dim=-1)


def spaced(letters):
    return " ".join("[MASK]" if letter == "_" else letter for letter in letters)


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "assets/golden/antiberty"
    os.makedirs(out, exist_ok=True)
    runner = load_runner()
    expected = {}
    for i, sequence in enumerate(SEQUENCES):
        hidden = runner.embed([sequence])[0][1:-1]
        expected[f"hidden.{i}"] = hidden[::8].contiguous()
        expected[f"pooled.{i}"] = hidden.mean(dim=0)
        table = log_probabilities(runner, spaced(sequence))
        expected[f"seen.{i}"] = torch.tensor([table[r, RESIDUES.index(c)] if c in RESIDUES else math.nan
                                              for r, c in enumerate(sequence)])
        if set(sequence) <= set(RESIDUES) and len(sequence) < 40:
            one_by_one = [log_probabilities(runner, spaced(sequence[:r] + "_" + sequence[r + 1:]))[r, RESIDUES.index(c)]
                          for r, c in enumerate(sequence)]
            expected[f"masked.{i}"] = torch.stack(one_by_one)
            whole = runner.pseudo_log_likelihood([sequence])[0]
            assert abs(float(whole - expected[f"masked.{i}"].mean())) < 1e-5, "the runner's own pseudo log-likelihood is another"
    with open(f"{out}/sequences.txt", "w", encoding="ascii") as file:
        file.write("\n".join(SEQUENCES) + "\n")
    save_file(expected, f"{out}/expected.safetensors")


if __name__ == "__main__":
    main()
