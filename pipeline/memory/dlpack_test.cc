#include "pipeline/memory/dlpack.h"

#include <gtest/gtest.h>

#include <vector>

#include "pipeline/memory/tensor_layout.h"

namespace weft {
namespace {

TEST(Dlpack, ExportSharesMemoryAndKeepsItAlive) {
  CpuPool system;
  StatisticsPool pool(system);
  auto buffer = allocate_buffer(pool, 24, 0, nullptr, "t");
  const weft_tensor view = row_major(buffer->data(), WEFT_DTYPE_BF16, std::vector<int64_t>{2, 3});
  auto tensor = to_dlpack(*buffer, view);
  ASSERT_TRUE(tensor.ok());
  const DLTensor& dl = (*tensor)->dl_tensor;
  EXPECT_EQ((*tensor)->version.major, 1u);
  EXPECT_EQ((*tensor)->flags & kDlpackReadOnly, kDlpackReadOnly);
  EXPECT_EQ(dl.data, view.data);
  EXPECT_EQ(dl.dtype.code, 4);
  EXPECT_EQ(dl.dtype.bits, 16);
  ASSERT_NE(dl.strides, nullptr);
  EXPECT_EQ(dl.strides[0], 3);
  *buffer = Buffer();
  EXPECT_EQ(pool.statistics().live_bytes, 24u);
  (*tensor)->deleter(*tensor);
  EXPECT_EQ(pool.statistics().live_bytes, 0u);
}

/// A producer in another framework.
struct Foreign {
  float data[6] = {0, 1, 2, 3, 4, 5};
  int64_t shape[2] = {2, 3};
  int64_t strides[2] = {3, 1};
  int deleted = 0;
  DLManagedTensorVersioned tensor{};
  Foreign() {
    tensor.version = {1, 1};
    tensor.manager_ctx = this;
    tensor.deleter = [](DLManagedTensorVersioned* self) {
      ++static_cast<Foreign*>(self->manager_ctx)->deleted;
    };
    tensor.dl_tensor = {data, {1, 0}, 2, {2, 32, 1}, shape, nullptr, 0};
  }
};

TEST(Dlpack, ImportFillsStridesAndDeletesOnce) {
  Foreign foreign;
  {
    auto imported = from_dlpack(&foreign.tensor);
    ASSERT_TRUE(imported.ok());
    EXPECT_EQ(imported->view.data, foreign.data);
    EXPECT_EQ(imported->view.strides[0], 3);
    EXPECT_EQ(imported->buffer.size_bytes(), 24u);
    const Buffer second = imported->buffer;
    EXPECT_EQ(foreign.deleted, 0);
  }
  EXPECT_EQ(foreign.deleted, 1);
}

TEST(Dlpack, ImportHonoursTheByteOffset) {
  Foreign foreign;
  foreign.shape[0] = 1;
  foreign.tensor.dl_tensor.byte_offset = 12;
  auto imported = from_dlpack(&foreign.tensor);
  ASSERT_TRUE(imported.ok());
  EXPECT_EQ(*static_cast<float*>(imported->view.data), 3.0f);
}

TEST(Dlpack, RoundTripThroughBoth) {
  CpuPool pool;
  auto buffer = allocate_buffer(pool, 8 * 10, 0, nullptr, "t");
  weft_tensor view = row_major(buffer->data(), WEFT_DTYPE_F64, std::vector<int64_t>{5, 1});
  view.strides[0] = 2;
  auto imported = from_dlpack(*to_dlpack(*buffer, view));
  ASSERT_TRUE(imported.ok());
  EXPECT_EQ(imported->view.data, view.data);
  EXPECT_EQ(imported->view.strides[0], 2);
  EXPECT_EQ(imported->view.dtype, WEFT_DTYPE_F64);
}

struct Hostile {
  const char* name;
  StatusCode code;
  void (*change)(Foreign&);
};
class DlpackRefuses : public testing::TestWithParam<Hostile> {};
TEST_P(DlpackRefuses, AndDeletesTheTensor) {
  Foreign foreign;
  GetParam().change(foreign);
  EXPECT_EQ(from_dlpack(&foreign.tensor).code(), GetParam().code);
  EXPECT_EQ(foreign.deleted, 1);
}
INSTANTIATE_TEST_SUITE_P(
    Tensors, DlpackRefuses,
    testing::Values(
        Hostile{"Version", StatusCode::kVersionMismatch, [](Foreign& f) { f.tensor.version.major = 2; }},
        Hostile{"Device", StatusCode::kUnsupported,
                [](Foreign& f) { f.tensor.dl_tensor.device.device_type = 7; }},
        Hostile{"Lanes", StatusCode::kUnsupported, [](Foreign& f) { f.tensor.dl_tensor.dtype.lanes = 4; }},
        Hostile{"Complex", StatusCode::kUnsupported, [](Foreign& f) { f.tensor.dl_tensor.dtype.code = 5; }},
        Hostile{"Rank", StatusCode::kInvalidShape, [](Foreign& f) { f.tensor.dl_tensor.ndim = 9; }},
        Hostile{"Extent", StatusCode::kInvalidShape, [](Foreign& f) { f.shape[0] = -2; }},
        Hostile{"Overflow", StatusCode::kInvalidShape,
                [](Foreign& f) { f.shape[0] = f.shape[1] = int64_t{1} << 40; }},
        Hostile{"Stride", StatusCode::kInvalidShape,
                [](Foreign& f) {
                  f.strides[0] = -3;
                  f.tensor.dl_tensor.strides = f.strides;
                }},
        Hostile{"NoData", StatusCode::kInvalidArgument,
                [](Foreign& f) { f.tensor.dl_tensor.data = nullptr; }}),
    [](const auto& test) { return test.param.name; });

TEST(Dlpack, LayoutIsThatOfTheSpecification) {
  // DLPack 1.0 on a 64-bit machine, as dlpack.h lays it out.
  EXPECT_EQ(sizeof(DLTensor), 48u);
  EXPECT_EQ(offsetof(DLTensor, dtype), 20u);
  EXPECT_EQ(offsetof(DLTensor, byte_offset), 40u);
  EXPECT_EQ(offsetof(DLManagedTensorVersioned, flags), 24u);
  EXPECT_EQ(offsetof(DLManagedTensorVersioned, dl_tensor), 32u);
}

}  // namespace
}  // namespace weft
