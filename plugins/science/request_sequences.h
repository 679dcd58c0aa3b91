/// What nodes that read sequences share: those that arrived, at a port for one and a port for many, and whether to go on.
#ifndef WEFT_PLUGINS_SCIENCE_REQUEST_SEQUENCES_H
#define WEFT_PLUGINS_SCIENCE_REQUEST_SEQUENCES_H

#include <weft/sdk/plugin.h>

#include <string>

#include "kernels/layers/stop_request.h"

namespace weft::science {

/// Calls add(text), which returns a Status, for the sequence at port `one`, then for those of the list at port `many`. Errors: the
/// first of add's, with the port "sequence" or the element of "sequences".
template <typename Add>
Status for_each_sequence(const sdk::Request& request, size_t one, size_t many, Add add) {
  if (const sdk::Value text = request.input(one))
    if (Status added = add(text.as_text()); !added.ok()) return std::move(added).at("port 'sequence'");
  const sdk::Value list = request.input(many);
  for (size_t i = 0; list && i < list.size(); ++i)
    if (Status added = add(list.item(i).as_text()); !added.ok())
      return std::move(added).at("port 'sequences', element " + std::to_string(i));
  return {};
}

/// Once the request is cancelled. The request outlives it.
inline StopRequest stop_of(const sdk::Request& request) {
  return {[](void* self) { return static_cast<const sdk::Request*>(self)->cancelled(); },
          const_cast<sdk::Request*>(&request)};
}

}  // namespace weft::science
#endif
