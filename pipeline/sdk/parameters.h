/// The parameters of a node, a request or a model, already checked by the host against the descriptor.
///
/// A name or type that the descriptor does not have is a bug of the plugin and reads as zero or the empty text.
/// Ownership: a reference; lives as long as what it was passed with (node: until destroy, request: until complete).
#ifndef WEFT_SDK_PARAMETERS_H
#define WEFT_SDK_PARAMETERS_H

#include <weft/abi/host.h>

#include <cstdint>
#include <string_view>

namespace weft::sdk {

class Parameters {
 public:
  Parameters(const weft_host* host, const weft_parameters* parameters)
      : api_(host->parameters), parameters_(parameters) {}

  /// False only for an optional parameter that the user did not give.
  bool is_set(const char* name) const { return api_->is_set(parameters_, name) != 0; }
  bool get_bool(const char* name) const { return api_->get_bool(parameters_, name) != 0; }
  int64_t get_int(const char* name) const { return api_->get_int(parameters_, name); }  // "seed" too
  double get_float(const char* name) const { return api_->get_float(parameters_, name); }
  /// text, choice, path, device: the UTF-8 text; json and lists: their JSON text.
  std::string_view get_text(const char* name) const {
    size_t size = 0;
    const char* text = api_->get_text(parameters_, name, &size);
    return text != nullptr ? std::string_view(text, size) : std::string_view();
  }

 private:
  const weft_parameter_api* api_;
  const weft_parameters* parameters_;
};

}  // namespace weft::sdk
#endif
