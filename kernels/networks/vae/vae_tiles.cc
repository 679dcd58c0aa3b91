// Both passes in tiles, without seams: what lies at the latents' resolution is computed for the whole image, what lies above it
// tile by tile. A tile reaches so far beyond its core that the core sees all that it would see in the whole image, and norms
// use the whole image's statistics (kernels/layers/tiled_norms.h).
#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "kernels/layers/tiled_norms.h"
#include "kernels/networks/vae/vae_pass.h"
#include "kernels/networks/vae/vae_walk.h"

namespace weft {
namespace {

// Of a group's mean, in standard deviations, and of its deviation. Where statistics are off by this much, pictures differ by
// a third of what two steps of 8 bits are, at most; README.md has measurements.
constexpr double kSettled = 5e-3;

// ---- where tiles lie, in latents -------------------------------------------------------------------------------------

struct Span {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

struct AxisTile {
  Span tile, core;
};

std::vector<AxisTile> cut_axis(int64_t extent, int64_t tile, int64_t halo) {
  if (extent <= tile) return {{{0, extent}, {0, extent}}};
  const auto fits = [&](int64_t n) { return (extent + n - 1) / n + (n == 2 ? halo : 2 * halo) <= tile; };
  int64_t n = 2;
  while (!fits(n)) ++n;
  std::vector<AxisTile> tiles;
  for (int64_t i = 0; i < n; ++i) {
    const Span core = {extent * i / n, extent * (i + 1) / n};
    tiles.push_back({{std::max<int64_t>(core.begin - halo, 0), std::min(core.end + halo, extent)}, core});
  }
  return tiles;
}

struct Tile {
  AxisTile rows, cols;
  TileCore core() const {
    return {.tile_rows = rows.tile.size(),
            .tile_cols = cols.tile.size(),
            .first_row = rows.core.begin - rows.tile.begin,
            .n_rows = rows.core.size(),
            .first_col = cols.core.begin - cols.tile.begin,
            .n_cols = cols.core.size()};
  }
};

std::vector<Tile> cut(int64_t height, int64_t width, int64_t tile, int64_t halo) {
  std::vector<Tile> tiles;
  const std::vector<AxisTile> columns = cut_axis(width, tile, halo);
  for (const AxisTile& rows : cut_axis(height, tile, halo))
    for (const AxisTile& cols : columns) tiles.push_back({rows, cols});
  return tiles;
}

// How far beyond a latent's pixels the convolutions above the latents see, in latents, rounded up.
int64_t decoder_halo(const VaeConfig& c) {
  const int64_t convolutions = 1 + 2 * (c.n_resnets + 1);  // of a level
  int64_t pixels = 1;                                      // conv_out
  for (size_t i = 1; i < c.channels.size(); ++i) pixels += convolutions << (c.channels.size() - 1 - i);
  return (pixels + c.factor() - 1) / c.factor();
}

int64_t encoder_halo(const VaeConfig& c) {
  int64_t pixels = 1;  // conv_in
  for (size_t i = 0; i + 1 < c.channels.size(); ++i) pixels += (1 + 2 * c.n_resnets) << i;
  return (pixels + c.factor() - 1) / c.factor();
}

// ---- copying between an image and its tiles --------------------------------------------------------------------------

// rows and cols of view [1, h, w, c], in units of `scale` pixels.
TensorView part(const TensorView& view, Span rows, Span cols, int64_t scale) {
  TensorView p = view;
  const int64_t offset = rows.begin * scale * view.strides[1] + cols.begin * scale * view.strides[2];
  if (view.data) p.data = view.as<std::byte>() + offset * size_bytes(view.dtype);
  p.shape[1] = rows.size() * scale;
  p.shape[2] = cols.size() * scale;
  return p;
}

Span relative(Span inner, Span outer) { return {inner.begin - outer.begin, inner.end - outer.begin}; }

TensorView take_like(LayerPass& pass, const TensorView& view) {
  return pass.take(view.dtype, {view.shape[0], view.shape[1], view.shape[2], view.shape[3]});
}

// ---- the passes ------------------------------------------------------------------------------------------------------

// Latents, moments and pictures are the host's; the field lies where the passes run.

void decode_field(const Vae::State& state, LayerPass& pass, const TensorView& latents,
                  const TensorView& field) {
  const TensorView in = pass.input(latents);
  const TensorView x = VaeWalk(state, pass).decode_latents(in);
  if (x.rank == 0) return;
  pass.copy(x, field);
  pass.give(x);
  pass.give_input(in);
}

void decode_tile(const Vae::State& state, LayerPass& pass, const Tile& tile, const TensorView& field,
                 const TensorView& picture) {
  const int64_t factor = state.config.factor();
  const TensorView from = part(field, tile.rows.tile, tile.cols.tile, 1);
  const TensorView pixels = take_like(pass, part(picture, tile.rows.tile, tile.cols.tile, factor));
  const TensorView x = take_like(pass, from);
  pass.copy_in(from, x);
  VaeWalk(state, pass).decode_pixels(x, pixels);
  pass.copy_result(part(pixels, relative(tile.rows.core, tile.rows.tile),
                        relative(tile.cols.core, tile.cols.tile), factor),
                   part(picture, tile.rows.core, tile.cols.core, factor));
  pass.give(pixels);
}

void encode_tile(const Vae::State& state, LayerPass& pass, const Tile& tile, const TensorView& picture,
                 const TensorView& field) {
  const TensorView from = part(picture, tile.rows.tile, tile.cols.tile, state.config.factor());
  const TensorView pixels = take_like(pass, from);
  const AdjacentRows rows = adjacent_rows(from);
  pass.fill_rows(
      TensorView::contiguous(pixels.data, pixels.dtype, {from.shape[1], from.shape[2], from.shape[3]}),
      [&](int64_t row, float* to) {
        std::memcpy(to, from.as<std::byte>() + row * rows.stride_bytes, static_cast<size_t>(rows.size_bytes));
      });
  const TensorView x = VaeWalk(state, pass).encode_pixels(pixels);
  pass.give(pixels);
  if (x.rank == 0) return;
  pass.copy_out(
      part(x, relative(tile.rows.core, tile.rows.tile), relative(tile.cols.core, tile.cols.tile), 1),
      part(field, tile.rows.core, tile.cols.core, 1));
  pass.give(x);
}

void encode_field(const Vae::State& state, LayerPass& pass, const TensorView& field,
                  const TensorView& moments) {
  const TensorView out = pass.result(moments);
  const TensorView x = take_like(pass, field);
  pass.copy(field, x);
  VaeWalk(state, pass).encode_latents(x, out);
  pass.give_result(out, moments);
}

using Walk = std::function<void(LayerPass&)>;
// Runs a pass, by a team or on a device. numbers: what decides its work there.
using RunPass = std::function<Status(std::vector<int64_t> numbers, const Walk& walk)>;

// Sweeps over all tiles until the norms' statistics have settled; exact after as many sweeps as there are norms.
Status sweep(const std::vector<Tile>& tiles, const VaeExtent& e, const RunPass& run,
             const std::function<void(LayerPass&, const Tile&)>& walk) {
  TiledNorms norms;
  for (int64_t n = 0; n == 0 || (n <= norms.n_norms() && norms.change() > kSettled); ++n) {
    norms.begin_sweep();
    for (const Tile& tile : tiles) {
      norms.begin_tile(tile.core());
      std::vector<int64_t> numbers = {e.height, e.width, norms.knows_the_image() ? 1 : 0};
      // Where a tile lies does not matter: tiles of one shape are one graph.
      for (const AxisTile& axis : {tile.rows, tile.cols})
        numbers.insert(numbers.end(),
                       {axis.tile.size(), axis.core.begin - axis.tile.begin, axis.core.size()});
      Status done = run(std::move(numbers), [&](LayerPass& pass) {
        pass.set_tiled_norms(&norms);
        walk(pass, tile);
      });
      if (!done.ok()) return done;
      norms.end_tile();
    }
    if (tiles.size() == 1) break;
  }
  return Status();
}

// The whole of one way. field: where the passes run.
Status decode_in_tiles(const Vae::State& s, const TensorView& latents, const TensorView& picture,
                       int64_t tile, const TensorView& field, const RunPass& run) {
  const VaeExtent e = {1, latents.shape[1], latents.shape[2]};
  Status done = run({e.height, e.width}, [&](LayerPass& pass) { decode_field(s, pass, latents, field); });
  if (!done.ok()) return done;
  return sweep(cut(e.height, e.width, tile, decoder_halo(s.config)), e, run,
               [&](LayerPass& pass, const Tile& t) { decode_tile(s, pass, t, field, picture); });
}

Status encode_in_tiles(const Vae::State& s, const TensorView& picture, const TensorView& moments,
                       int64_t tile, const TensorView& field, const RunPass& run) {
  const VaeExtent e = {1, moments.shape[1], moments.shape[2]};
  Status done = sweep(cut(e.height, e.width, tile, encoder_halo(s.config)), e, run,
                      [&](LayerPass& pass, const Tile& t) { encode_tile(s, pass, t, picture, field); });
  if (!done.ok()) return done;
  return run({e.height, e.width}, [&](LayerPass& pass) { encode_field(s, pass, field, moments); });
}

RunPass by_team(std::byte* workspace, Executor executor, const StopRequest& stop, LayerTimes* times) {
  return [=](const std::vector<int64_t>&, const Walk& walk) {
    return run_pass(workspace, executor, stop, times, walk);
  };
}

RunPass on_device(DevicePasses& passes, const Vae::State& s, std::string_view whose,
                  std::span<std::byte> workspace, const StopRequest& stop) {
  return [=, &passes, &s](std::vector<int64_t> numbers, const Walk& walk) {
    return passes.run(s.weights.pass_shape(whose, std::move(numbers)), workspace, stop, walk);
  };
}

// ---- memory ----------------------------------------------------------------------------------------------------------

// Of a pass, where it runs.
using Measure = std::function<int64_t(const Walk&)>;

Measure of_team(uint32_t n_threads) {
  return [n_threads](const Walk& walk) { return LayerPass::measure(n_threads, walk); };
}

int64_t of_device(const Walk& walk) { return LayerPass::measure_on_device(walk).workspace_bytes; }

// The largest pass over any tile, and over one of full size: a smaller image than measured may have such.
int64_t measure_tiles(std::vector<Tile> tiles, VaeExtent most, const Measure& measure,
                      const std::function<void(LayerPass&, const Tile&)>& walk) {
  const AxisTile rows = {{0, most.height}, {0, most.height}}, cols = {{0, most.width}, {0, most.width}};
  tiles.push_back({rows, cols});
  std::vector<std::pair<int64_t, int64_t>> measured;
  int64_t bytes = 0;
  for (const Tile& tile : tiles) {
    const std::pair extent(tile.rows.tile.size(), tile.cols.tile.size());
    if (std::ranges::find(measured, extent) != measured.end()) continue;
    measured.push_back(extent);
    TiledNorms norms;
    norms.begin_tile(tile.core());
    bytes = std::max(bytes, measure([&](LayerPass& pass) {
                       pass.set_tiled_norms(&norms);
                       walk(pass, tile);
                     }));
  }
  return bytes;
}

TensorView field_of(const Vae::State& state, int64_t height, int64_t width, int64_t channels) {
  return TensorView::contiguous(nullptr, state.stored, {1, height, width, channels});
}

TensorView decoder_field(const Vae::State& state, int64_t height, int64_t width) {
  return field_of(state, height, width, state.config.channels.back());
}

TensorView encoder_field(const Vae::State& state, int64_t height, int64_t width) {
  const std::vector<int64_t>& channels = state.config.channels;
  return field_of(state, height, width, channels[channels.size() > 1 ? channels.size() - 2 : 0]);
}

int64_t field_bytes(const TensorView& field) {
  return (field.count() * size_bytes(field.dtype) + 63) / 64 * 64;
}

int64_t encode_bytes(const Vae::State& s, int64_t height, int64_t width, int64_t tile,
                     const Measure& measure) {
  const VaeExtent e = {1, height, width};
  const TensorView field = encoder_field(s, height, width);
  const int64_t in_tiles = measure_tiles(
      cut(height, width, tile, encoder_halo(s.config)), {1, std::min(tile, height), std::min(tile, width)},
      measure,
      [&](LayerPass& pass, const Tile& t) { encode_tile(s, pass, t, pictures_of(e, s.config), field); });
  const int64_t whole = measure(
      [&](LayerPass& pass) { encode_field(s, pass, field, latents_of(e, 2 * s.config.latent_channels)); });
  return field_bytes(field) + std::max(in_tiles, whole);
}

int64_t decode_bytes(const Vae::State& s, int64_t height, int64_t width, int64_t tile,
                     const Measure& measure) {
  const VaeExtent e = {1, height, width};
  const TensorView field = decoder_field(s, height, width);
  const int64_t whole = measure(
      [&](LayerPass& pass) { decode_field(s, pass, latents_of(e, s.config.latent_channels), field); });
  const int64_t in_tiles = measure_tiles(
      cut(height, width, tile, decoder_halo(s.config)), {1, std::min(tile, height), std::min(tile, width)},
      measure,
      [&](LayerPass& pass, const Tile& t) { decode_tile(s, pass, t, field, pictures_of(e, s.config)); });
  return field_bytes(field) + std::max(in_tiles, whole);
}

// The field at the beginning of the workspace, and what is left for passes.
struct Divided {
  TensorView field;
  std::span<std::byte> rest;
};
Result<Divided> divide(std::span<std::byte> workspace, int64_t needed, std::string_view whose,
                       TensorView field) {
  if (Status fits = LayerPass::check_workspace(workspace, needed, whose); !fits.ok()) return fits;
  field.data = workspace.data();
  return Divided{field, workspace.subspan(static_cast<size_t>(field_bytes(field)))};
}

// ---- what the calls refuse -------------------------------------------------------------------------------------------

Status check_tile(const Vae& vae, int64_t images, int64_t tile) {
  if (images != 1)
    return Status(StatusCode::kInvalidShape, "tiles are of one image")
        .expected("1")
        .got(std::to_string(images));
  if (tile >= vae.least_tile()) return Status();
  return Status(StatusCode::kInvalidArgument, "tiles would be mostly overlap")
      .expected("at least " + std::to_string(vae.least_tile()) + " latents")
      .got(std::to_string(tile));
}

// What one of both ways has at the latents' end.
struct Way {
  const char* half;
  bool present;
  const char* what;
  int64_t channels;
};
Way encoding(const VaeConfig& c) { return {"encoder", c.has_encoder, "moments", 2 * c.latent_channels}; }
Way decoding(const VaeConfig& c) { return {"decoder", c.has_decoder, "latents", c.latent_channels}; }

// loaded: on the host or the device, as the call wants it.
Status check_call(const Vae& vae, const Way& way, bool loaded, const TensorView& latents,
                  const TensorView& picture, int64_t tile) {
  if (Status ready = check_half(loaded, way.present, way.half); !ready.ok()) return ready;
  const VaeExtent e = {latents.shape[0], latents.shape[1], latents.shape[2]};
  if (Status fits = check_view(latents, way.what, latents_of(e, way.channels)); !fits.ok()) return fits;
  if (Status fits = check_view(picture, "pictures", pictures_of(e, vae.config())); !fits.ok()) return fits;
  return check_tile(vae, e.images, tile);
}

}  // namespace

int64_t Vae::least_tile() const {
  return 4 * std::max(decoder_halo(state_->config), encoder_halo(state_->config));
}

int64_t Vae::tiled_encode_workspace_bytes(int64_t height, int64_t width, int64_t tile,
                                          uint32_t n_threads) const {
  return encode_bytes(*state_, height, width, tile, of_team(n_threads));
}
int64_t Vae::tiled_decode_workspace_bytes(int64_t height, int64_t width, int64_t tile,
                                          uint32_t n_threads) const {
  return decode_bytes(*state_, height, width, tile, of_team(n_threads));
}
int64_t Vae::device_tiled_encode_workspace_bytes(int64_t height, int64_t width, int64_t tile) const {
  return encode_bytes(*state_, height, width, tile, of_device);
}
int64_t Vae::device_tiled_decode_workspace_bytes(int64_t height, int64_t width, int64_t tile) const {
  return decode_bytes(*state_, height, width, tile, of_device);
}

Status Vae::encode_tiled(const TensorView& picture, const TensorView& moments, int64_t tile,
                         std::span<std::byte> workspace, Executor executor, const StopRequest& stop,
                         LayerTimes* times) const {
  const State& s = *state_;
  Status valid = check_call(*this, encoding(s.config), s.weights.on_host(), moments, picture, tile);
  if (!valid.ok()) return valid;
  const int64_t height = moments.shape[1], width = moments.shape[2];
  const int64_t needed = tiled_encode_workspace_bytes(height, width, tile, executor.max_threads());
  const Result<Divided> memory = divide(workspace, needed, "the VAE's", encoder_field(s, height, width));
  if (!memory.ok()) return memory.status();
  return encode_in_tiles(s, picture, moments, tile, memory->field,
                         by_team(memory->rest.data(), executor, stop, times));
}

Status Vae::decode_tiled(const TensorView& latents, const TensorView& picture, int64_t tile,
                         std::span<std::byte> workspace, Executor executor, const StopRequest& stop,
                         LayerTimes* times) const {
  const State& s = *state_;
  Status valid = check_call(*this, decoding(s.config), s.weights.on_host(), latents, picture, tile);
  if (!valid.ok()) return valid;
  const int64_t height = latents.shape[1], width = latents.shape[2];
  const int64_t needed = tiled_decode_workspace_bytes(height, width, tile, executor.max_threads());
  const Result<Divided> memory = divide(workspace, needed, "the VAE's", decoder_field(s, height, width));
  if (!memory.ok()) return memory.status();
  return decode_in_tiles(s, latents, picture, tile, memory->field,
                         by_team(memory->rest.data(), executor, stop, times));
}

Status Vae::encode_tiled_on(DevicePasses& passes, const TensorView& picture, const TensorView& moments,
                            int64_t tile, std::span<std::byte> workspace, const StopRequest& stop) const {
  const State& s = *state_;
  Status valid = check_call(*this, encoding(s.config), s.weights.on_device(), moments, picture, tile);
  if (!valid.ok()) return valid;
  constexpr const char* kWhose = "the VAE encoder's";
  const int64_t height = moments.shape[1], width = moments.shape[2];
  const Result<Divided> memory = divide(workspace, device_tiled_encode_workspace_bytes(height, width, tile),
                                        kWhose, encoder_field(s, height, width));
  if (!memory.ok()) return memory.status();
  return encode_in_tiles(s, picture, moments, tile, memory->field,
                         on_device(passes, s, kWhose, memory->rest, stop));
}

Status Vae::decode_tiled_on(DevicePasses& passes, const TensorView& latents, const TensorView& picture,
                            int64_t tile, std::span<std::byte> workspace, const StopRequest& stop) const {
  const State& s = *state_;
  Status valid = check_call(*this, decoding(s.config), s.weights.on_device(), latents, picture, tile);
  if (!valid.ok()) return valid;
  constexpr const char* kWhose = "the VAE decoder's";
  const int64_t height = latents.shape[1], width = latents.shape[2];
  const Result<Divided> memory = divide(workspace, device_tiled_decode_workspace_bytes(height, width, tile),
                                        kWhose, decoder_field(s, height, width));
  if (!memory.ok()) return memory.status();
  return decode_in_tiles(s, latents, picture, tile, memory->field,
                         on_device(passes, s, kWhose, memory->rest, stop));
}

}  // namespace weft
