"""Arrays in and tensors out: whose memory, for how long, and what is refused."""
import ctypes
import gc
import importlib.util
import os
import pathlib
import weakref

import numpy as np
import pytest

import weft
from conftest import nodes

torch = pytest.importorskip("torch") if importlib.util.find_spec("torch") else None
needs_torch = pytest.mark.skipif(torch is None, reason="skipped: torch is not installed")


class Watched(np.ndarray):
    """An array that can be watched: numpy's own take no weak references to their memory's owner."""


def watched(array):
    return array.view(Watched)


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype, name", [
    (np.bool_, "bool"), (np.uint8, "u8"), (np.int8, "i8"), (np.int16, "i16"), (np.int32, "i32"), (np.int64, "i64"),
    (np.float16, "f16"), (np.float32, "f32"), (np.float64, "f64"),
])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (2, 3, 4), (1,) * 8])
def test_arrays_share_their_memory_both_ways(hand_on, dtype, name, shape):
    given = np.ones(shape, dtype)
    tensor = hand_on("tensor", given)
    assert (tensor.shape, tensor.dtype, tensor.type, tensor.attributes) == (shape, name, "tensor", {})
    back = tensor.numpy()
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, given)
    if given.size:
        assert address(back) == address(given)
    assert np.asarray(tensor).shape == shape


def test_views_keep_their_strides(hand_on):
    base = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for view in (base.T, base[:, ::2], base[1:, :, 1:3], np.broadcast_to(base[0], (5, 3, 4))):
        back = hand_on("tensor", view).numpy()
        assert address(back) == address(view)
        np.testing.assert_array_equal(back, view)


def test_read_only_arrays_are_taken_and_tensors_are_read_only(hand_on):
    given = np.ones(3)
    given.flags.writeable = False
    back = hand_on("tensor", given).numpy()
    assert address(back) == address(given)
    assert not hand_on("tensor", np.ones(3)).numpy().flags.writeable


@pytest.mark.parametrize("given, message", [
    (np.ones(3)[::-1], "numpy.ascontiguousarray"),
    (np.ones(3, np.complex64), "element type"),
    (np.ones(3, np.uint16), "element type"),
    (np.ones((1,) * 9), "too many dimensions (expected at most 8, got 9)"),
])
def test_refuses_what_it_cannot_hold(hand_on, given, message):
    with pytest.raises(weft.InputError) as raised:
        hand_on("tensor", given)
    assert message in str(raised.value)


def test_bytes_like_objects_are_arrays_of_bytes(hand_on):
    given = memoryview(bytearray(b"abc"))
    tensor = hand_on("tensor", given)
    assert (tensor.shape, tensor.dtype) == ((3,), "u8")
    given[0] = ord("x")  # the same memory
    assert bytes(tensor.numpy()) == b"xbc"


def test_an_input_is_held_exactly_as_long_as_something_uses_it(hand_on):
    given = watched(np.ones(1000, np.float32))
    alive = weakref.ref(given)
    tensor = hand_on("tensor", given)
    back = tensor.numpy()
    del given
    gc.collect()
    assert alive() is not None
    del tensor
    assert alive() is not None, "numpy still has it"
    del back
    gc.collect()
    assert alive() is None


def test_an_input_that_nothing_returns_is_let_go_of(session):
    pipeline = {"weft": 1, "name": "drop", "inputs": {"x": {"type": "tensor"}}, "outputs": {"y": "a.y"},
                "nodes": {"a": {"uses": "test.total", "in": {"t": "inputs.x"}}}}
    given = watched(np.full(1000, 0.5, np.float32))
    alive = weakref.ref(given)
    result = session.run(pipeline, {"x": given})
    assert result["y"] == 500.0
    assert result.copied_bytes == 0
    del given
    gc.collect()
    assert alive() is None


def test_an_input_of_a_run_that_is_refused_is_let_go_of(session):
    given = watched(np.ones(10))
    alive = weakref.ref(given)
    pipeline = {"weft": 1, "name": "drop", "inputs": {"x": {"type": "tensor"}, "n": {"type": "int"}}, "nodes": {}, "outputs": {}}
    with pytest.raises(weft.InputError):
        session.run(pipeline, {"x": given, "n": "no number"})
    del given
    gc.collect()
    assert alive() is None


def test_an_output_outlives_result_and_session():
    from conftest import test_plugins
    own = weft.Session(threads=1, plugins=test_plugins())
    result = own.run(nodes({"t": "a.t"}, a={"uses": "test.tensor", "with": {"n": 100000}}))
    array = result["t"].numpy()
    expected = array.copy()
    del result, own
    gc.collect()
    np.testing.assert_array_equal(array, expected)


def test_an_output_goes_into_the_next_run_without_a_copy(session, hand_on):
    first = session.run(nodes({"t": "a.t"}, a={"uses": "test.tensor", "with": {"n": 8}}))["t"]
    assert address(hand_on("tensor", first).numpy()) == address(first.numpy())
    other = weft.Session(threads=1)
    pipeline = {"weft": 1, "name": "hand on", "inputs": {"x": {"type": "tensor"}}, "nodes": {}, "outputs": {"y": "inputs.x"}}
    again = other.run(pipeline, {"x": first})["y"]
    assert address(again.numpy()) == address(first.numpy())


def test_a_copy_is_writable_and_apart(hand_on):
    given = np.arange(6, dtype=np.int32).reshape(2, 3).T
    copy = np.from_dlpack(hand_on("tensor", given), copy=True)
    assert copy.flags.writeable
    copy[0, 0] = 99
    assert given[0, 0] == 0
    np.testing.assert_array_equal(copy.ravel()[1:], given.ravel()[1:])


def test_capsules(hand_on):
    """Who reads which kind is for the consumer to say; what nobody takes is given back."""
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    given = watched(np.ones(4))
    alive = weakref.ref(given)
    tensor = hand_on("tensor", given)
    assert tensor.__dlpack_device__() == (1, 0)
    assert name_of(tensor.__dlpack__()) == b"dltensor"
    assert name_of(tensor.__dlpack__(max_version=(0, 8))) == b"dltensor"
    assert name_of(tensor.__dlpack__(max_version=(1, 1))) == b"dltensor_versioned"
    assert name_of(tensor.__dlpack__(dl_device=(1, 0), copy=False)) == b"dltensor"
    with pytest.raises(BufferError, match="another device"):
        tensor.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError, match="no stream"):
        tensor.__dlpack__(stream=1)
    del tensor, given
    gc.collect()
    assert alive() is None


class DLTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device", ctypes.c_int32 * 2), ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8),
                ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]


class Unversioned(ctypes.Structure):
    _fields_ = [("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class Versioned(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32 * 2), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
                ("flags", ctypes.c_uint64), ("tensor", DLTensor)]


class OnDevice:
    """An array [3] of f32 of another library on simt:0, whose memory nobody here touches."""

    def __init__(self, knows_versions):
        self.streams, self.deleted, self.knows_versions = [], 0, knows_versions
        self.deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.delete)
        self.shape = (ctypes.c_int64 * 1)(3)
        tensor = DLTensor(4096, (12, 0), 1, 2, 32, 1, self.shape, None, 0)
        deleter = ctypes.cast(self.deleter, ctypes.c_void_p)
        self.managed = Versioned((1, 0), None, deleter, 0, tensor) if knows_versions else Unversioned(tensor, None, deleter)

    def delete(self, _):
        self.deleted += 1

    def __dlpack_device__(self):
        return 12, 0

    def __dlpack__(self, *, stream, **options):
        if options and not self.knows_versions:
            raise TypeError("unexpected keyword")
        self.streams.append(stream)
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.managed), b"dltensor_versioned" if self.knows_versions else b"dltensor", None)


@pytest.mark.parametrize("knows_versions", [True, False])
def test_streams_are_handed_over_with_arrays_on_a_device(monkeypatch, knows_versions):
    libraries = pathlib.Path(os.environ["WEFT_BUILD_DIR"], "lib")
    if not (libraries / "libweft_simt.so").exists():
        pytest.skip("skipped: simt:0 is not built")
    monkeypatch.setenv("WEFT_DEVICE_LIBRARIES", str(libraries))
    given = OnDevice(knows_versions)
    own = weft.Session(threads=1)
    pipeline = {"weft": 1, "name": "hand on", "inputs": {"x": {"type": "tensor"}}, "nodes": {}, "outputs": {"y": "inputs.x"}}
    with pytest.raises(weft.Error, match="becomes a tensor within a run"):
        weft.Tensor(given)
    tensor = own.run(pipeline, {"x": given})["y"]
    [stream] = given.streams  # one of Weft's, which the other library makes wait
    assert stream > 2
    assert (tensor.shape, tensor.dtype, tensor.__dlpack_device__()) == ((3,), "f32", (12, 0))
    for options, why in (({}, "no default stream"), ({"stream": 0}, "handle"), ({"stream": 4096}, "no stream of the device"),
                         ({"stream": stream, "copy": True}, "copies no tensor"), ({"stream": -1, "dl_device": (1, 0)}, "another device")):
        with pytest.raises(BufferError, match=why):
            tensor.__dlpack__(**options)
    capsule, waiting = tensor.__dlpack__(stream=-1), tensor.__dlpack__(stream=stream, max_version=(1, 1))
    del tensor, capsule
    gc.collect()
    assert given.deleted == 0
    del waiting, own
    gc.collect()
    assert given.deleted == 1


@pytest.mark.parametrize("shape, expected", [((4, 6), (1, 4, 6, 1)), ((4, 6, 3), (1, 4, 6, 3)), ((2, 4, 6, 3), (2, 4, 6, 3))])
def test_one_picture_is_a_batch_of_one(hand_on, shape, expected):
    given = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    tensor = hand_on("image", given)
    assert (tensor.shape, tensor.type) == (expected, "image")
    assert address(tensor.numpy()) == address(given)
    np.testing.assert_array_equal(tensor.numpy().reshape(shape), given)


def test_attributes_travel_with_a_tensor(hand_on):
    tensor = weft.Tensor(np.zeros((2, 2, 3), np.float32), type="image", attributes={"color_space": "linear"})
    assert repr(tensor) == "weft.Tensor((1, 2, 2, 3), f32, 'image')"
    assert hand_on("image", tensor).attributes == {"color_space": "linear"}
    assert hand_on("any", tensor).type == "image"


def test_pictures_go_through_nodes():
    pipeline = {"weft": 1, "name": "half", "inputs": {"x": {"type": "image"}}, "outputs": {"y": "small.image"},
                "nodes": {"small": {"uses": "image.resize", "in": {"image": "inputs.x"}, "with": {"width": 2, "height": 2}}}}
    small = weft.run(pipeline, {"x": np.full((4, 4, 3), 200, np.uint8)})["y"]
    assert small.shape == (1, 2, 2, 3)
    np.testing.assert_array_equal(small.numpy(), 200)


@needs_torch
def test_torch_tensors_share_their_memory_both_ways(hand_on):
    for dtype, name in ((torch.float32, "f32"), (torch.bfloat16, "bf16"), (torch.bool, "bool")):
        given = torch.ones(2, 3, dtype=dtype)
        tensor = hand_on("tensor", given)
        assert tensor.dtype == name
        back = torch.from_dlpack(tensor)
        assert back.data_ptr() == given.data_ptr()
        assert back.dtype == dtype
