#include "kernels/simt/device.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <tuple>

#include "kernels/simt/hardware.h"
#include "kernels/simt/language.h"
#include "kernels/simt/ptx/interpreter.h"
#include "kernels/simt/source_lines.h"
#include "kernels/simt/worker.h"

namespace weft::simt {
namespace {

// Of compute capability 8.0 to 9.0. Source: CUDA C++ Programming Guide, "Technical Specifications".
constexpr uint64_t kMaxThreads = 1024, kMaxGridX = 0x7fffffff, kMaxGridYZ = 65535;
constexpr size_t kMaxDynamicSharedBytes = 163 << 10;  // of 8.0, the smallest

std::string text_of(dim3 d) {
  return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")";
}

/// What is wrong with a launch; empty if nothing is.
std::string refusal(const LaunchShape& shape) {
  const uint64_t threads = uint64_t{shape.block.x} * shape.block.y * shape.block.z;
  if (threads == 0 || threads > kMaxThreads || shape.block.z > 64)
    return "expected 1 to 1024 threads a block, at most 64 of them in z, got " + text_of(shape.block);
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0 || shape.grid.x > kMaxGridX ||
      shape.grid.y > kMaxGridYZ || shape.grid.z > kMaxGridYZ)
    return "expected 1 to 2^31 - 1 blocks in x, 1 to 65535 in y and z, got " + text_of(shape.grid);
  if (shape.dynamic_shared_bytes > kMaxDynamicSharedBytes)
    return "expected at most 163 KiB of dynamic shared memory, got " +
           std::to_string(shape.dynamic_shared_bytes);
  return "";
}

/// Gathers what the workers of a launch found, with lines instead of instructions.
class Merge {
 public:
  explicit Merge(Report* report) : report_(report) {}

  /// Runner: Worker or ptx::Interpreter.
  template <typename Runner>
  void add(const Runner& worker) {
    std::vector<uintptr_t> addresses;
    for (const auto& [key, totals] : worker.checker().totals()) {
      if (!worker.line_of(key.first)) addresses.push_back(key.first);
    }
    for (const RawFinding& raw : worker.findings()) {
      if (raw.pc != 0) addresses.push_back(raw.pc);
    }
    std::map<uintptr_t, SourceLine> lines;
    const std::vector<SourceLine> found = source_lines(addresses);
    for (size_t i = 0; i < addresses.size(); ++i) lines[addresses[i]] = found[i];
    for (const auto& [key, totals] : worker.checker().totals()) {
      const Here* here = worker.line_of(key.first);
      const SourceLine line = here ? SourceLine{file_name(here->file), here->line} : lines[key.first];
      add_site({line.file, line.line, key.second, static_cast<int>(totals.lane_bytes), totals.requests,
                totals.transactions, totals.ideal});
    }
    for (const RawFinding& raw : worker.findings()) {
      Finding finding = raw.finding;
      if (raw.pc != 0) finding.file = lines[raw.pc].file, finding.line = lines[raw.pc].line;
      else finding.file = file_name(finding.file);
      add_finding(std::move(finding));
    }
    report_->accesses += worker.checker().accesses();
  }

 private:
  void add_site(const AccessSite& site) {
    const auto key = [](const AccessSite& s) { return std::tie(s.file, s.line, s.kind, s.lane_bytes); };
    const auto less = [&](const AccessSite& a, const AccessSite& b) { return key(a) < key(b); };
    const auto at = std::lower_bound(report_->sites.begin(), report_->sites.end(), site, less);
    if (at == report_->sites.end() || less(site, *at)) {
      report_->sites.insert(at, site);
      return;
    }
    at->requests += site.requests;
    at->transactions += site.transactions;
    at->ideal += site.ideal;
  }

  void add_finding(Finding finding) {
    for (Finding& known : report_->findings) {
      if (known.kind != finding.kind || known.line != finding.line || known.file != finding.file ||
          known.kernel != finding.kernel)
        continue;
      known.times += finding.times;
      return;
    }
    report_->findings.push_back(std::move(finding));
  }

  Report* report_;
};

/// Shares the blocks of a launch among the device's workers.
template <typename MakeRunner>
void run_blocks(const Device& device, const LaunchShape& shape, Report& report,
                const MakeRunner& make_runner) {
  const dim3& grid = shape.grid;
  const uint64_t n_blocks = uint64_t{grid.x} * grid.y * grid.z;
  std::atomic<uint64_t> next{0};
  std::mutex mutex;
  const auto work = [&] {
    auto runner = make_runner();
    for (uint64_t i; !runner.failed() && (i = next.fetch_add(1)) < n_blocks;)
      runner.run_block({static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
                        static_cast<unsigned>(i / grid.x / grid.y)});
    if (runner.failed()) next.store(n_blocks);
    const std::lock_guard lock(mutex);
    Merge(&report).add(runner);
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < device.options().workers; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

struct LaunchState {
  static Report* report(Device& device) { return &device.report_; }
};

Device::Device(DeviceOptions options) : options_(options) {}
Device::~Device() = default;

void Device::add_memory(const std::string& name, const void* data, size_t size) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data);
  memory_.push_back({name, begin, begin + size});
}

void Device::remove_memory(const void* data) {
  std::erase_if(memory_, [&](const Memory& m) { return m.begin == reinterpret_cast<uintptr_t>(data); });
}

GuardedMemory::GuardedMemory(Device& device, const std::string& name, const void* values, size_t size,
                             size_t shift)
    : device_(device), name_(name), size_(size), shift_(shift) {
  storage_.assign(3 * kGuard + shift + size, 0xff);
  image_ = storage_.data() + (kGuard - reinterpret_cast<uintptr_t>(storage_.data()) % kGuard) % kGuard;
  unsigned char* const contents = image_ + kGuard + shift;
  if (size > 0) std::memcpy(contents, values, size);
  if (device.options().hardware)
    there_ = static_cast<unsigned char*>(Hardware::upload(image_, 2 * kGuard + shift + size));
  data_ = there_ ? there_ + kGuard + shift : contents;
  device_.add_memory(name, data_, size);
}

GuardedMemory::~GuardedMemory() {
  device_.remove_memory(data_);
  if (there_) Hardware::release(there_);
}

void GuardedMemory::read(void* to) const {
  if (there_) {
    std::vector<unsigned char> now(2 * kGuard + shift_ + size_);
    Hardware::download(now.data(), there_, now.size());
    const auto contents = now.begin() + static_cast<ptrdiff_t>(kGuard + shift_);
    const auto untouched = [](unsigned char byte) { return byte == 0xff; };
    if (!std::all_of(now.begin(), contents, untouched) ||
        !std::all_of(contents + static_cast<ptrdiff_t>(size_), now.end(), untouched))
      throw std::runtime_error("a kernel wrote beside buffer '" + name_ + "'");
    std::copy_n(contents, size_, static_cast<unsigned char*>(to));
  } else if (size_ > 0) {
    std::memcpy(to, data_, size_);
  }
}

namespace {

Status run_now(Device& device, const LaunchShape& shape) {
  Report& report = *LaunchState::report(device);
  const size_t known_findings = report.findings.size();
  if (const std::string why = refusal(shape); !why.empty()) {
    report.findings.push_back({FindingKind::kBadLaunch, why, shape.kernel, "", 0, {}, -1, 1});
  } else if (device.options().ptx == nullptr) {
    run_blocks(device, shape, report, [&] { return Worker(device, shape); });
  } else {
    const ptx::Module& module = *device.options().ptx;
    const std::string symbol = symbol_name(shape.body.function);
    const ptx::Kernel* code = module.find(symbol);
    if (code == nullptr)
      return Status(StatusCode::kNotFound, "the PTX for " + module.target + " has no kernel " + symbol);
    if (device.options().hardware) return device.options().hardware->launch(code->name, shape);
    run_blocks(device, shape, report, [&] { return ptx::Interpreter(device, shape, module, *code); });
  }
  if (report.findings.size() == known_findings) return {};
  return Status(StatusCode::kInternal, report.findings[known_findings].text())
      .hint("the device's report holds all findings");
}

/// A launch that runs later than its call: with a copy of the arguments, bit for bit, as a device takes them.
struct QueuedLaunch {
  explicit QueuedLaunch(const LaunchShape& given) : shape(given), arguments(given.body.size / 16 + 1) {
    std::memcpy(arguments.data(), given.body.arguments, given.body.size);
    const auto from = reinterpret_cast<uintptr_t>(given.body.arguments),
               to = reinterpret_cast<uintptr_t>(arguments.data());
    for (const void* const* p = given.body.parameters; *p != nullptr; ++p)
      parameters.push_back(reinterpret_cast<const void*>(to + (reinterpret_cast<uintptr_t>(*p) - from)));
    parameters.push_back(nullptr);
    shape.body.arguments = arguments.data();
    shape.body.parameters = parameters.data();
  }
  QueuedLaunch(const QueuedLaunch&) = delete;
  QueuedLaunch& operator=(const QueuedLaunch&) = delete;

  struct alignas(16) Piece {
    unsigned char bytes[16];
  };
  LaunchShape shape;
  std::vector<Piece> arguments;
  std::vector<const void*> parameters;
};

}  // namespace

Status run(cudaStream_t stream, const char* kernel, dim3 grid, dim3 block, size_t dynamic_shared_bytes,
           Body body) {
  Device& device = *static_cast<Device*>(stream);
  const LaunchShape shape{kernel, grid, block, dynamic_shared_bytes, body};
  if (!device.queue()) return run_now(device, shape);
  return device.queue()([&device, queued = std::make_shared<const QueuedLaunch>(shape)] {
    return run_now(device, queued->shape);
  });
}

}  // namespace weft::simt
