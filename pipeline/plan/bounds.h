/// Bounds of values before they exist: making, wrapping and measuring weft_spec.
///
/// Thread safety: no shared state.
#ifndef WEFT_PIPELINE_PLAN_BOUNDS_H
#define WEFT_PIPELINE_PLAN_BOUNDS_H

#include <weft/abi/host.h>
#include <weft/abi/node.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace weft {

/// Nothing is known but the port's type; kind 0 for "any" and for an input that nothing arrives at ("").
weft_spec unknown_spec(std::string_view type);

/// Exact bounds of a value, which the spec then refers to.
weft_spec spec_of_value(const weft_value_api& values, const weft_value* value);

/// What one element of a list can be. element_type: its port type.
weft_spec element_spec(const weft_spec& list, std::string_view element_type);
/// A list of at most max_count elements (WEFT_UNBOUNDED: not known), each within `element`.
weft_spec list_spec(const weft_spec& element, int64_t max_count);

/// Most bytes that a value within the bounds takes: scalars none, since they live in their handle. nullopt: not known, or
/// beyond 2^63 - 1.
std::optional<uint64_t> bounded_bytes(const weft_spec& spec);

/// Whether a plugin may say this about an output: a known kind, rank within WEFT_MAX_RANK, no extent below
/// WEFT_UNBOUNDED.
bool is_valid_spec(const weft_spec& spec);

}  // namespace weft
#endif
