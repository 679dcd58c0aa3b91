#include "kernels/networks/vae/vae_pass.h"

namespace weft {

TensorView latents_of(const VaeExtent& e, int64_t channels) {
  return TensorView::contiguous(nullptr, DType::kF32, {e.images, e.height, e.width, channels});
}

TensorView pictures_of(const VaeExtent& e, const VaeConfig& c) {
  return TensorView::contiguous(nullptr, DType::kF32,
                                {e.images, e.height * c.factor(), e.width * c.factor(), c.image_channels});
}

Status check_half(bool loaded, bool present, const char* half) {
  if (!loaded) return Status(StatusCode::kInvalidArgument, "the VAE's weights are not loaded");
  if (!present) return Status(StatusCode::kUnsupported, std::string("this VAE has no ") + half);
  return Status();
}

Status check_view(const TensorView& view, const char* what, const TensorView& wanted) {
  bool fits = view.dtype == DType::kF32 && view.rank == wanted.rank;
  for (int i = 0; fits && i < view.rank; ++i)
    fits = view.shape[i] == wanted.shape[i] && view.strides[i] == wanted.strides[i] && view.shape[i] >= 1;
  if (!fits)
    return Status(StatusCode::kInvalidShape, std::string("the VAE's ") + what + " have another shape")
        .expected("contiguous f32 " + shape_text({wanted.shape, wanted.shape + wanted.rank}))
        .got(shape_text({view.shape, view.shape + view.rank}));
  if (!view.data) return Status(StatusCode::kInvalidArgument, std::string("the VAE's ") + what + " are null");
  return Status();
}

}  // namespace weft
