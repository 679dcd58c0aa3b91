#include "kernels/simt/driver/simt_driver.h"

#include <charconv>
#include <utility>

namespace weft {
namespace {

Status bad_option(std::string_view word) {
  return Status(StatusCode::kInvalidArgument, "WEFT_SIMT is not understood")
      .expected("words of memory=BYTES[KiB|MiB|GiB], delay=N, order=N, fail_allocation=N, fail_launch=N")
      .got(std::string(word));
}

Result<uint64_t> parse_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  const int shift = unit.empty() ? 0 : unit == "KiB" ? 10 : unit == "MiB" ? 20 : unit == "GiB" ? 30 : -1;
  if (error != std::errc() || shift < 0 || number > UINT64_MAX >> 30) return bad_option(text);
  return number << shift;
}

}  // namespace

Result<SimtDriverOptions> parse_simt_options(std::string_view text) {
  SimtDriverOptions options;
  options.host.name = "simt:0";
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word.empty()) continue;
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) return bad_option(word);
    const std::string_view key = word.substr(0, equals);
    const auto number = parse_number(word.substr(equals + 1));
    if (!number.ok()) return number.status();
    if (key == "memory") options.host.memory_bytes = *number;
    else if (key == "delay") options.host.delay_seed = static_cast<uint32_t>(*number);
    else if (key == "order") options.order = static_cast<int>(*number);
    else if (key == "fail_allocation") options.host.fail_allocation = *number;
    else if (key == "fail_launch") options.fail_launch = *number;
    else return bad_option(word);
  }
  return options;
}

Result<std::shared_ptr<SimtDriver>> SimtDriver::create(SimtDriverOptions options) {
  auto arena = HostArena::create(options.host.memory_bytes);
  if (!arena.ok()) return arena.status();
  return std::shared_ptr<SimtDriver>(new SimtDriver(std::move(options), *std::move(arena)));
}

SimtDriver::SimtDriver(SimtDriverOptions options, std::unique_ptr<HostArena> arena)
    : HostDriver(options.host, std::move(arena)), options_(std::move(options)) {
  facts_.description = "the CUDA kernels on the CPU, for tests";
}

NativeStream SimtDriver::make_handle(HostStream& stream) {
  simt::DeviceOptions options;
  options.order = options_.order;
  options.counting = simt::Counting::kOff;
  auto device = std::make_unique<simt::Device>(options);
  simt::Device* const made = device.get();
  made->set_queue([this, &stream, made](std::function<Status()> launch) {
    return enqueue_kernel(stream, [this, made, launch = std::move(launch)] { return run(*made, launch); });
  });
  const std::lock_guard lock(mutex_);
  devices_[made] = std::move(device);
  return made;
}

void SimtDriver::drop_handle(NativeStream handle) noexcept {
  const std::lock_guard lock(mutex_);
  devices_.erase(handle);
}

Status SimtDriver::run(simt::Device& device, const std::function<Status()>& launch) {
  if (++launches_ == options_.fail_launch)
    return Status(StatusCode::kInternal,
                  "launch " + std::to_string(options_.fail_launch) + " was to fail, by WEFT_SIMT")
        .at(options_.host.name);
  std::vector<simt::Memory> memory;
  for (Allocation& allocation : allocations())
    memory.push_back({std::move(allocation.tag), allocation.begin, allocation.end});
  device.set_memory(std::move(memory));
  return launch().at(options_.host.name);
}

}  // namespace weft
