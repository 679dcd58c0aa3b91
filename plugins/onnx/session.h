/// An ONNX model compiled by OpenVINO for the CPU, and its runs. The only header through which this plugin sees OpenVINO.
///
/// Ownership: a Session owns the compiled model and a request for each run that was ever under way at once; it keeps nothing of
/// the tensors given to run(). Thread safety: run() by any thread; runs of one session follow each other on the lent cores.
/// Errors: OpenVINO's exceptions end here, as kCorruptData (reading), kUnsupported (compiling) and kInternal (running) with the
/// model's path.
///
///   Result<std::unique_ptr<Session>> session = Session::load(host, path, Precision::kF32);
///   (*session)->run(inputs, {0, 1}, [&](size_t i, const weft_tensor& made) { return keep(i, made); }, cancelled);
#ifndef WEFT_PLUGINS_ONNX_SESSION_H
#define WEFT_PLUGINS_ONNX_SESSION_H

#include <weft/sdk/host.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace weft::onnx {

enum class Precision : uint8_t { kF32, kBf16 };

/// What is computed of a model: names of its inputs and outputs, as the file has them.
struct SessionPorts {
  std::vector<std::string> inputs, outputs;
};

class Session {
 public:
  /// Reads and compiles; borrows cores meanwhile. Errors: kCorruptData, kUnsupported, kOutOfMemory.
  static Result<std::unique_ptr<Session>> load(const sdk::Host& host, const std::string& path,
                                               const SessionPorts& ports, Precision precision);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Gets the i-th of the wanted outputs while the run's memory lives; an error of it ends the run.
  using Take = std::function<Status(size_t i, const weft_tensor& tensor)>;

  /// inputs: row-major, by index of SessionPorts::inputs, of the model's types; only read. take: called for each of `wanted`,
  /// indices of SessionPorts::outputs, in their order. Asks `cancelled` every 20 ms and stops between two operators.
  /// Errors: kInvalidShape (shapes that the model cannot compute), kCancelled, kInternal, those of take.
  Status run(std::span<const weft_tensor> inputs, std::span<const size_t> wanted, const Take& take,
             const std::function<bool()>& cancelled);

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft::onnx
#endif
