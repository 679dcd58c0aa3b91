#!/usr/bin/env python3
"""Writes small ONNX models and what ONNX Runtime makes of them.

usage: onnx_models.py [OUTPUT_FOLDER]          (default: assets/golden/onnx)
needs: onnx, onnxruntime, numpy, ml_dtypes, safetensors (made with onnx 1.23.2, onnxruntime 1.32.0); not needed to run the tests.

Weights and inputs are drawn from seed 5 by numpy. expected.safetensors holds, for each model, its inputs under "MODEL.in.NAME" and
ONNX Runtime's outputs under "MODEL.out.NAME", on its CPU provider without graph optimisation; names are those of ports in pipelines.
Elements of bool and u8, which the tests' reader does not have, are stored as i8.
  mlp        f32 [batch, 4] -> two layers; outputs logits and hidden; its axis "batch" is open
  types      an input of each element type; each goes out as it is, and as f32
  half       f16 in and out, f16 weights
  picture    NCHW, pixels in, with names that no pipeline could hold ("pixels/1:0")
  external   mlp with its weights in external.bin
  gram       f32 [n, k] -> the softmax of the rows of x x^T, and their sums: what threads could add in different orders
  slow       150 products of [n, n], for cancelling; without weights and expectation
"""
import pathlib
import sys

import ml_dtypes
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

SEED = 5
OPSET = 17
IR_VERSION = 8
TYPES = {"bool": TensorProto.BOOL, "u8": TensorProto.UINT8, "i8": TensorProto.INT8, "i16": TensorProto.INT16, "i32": TensorProto.INT32,
         "i64": TensorProto.INT64, "f16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16, "f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE}


def model(name, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="make_golden")
    made.ir_version = IR_VERSION
    onnx.checker.check_model(made)
    return made


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def weight(random, name, *shape, dtype=numpy.float32):
    return numpy_helper.from_array((random.standard_normal(shape) / 2).astype(dtype), name)


def mlp(random, kind=TensorProto.FLOAT, dtype=numpy.float32):
    nodes = [helper.make_node("MatMul", ["x", "w1"], ["a"]), helper.make_node("Add", ["a", "b1"], ["s"]), helper.make_node("Relu", ["s"], ["hidden"]),
             helper.make_node("MatMul", ["hidden", "w2"], ["logits"])]
    weights = [weight(random, "w1", 4, 8, dtype=dtype), weight(random, "b1", 8, dtype=dtype), weight(random, "w2", 8, 3, dtype=dtype)]
    return model("mlp", nodes, [value("x", ["batch", 4], kind)], [value("logits", ["batch", 3], kind), value("hidden", ["batch", 8], kind)], weights)


def types():
    nodes, outputs = [], []
    for name in TYPES:
        nodes += [helper.make_node("Identity", [name], [name + "_out"]), helper.make_node("Cast", [name], [name + "_f32"], to=TensorProto.FLOAT)]
        outputs += [value(name + "_out", ["n"], TYPES[name]), value(name + "_f32", ["n"])]
    return model("types", nodes, [value(name, ["n"], kind) for name, kind in TYPES.items()], outputs)


def picture(random):
    nodes = [helper.make_node("Conv", ["pixels/1:0", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["r"]),
             helper.make_node("GlobalAveragePool", ["r"], ["p"]), helper.make_node("Flatten", ["p"], ["f"]), helper.make_node("Softmax", ["f"], ["probabilities:0"], axis=1)]
    return model("picture", nodes, [value("pixels/1:0", ["n", 3, "h", "w"])], [value("probabilities:0", ["n", 5])], [weight(random, "w", 5, 3, 3, 3)])


def gram():
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]), helper.make_node("MatMul", ["x", "t"], ["g"]),
             helper.make_node("Softmax", ["g"], ["rows"], axis=1), helper.make_node("ReduceSum", ["g", "axes"], ["sums"], keepdims=0)]
    return model("gram", nodes, [value("x", ["n", "k"])], [value("rows", ["n", "n"]), value("sums", ["n"])],
                 [numpy_helper.from_array(numpy.array([1], numpy.int64), "axes")])


def slow():
    nodes, last = [], "x"
    for i in range(150):
        nodes += [helper.make_node("MatMul", [last, "x"], [f"p{i}"]), helper.make_node("Softmax", [f"p{i}"], [f"s{i}"], axis=1)]
        last = f"s{i}"
    nodes.append(helper.make_node("Identity", [last], ["y"]))
    return model("slow", nodes, [value("x", ["n", "n"])], [value("y", ["n", "n"])])


def run(made, inputs, folder):
    """Outputs by name. bf16 goes in as ONNX Runtime's own value: numpy has no such type."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    path = folder / "m.onnx" if isinstance(made, onnx.ModelProto) else made
    if path != made:
        onnx.save(made, path)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    if path != made:
        path.unlink()
    names = [output.name for output in session.get_outputs()]
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(numpy.uint16), TensorProto.BFLOAT16) if array.dtype == ml_dtypes.bfloat16
              else onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in inputs.items()}
    kept = [name for name in names if name != "bf16_out"]  # what goes in
    return dict(zip(kept, [out.numpy() for out in session.run_with_ort_values(kept, values)]))


def stored(array):
    return numpy.ascontiguousarray(array.astype(numpy.int8) if array.dtype in (numpy.bool_, numpy.uint8) else array)


def port(name):
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in name)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(SEED)
    expected = {}

    def write(name, made, inputs):
        onnx.save(made, folder / f"{name}.onnx")
        for key, array in inputs.items():
            expected[f"{name}.in.{port(key)}"] = stored(array)
        for key, array in run(folder / f"{name}.onnx", inputs, folder).items():
            expected[f"{name}.out.{port(key)}"] = stored(array)

    x = random.standard_normal((5, 4)).astype(numpy.float32)
    dense = mlp(random)
    write("mlp", dense, {"x": x})
    numbers = numpy.array([0, 1, 2, 100, -3, -100, 7], numpy.float64)
    write("types", types(), {
        "bool": numbers > 1, "u8": numpy.abs(numbers).astype(numpy.uint8), "i8": numbers.astype(numpy.int8), "i16": (numbers * 300).astype(numpy.int16),
        "i32": (numbers * 7e6).astype(numpy.int32), "i64": (numbers * 1e4).astype(numpy.int64), "f16": (numbers / 3).astype(numpy.float16),
        "bf16": (numbers / 3).astype(ml_dtypes.bfloat16), "f32": (numbers / 7).astype(numpy.float32), "f64": numbers / 8})
    write("half", mlp(random, TensorProto.FLOAT16, numpy.float16), {"x": x.astype(numpy.float16)})
    write("picture", picture(random), {"pixels/1:0": random.random((2, 3, 6, 9)).astype(numpy.float32)})
    write("gram", gram(), {"x": random.standard_normal((97, 301)).astype(numpy.float32)})
    onnx.save(slow(), folder / "slow.onnx")
    # The data of external.onnx is beside it.
    (folder / "external.bin").unlink(missing_ok=True)
    onnx.save(dense, folder / "external.onnx", save_as_external_data=True, all_tensors_to_one_file=True, location="external.bin", size_threshold=0)
    save_file(expected, folder / "expected.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2] / "assets/golden/onnx")
