// The functions of language.h: each hands over to the worker whose fiber calls.

#include "kernels/simt/language.h"

#include <atomic>

#include "kernels/simt/worker.h"

namespace weft::simt {

uint3 thread_index() { return Worker::current()->thread().position; }
unsigned lane_index() { return Worker::current()->thread().index % 32; }
uint3 block_index() { return Worker::current()->block(); }
dim3 block_extent() { return Worker::current()->shape().block; }
dim3 grid_extent() { return Worker::current()->shape().grid; }

void* shared_variable(const void* key, size_t size, const char* name) {
  return Worker::current()->shared_variable(key, size, name);
}
void* dynamic_shared() { return Worker::current()->dynamic_shared(); }

int barrier(int predicate, Vote vote, Here here) { return Worker::current()->barrier(predicate, vote, here); }
void warp_barrier(uint32_t mask, Here here) { Worker::current()->warp_op(mask, WarpOp::kBarrier, {}, here); }
uint64_t shuffle(uint32_t mask, uint64_t value, int source_lane, Here here) {
  return Worker::current()->warp_op(mask, WarpOp::kShuffle, {.value = value, .source_lane = source_lane},
                                    here);
}
uint32_t ballot(uint32_t mask, bool predicate, Here here) {
  return static_cast<uint32_t>(Worker::current()->warp_op(mask, WarpOp::kBallot, {.value = predicate}, here));
}

float atomic_add(float* address, float value, Here here) {
  Worker::current()->access(here, address, sizeof *address, Use::kAtomic);
  return std::atomic_ref<float>(*address).fetch_add(value);
}
int atomic_add(int* address, int value, Here here) {
  Worker::current()->access(here, address, sizeof *address, Use::kAtomic);
  return std::atomic_ref<int>(*address).fetch_add(value);
}
unsigned atomic_add(unsigned* address, unsigned value, Here here) {
  Worker::current()->access(here, address, sizeof *address, Use::kAtomic);
  return std::atomic_ref<unsigned>(*address).fetch_add(value);
}
int atomic_max(int* address, int value, Here here) {
  Worker::current()->access(here, address, sizeof *address, Use::kAtomic);
  std::atomic_ref<int> cell(*address);
  int old = cell.load();
  while (old < value && !cell.compare_exchange_weak(old, value)) {
  }
  return old;
}
unsigned atomic_cas(unsigned* address, unsigned expected, unsigned desired, Here here) {
  Worker::current()->access(here, address, sizeof *address, Use::kAtomic);
  std::atomic_ref<unsigned>(*address).compare_exchange_strong(expected, desired);
  return expected;
}

void async_copy(void* shared, const void* global, int bytes, int source_bytes, Here here) {
  Worker::current()->async_copy({shared, global, bytes, source_bytes}, here);
}
void async_commit() { Worker::current()->async_commit(); }
void async_wait(int groups_left) { Worker::current()->async_wait(static_cast<size_t>(groups_left)); }

void load_matrix_x4(uint32_t (&out)[4], const void* row, bool transposed, Here here) {
  Worker& worker = *Worker::current();
  worker.access(here, row, 16, Use::kRead);
  worker.warp_op(0xffffffffu, transposed ? WarpOp::kLoadMatrixTransposed : WarpOp::kLoadMatrix,
                 {.out = out, .a = row}, here);
}
void mma_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], MmaInput input, Here here) {
  Worker::current()->warp_op(0xffffffffu, input == MmaInput::kBF16 ? WarpOp::kMmaBF16 : WarpOp::kMmaF16,
                             {.out = d, .a = a, .b = b}, here);
}
void mma_16832(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Here here) {
  Worker::current()->warp_op(0xffffffffu, WarpOp::kMmaS8, {.out = d, .a = a, .b = b}, here);
}

}  // namespace weft::simt
