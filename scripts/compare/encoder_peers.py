"""What scripts/compare/embeddings and scripts/compare/vision share: a network in ONNX Runtime, OpenVINO and PyTorch, each measured in a
process of its own, in turn with Weft."""
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ["onnxruntime-f32", "openvino-f32", "openvino-bf16", "torch-f32", "torch-bf16"]


def add_options(parser, peers, batch):
    parser.add_argument("--model")
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=peers)
    parser.add_argument("--onnx", help="the network as ONNX, written if it is not there; default: a temporary file")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--as-peer", choices=PEERS)


def peer_call(peer, onnx, network, feed, threads):
    """A function that runs the network once on `feed`, tensors by name in the order of its inputs, and the peer's version."""
    arrays = {name: tensor.numpy() for name, tensor in feed.items()}
    if peer.startswith("onnxruntime"):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, arrays), onnxruntime.__version__
    if peer.startswith("openvino"):
        import openvino
        core = openvino.Core()
        options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": peer.rpartition("-")[2], "PERFORMANCE_HINT": "LATENCY"}
        compiled = core.compile_model(core.read_model(onnx), "CPU", options)
        return lambda: compiled(arrays), openvino.__version__
    import torch
    torch.set_num_threads(threads)
    model = network()
    values = list(feed.values())
    if peer == "torch-bf16":
        model = model.to(torch.bfloat16)
        values = [value.to(torch.bfloat16) if value.is_floating_point() else value for value in values]

    def run():
        with torch.inference_mode():
            model(*values)
    return run, torch.__version__


def run_peer(arguments, network, feed, rate):
    """Prints the peer's rate and version."""
    call, version = peer_call(arguments.as_peer, arguments.onnx, network, feed, arguments.threads)
    call()
    seconds = []
    for _ in range(arguments.repetitions):
        start = time.monotonic()
        call()
        seconds.append(time.monotonic() - start)
    print(json.dumps({rate: arguments.batch / statistics.median(seconds), "version": version}))


def measure(command):
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"compare: {' '.join(map(str, command))}\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.strip().splitlines()[-1])


def compare(arguments, script, what, folder, onnx, shape, rate, work):
    """Interleaved rounds of `weft bench WHAT` and of the peers; prints medians and ratios. work: said in the first line."""
    shape = ["--batch", arguments.batch, *shape, "--threads", arguments.threads, "--repetitions", arguments.repetitions]
    weft = [ROOT / "build/cpu/bin/weft", "bench", what, "--model", folder, "--precision", arguments.precision, *shape, "--json"]
    rates, versions = {"weft": []}, {}
    for _ in range(arguments.rounds):
        report = measure(weft)
        rates["weft"].append(report[rate])
        versions["weft"] = report["isa"]
        for peer in arguments.peers:
            report = measure([sys.executable, script, "--as-peer", peer, "--model", folder, "--onnx", onnx, *shape])
            rates.setdefault(peer, []).append(report[rate])
            versions[peer] = report["version"]
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratios = {peer: medians["weft"] / medians[peer] for peer in arguments.peers}
    if arguments.json:
        print(json.dumps({"machine": platform.processor() or platform.machine(), "work": work, "threads": arguments.threads,
                          rate: rates, "versions": versions, "ratios": ratios}))
        return
    unit = rate.removesuffix("_per_s") + "/s"
    print(f"{work}, {arguments.threads} threads, medians of {arguments.rounds} rounds")
    print(f"  {'weft':18} {medians['weft']:8.2f} {unit}   {versions['weft']}")
    for peer in arguments.peers:
        print(f"  {peer:18} {medians[peer]:8.2f} {unit}   {versions[peer]:12} weft does {ratios[peer]:.2f} times as many")
